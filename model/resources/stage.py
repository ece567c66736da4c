"""Stage: a promotion target (Kargo: api/v1alpha1/stage_types.go)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from model.base import Json, Manifest, Time
from model.references import ExpressionVariable, FreightCollection, FreightOrigin, FreightReference, Health
from model.resources.metadata import Condition, LabelSelector
from model.resources.period import Period
from model.resources.project_config import PromotionWindowStatus
from model.resources.promotion import PromotionStatus, PromotionStep
from model.resources.resource import KARGO, KargoVersion, Resource


class AvailabilityStrategy(StrEnum):
    """Whether Freight must be verified in all the upstream Stages, or in one of them."""

    ALL = "All"
    ONE_OF = "OneOf"


class SelectionPolicy(StrEnum):
    """What auto-promotion chooses: the newest available Freight, or what is in the one upstream Stage."""

    NEWEST_FREIGHT = "NewestFreight"
    MATCH_UPSTREAM = "MatchUpstream"


class AutoPromotionOptions(Manifest):
    """What auto-promotion chooses among the available Freight."""

    selection_policy: SelectionPolicy = SelectionPolicy.NEWEST_FREIGHT


class FreightSources(Manifest):
    """Where Freight may come from: straight from its Warehouse, or after verification in upstream Stages."""

    direct: bool = False
    stages: list[str] = Field(default_factory=list)
    #: How long it must have stayed in an upstream Stage.
    required_soak_time: Period | None = None
    availability_strategy: Annotated[
        AvailabilityStrategy, BeforeValidator(lambda value: value or AvailabilityStrategy.ONE_OF)
    ] = AvailabilityStrategy.ONE_OF
    auto_promotion_options: AutoPromotionOptions | None = None

    @property
    def selection_policy(self) -> SelectionPolicy:
        options = self.auto_promotion_options
        return options.selection_policy if options else SelectionPolicy.NEWEST_FREIGHT


class FreightRequest(Manifest):
    """Freight of one origin that a Stage takes, and from where."""

    origin: FreightOrigin
    sources: FreightSources = Field(default_factory=FreightSources)


class PromotionTemplateSpec(Manifest):
    """Variables and steps of a Stage's promotions."""

    vars: list[ExpressionVariable] = Field(default_factory=list)
    steps: list[PromotionStep] = Field(default_factory=list)


class PromotionTemplate(Manifest):
    """What a promotion to this Stage does."""

    spec: PromotionTemplateSpec


class AnalysisTemplateReference(Manifest):
    """An AnalysisTemplate of the same Project, or a ClusterAnalysisTemplate."""

    name: str = Field(min_length=1)
    kind: Literal["AnalysisTemplate", "ClusterAnalysisTemplate", ""] = "AnalysisTemplate"

    @property
    def cluster(self) -> bool:
        return self.kind == "ClusterAnalysisTemplate"

    def __str__(self) -> str:
        return f"{self.kind or 'AnalysisTemplate'}/{self.name}"


class AnalysisRunMetadata(Manifest):
    """Labels and annotations of the runs."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Verification(Manifest):
    """How this Stage's Freight is verified after a promotion."""

    analysis_templates: list[AnalysisTemplateReference] = Field(default_factory=list)
    analysis_run_metadata: AnalysisRunMetadata | None = None
    #: Values for the templates' arguments; may hold `${{ }}` templates.
    args: list[ExpressionVariable] = Field(default_factory=list)


class StageTargets(Manifest):
    """Targets a Stage promotes to side by side (a paid feature of Kargo)."""

    selectors: list[LabelSelector]


class StageSpec(Manifest):
    """Which Freight a Stage takes, how it is promoted and how verified."""

    shard: str = ""
    vars: list[ExpressionVariable] = Field(default_factory=list)
    requested_freight: list[FreightRequest] = Field(min_length=1)
    promotion_template: PromotionTemplate | None = None
    verification: Verification | None = None
    targets: StageTargets | None = None


class PromotionReference(Manifest):
    """A Promotion as its Stage remembers it."""

    name: str
    freight: FreightReference | None = None
    status: PromotionStatus | None = None
    finished_at: Time | None = None


class PromotionRequestFreight(Manifest):
    """The Freight of a PromotionRequest."""

    name: str


class PromotionRequestReference(Manifest):
    """A request to promote to all Targets of a Stage (a paid feature of Kargo)."""

    name: str
    freight: PromotionRequestFreight | None = None
    phase: str = ""
    finished_at: Time | None = None


class AutoPromotionHold(Manifest):
    """Auto-promotion of one origin rests, because a person chose other Freight."""

    freight_name: str
    origin: FreightOrigin
    promotion_name: str = ""
    actor: str = ""
    created_at: Time | None = None


class StageStatus(Manifest):
    """What a Stage holds, how it is, and what it is doing."""

    conditions: list[Condition] = Field(default_factory=list)
    last_handled_refresh: str = ""
    #: What it holds and held, newest first, at most ten.
    freight_history: list[FreightCollection] = Field(default_factory=list)
    freight_summary: str = ""
    health: Health | None = None
    observed_generation: int = 0
    current_promotion: PromotionReference | None = None
    last_promotion: PromotionReference | None = None
    current_promotion_request: PromotionRequestReference | None = None
    last_promotion_request: PromotionRequestReference | None = None
    auto_promotion_enabled: bool = False
    promotion_window_status: PromotionWindowStatus | None = None
    metadata: dict[str, Json] = Field(default_factory=dict)
    #: By origin, `Warehouse/name`.
    auto_promotion_holds: dict[str, AutoPromotionHold] = Field(default_factory=dict)
    effective_auto_promotion_holds: dict[str, AutoPromotionHold] = Field(default_factory=dict)


class Stage(Resource):
    """A promotion target."""

    api_version: KargoVersion = KARGO
    kind: Literal["Stage"] = "Stage"
    spec: StageSpec
    status: StageStatus = Field(default_factory=StageStatus)

    @property
    def steps(self) -> list[PromotionStep]:
        """The promotion steps as they stand in the manifest, tasks not inflated."""
        template = self.spec.promotion_template
        return template.spec.steps if template else []

    @property
    def control_flow(self) -> bool:
        """Whether Freight just passes through: no promotion template, or one without steps."""
        return not self.steps

    @property
    def promotion_vars(self) -> list[ExpressionVariable]:
        """Promotion-level variables: the Stage's, then the template's; a later one of the same name wins."""
        template = self.spec.promotion_template
        return [*self.spec.vars, *(template.spec.vars if template else [])]

    def upstreams(self) -> list[str]:
        """All Stages it takes Freight from, each once, in the order of the manifest."""
        return list(dict.fromkeys(name for request in self.spec.requested_freight for name in request.sources.stages))

    def request(self, origin: FreightOrigin) -> FreightRequest | None:
        """What it requests of this origin."""
        return next((request for request in self.spec.requested_freight if request.origin == origin), None)
