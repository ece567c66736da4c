"""Promotion and its steps as manifests say them (Kargo: api/v1alpha1/promotion_types.go)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from model.base import Duration, Json, Manifest, Time
from model.references import (
    ExpressionVariable,
    FreightCollection,
    FreightOrigin,
    FreightReference,
    HealthCheckStep,
)
from model.resources.resource import KARGO, KargoVersion, Resource
from model.steps import StepStatus


class PromotionPhase(StrEnum):
    """Where a Promotion is in its life; Succeeded, Failed, Errored and Aborted are final."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERRORED = "Errored"
    ABORTED = "Aborted"

    @property
    def terminal(self) -> bool:
        return self not in (PromotionPhase.PENDING, PromotionPhase.RUNNING)


class PromotionTaskReference(Manifest):
    """A PromotionTask of the same Project, or a ClusterPromotionTask."""

    name: str = Field(min_length=1, max_length=253)
    kind: Literal["PromotionTask", "ClusterPromotionTask", ""] = "PromotionTask"

    @property
    def cluster(self) -> bool:
        return self.kind == "ClusterPromotionTask"

    def __str__(self) -> str:
        return f"{self.kind or 'PromotionTask'}/{self.name}"


class PromotionStepRetry(Manifest):
    """How patient a step is. No timeout: that of the step's kind; `0s`: none. A threshold of 0: that of the kind."""

    timeout: Duration | None = None
    error_threshold: int = Field(default=0, ge=0)


class PromotionStep(Manifest):
    """One step: `uses` names its kind, or `task` a task whose steps stand in its place."""

    uses: str = ""
    task: PromotionTaskReference | None = None
    alias: str = Field(default="", alias="as")
    condition: str = Field(default="", alias="if")
    continue_on_error: bool = False
    retry: PromotionStepRetry | None = None
    vars: list[ExpressionVariable] = Field(default_factory=list)
    config: Json = None

    def alias_at(self, index: int) -> str:
        """Its alias, or the one it has by its place (from 0) in the list: `step-1`, `task-1` (Kargo: GetAlias)."""
        return self.alias or f"{'task' if self.task else 'step'}-{index + 1}"


class PromotionSpec(Manifest):
    """Which Freight goes to which Stage, by which steps."""

    stage: str = Field(min_length=1, max_length=253)
    freight: str = ""
    #: Instead of `freight`: whatever auto-promotion would choose of this origin now.
    origin: FreightOrigin | None = None
    target: str = ""
    vars: list[ExpressionVariable] = Field(default_factory=list)
    steps: list[PromotionStep] = Field(default_factory=list)

    @model_validator(mode="after")
    def _freight_or_origin(self) -> PromotionSpec:
        if bool(self.freight) == (self.origin is not None):
            raise ValueError("a Promotion needs exactly one of freight and origin")
        return self


class StepExecutionMetadata(Manifest):
    """What became of one step."""

    alias: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    error_count: int = 0
    status: StepStatus | None = None
    message: str = ""
    continue_on_error: bool = False


class PromotionStatus(Manifest):
    """How far a Promotion is, what it made, and what became of its steps."""

    last_handled_refresh: str = ""
    phase: PromotionPhase | None = None
    message: str = ""
    freight: FreightReference | None = None
    freight_collection: FreightCollection | None = None
    health_checks: list[HealthCheckStep] = Field(default_factory=list)
    started_at: Time | None = None
    finished_at: Time | None = None
    #: Place of the step at work, from 0.
    current_step: int = 0
    step_execution_metadata: list[StepExecutionMetadata] = Field(default_factory=list)
    #: Outputs by full alias.
    state: dict[str, Json] | None = None


class Promotion(Resource):
    """One run of a Stage's steps for one piece of Freight."""

    api_version: KargoVersion = KARGO
    kind: Literal["Promotion"] = "Promotion"
    spec: PromotionSpec
    status: PromotionStatus = Field(default_factory=PromotionStatus)
