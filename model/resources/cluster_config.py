"""ClusterConfig: settings for all Projects (Kargo: api/v1alpha1/cluster_config_types.go)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from model.base import Manifest
from model.resources.metadata import Condition, LocalObjectReference
from model.resources.project_config import DeepLink, PromotionWindow, WebhookReceiverConfig, WebhookReceiverDetails
from model.resources.resource import KARGO, KargoVersion, Resource
from model.resources.role import SystemRole


class GitClient(Manifest):
    """Who commits, and with which key."""

    name: str = Field(min_length=1)
    email: str = Field(min_length=1)
    signing_key_secret: LocalObjectReference | None = None


class ClusterConfigSpec(Manifest):
    """Receivers, links, windows and roles of all Projects, and the author of commits."""

    webhook_receivers: list[WebhookReceiverConfig] = Field(default_factory=list)
    git_client: GitClient | None = None
    freight_links: list[DeepLink] = Field(default_factory=list)
    stage_links: list[DeepLink] = Field(default_factory=list)
    promotion_windows: list[PromotionWindow] = Field(default_factory=list)
    #: Who may do what everywhere: an extension of ours.
    roles: list[SystemRole] = Field(default_factory=list, max_length=200)


class ClusterConfigStatus(Manifest):
    """What was last observed of the ClusterConfig."""

    conditions: list[Condition] = Field(default_factory=list)
    observed_generation: int = 0
    last_handled_refresh: str = ""
    webhook_receivers: list[WebhookReceiverDetails] = Field(default_factory=list)


class ClusterConfig(Resource):
    """The settings of the whole installation; at most one."""

    cluster_scoped: ClassVar[bool] = True

    api_version: KargoVersion = KARGO
    kind: Literal["ClusterConfig"] = "ClusterConfig"
    spec: ClusterConfigSpec = Field(default_factory=ClusterConfigSpec)
    status: ClusterConfigStatus = Field(default_factory=ClusterConfigStatus)
