"""PromotionTask and ClusterPromotionTask: reusable steps with variables.

Kargo: api/v1alpha1/promotion_task_types.go, cluster_promotion_task_types.go.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from model.base import Json, Manifest
from model.references import ExpressionVariable
from model.resources.promotion import PromotionStep
from model.resources.resource import KARGO, KargoVersion, Resource


class PromotionTaskSpec(Manifest):
    """The variables a task takes, with their defaults (an empty value: must be given), and its steps."""

    vars: list[ExpressionVariable] = Field(default_factory=list)
    steps: list[PromotionStep] = Field(min_length=1)


class PromotionTask(Resource):
    """A task of one Project."""

    api_version: KargoVersion = KARGO
    kind: Literal["PromotionTask"] = "PromotionTask"
    spec: PromotionTaskSpec
    #: Tasks have no status; the field is there so that all resources have the same shape.
    status: dict[str, Json] | None = None


class ClusterPromotionTask(Resource):
    """A task for all Projects."""

    cluster_scoped: ClassVar[bool] = True

    api_version: KargoVersion = KARGO
    kind: Literal["ClusterPromotionTask"] = "ClusterPromotionTask"
    spec: PromotionTaskSpec
    #: Tasks have no status; the field is there so that all resources have the same shape.
    status: dict[str, Json] | None = None
