"""The resources that users write and see, one file per kind."""

from __future__ import annotations

from model.resources.analysis_template import AnalysisTemplate, ClusterAnalysisTemplate
from model.resources.cluster_config import ClusterConfig
from model.resources.config_map import ConfigMap
from model.resources.freight import Freight
from model.resources.message_channel import ClusterMessageChannel, MessageChannel
from model.resources.metadata import ObjectMeta
from model.resources.project import Project
from model.resources.project_config import ProjectConfig
from model.resources.promotion import Promotion
from model.resources.promotion_task import ClusterPromotionTask, PromotionTask
from model.resources.resource import CORE, KARGO, KARGO_ENTERPRISE, ROLLOUTS, Resource
from model.resources.secret import Secret
from model.resources.stage import Stage
from model.resources.warehouse import Warehouse

#: All kinds, by apiVersion and kind.
KINDS: dict[tuple[str, str], type[Resource]] = {
    (KARGO, "Project"): Project,
    (KARGO, "ProjectConfig"): ProjectConfig,
    (KARGO, "ClusterConfig"): ClusterConfig,
    (KARGO, "Warehouse"): Warehouse,
    (KARGO, "Stage"): Stage,
    (KARGO, "PromotionTask"): PromotionTask,
    (KARGO, "ClusterPromotionTask"): ClusterPromotionTask,
    (KARGO, "Freight"): Freight,
    (KARGO, "Promotion"): Promotion,
    (KARGO_ENTERPRISE, "MessageChannel"): MessageChannel,
    (KARGO_ENTERPRISE, "ClusterMessageChannel"): ClusterMessageChannel,
    (ROLLOUTS, "AnalysisTemplate"): AnalysisTemplate,
    (ROLLOUTS, "ClusterAnalysisTemplate"): ClusterAnalysisTemplate,
    (CORE, "Secret"): Secret,
    (CORE, "ConfigMap"): ConfigMap,
}

__all__ = [
    "CORE",
    "KARGO",
    "KARGO_ENTERPRISE",
    "KINDS",
    "ROLLOUTS",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
    "ClusterConfig",
    "ClusterMessageChannel",
    "ClusterPromotionTask",
    "ConfigMap",
    "Freight",
    "MessageChannel",
    "ObjectMeta",
    "Project",
    "ProjectConfig",
    "Promotion",
    "PromotionTask",
    "Resource",
    "Secret",
    "Stage",
    "Warehouse",
]
