"""ProjectConfig: how a Project promotes, and what reaches it from outside.

Kargo: api/v1alpha1/project_config_types.go, promotion_window_types.go.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from model.base import Manifest, Time
from model.references import VerificationPhase
from model.resources.metadata import Condition, LabelSelector, LocalObjectReference
from model.resources.promotion import PromotionPhase
from model.resources.resource import KARGO, KargoVersion, Resource
from model.resources.role import ProjectRole


class PromotionPolicySelector(LabelSelector):
    """Selects Stages by name (exact, `glob:…`, `regex:…`) and by labels; both must match where both are given."""

    name: str = ""

    @property
    def exact_name(self) -> str | None:
        """The one Stage selected, where nothing but its exact name is given."""
        if not self.name or ":" in self.name or self.match_labels or self.match_expressions:
            return None
        return self.name


class AutoRollback(Manifest):
    """Ends of a promotion or verification after which the Stage goes back to its last verified Freight."""

    on_promotion: list[Literal[PromotionPhase.FAILED, PromotionPhase.ERRORED]] = Field(default_factory=list)
    on_verification: list[Literal[VerificationPhase.FAILED, VerificationPhase.ERROR]] = Field(default_factory=list)


class PromotionPolicy(Manifest):
    """Whether new Freight is promoted to the selected Stages by itself."""

    #: The old way to name a Stage.
    stage: str = ""
    stage_selector: PromotionPolicySelector | None = None
    auto_promotion_enabled: bool = False
    auto_rollback: AutoRollback | None = None

    @model_validator(mode="after")
    def _one_selector(self) -> PromotionPolicy:
        if bool(self.stage) == (self.stage_selector is not None):
            raise ValueError("a promotion policy needs exactly one of stage and stageSelector")
        return self

    @property
    def exact_stage(self) -> str | None:
        """The one Stage it is for, where it names one exactly."""
        return self.stage or (self.stage_selector.exact_name if self.stage_selector else None)


class WebhookReceiver(Manifest):
    """Settings shared by all receivers: the Secret that senders know."""

    secret_ref: LocalObjectReference


class ArtifactoryReceiver(WebhookReceiver):
    """A receiver for Artifactory; a virtual repository hides the name that Warehouses subscribe to."""

    virtual_repo_name: str = ""


class IndexRequirement(Manifest):
    """One requirement on what a Warehouse is indexed by; the value may be an expression."""

    key: Literal["subscribedURLs", "receiverPaths"]
    operator: Literal["Equals", "NotEquals"]
    value: str


class IndexSelector(Manifest):
    """Selects Warehouses by what they are indexed by."""

    match_indices: list[IndexRequirement] = Field(default_factory=list)


class TargetSelection(Manifest):
    """Which Warehouses, or which running Promotion, an action is for; `name` may be an expression."""

    kind: Literal["Warehouse", "Promotion"]
    name: str = ""
    label_selector: LabelSelector = Field(default_factory=LabelSelector)
    index_selector: IndexSelector = Field(default_factory=IndexSelector)


class GenericAction(Manifest):
    """What a generic receiver does when its expression holds."""

    action: Literal["Refresh"]
    when_expression: str = ""
    parameters: dict[str, str] = Field(default_factory=dict)
    target_selection_criteria: list[TargetSelection] = Field(default_factory=list)


class GenericReceiver(WebhookReceiver):
    """A receiver for anything else, told what to do by expressions."""

    actions: list[GenericAction] = Field(default_factory=list)


class WebhookReceiverConfig(Manifest):
    """One receiver of webhooks; exactly one platform is given."""

    name: str = Field(min_length=1, max_length=253)
    bitbucket: WebhookReceiver | None = None
    dockerhub: WebhookReceiver | None = None
    github: WebhookReceiver | None = None
    gitlab: WebhookReceiver | None = None
    harbor: WebhookReceiver | None = None
    quay: WebhookReceiver | None = None
    artifactory: ArtifactoryReceiver | None = None
    azure: WebhookReceiver | None = None
    gitea: WebhookReceiver | None = None
    generic: GenericReceiver | None = None


class WebhookReceiverDetails(Manifest):
    """Where a receiver is reached."""

    name: str = ""
    path: str = ""
    url: str = ""


class DeepLink(Manifest):
    """A link that the web page shows; `url` and `if` are expressions."""

    title: str = Field(min_length=1)
    url: str = Field(min_length=1)
    description: str = ""
    condition: str = Field(default="", alias="if")


class PromotionWindowKind(StrEnum):
    """Whether promotions run only within the window, or never within it."""

    ALLOW = "Allow"
    DENY = "Deny"


class PromotionWindow(Manifest):
    """A span of time, once or by RFC 5545 recurrence, that lets promotions through or holds them back."""

    name: str = Field(min_length=1, max_length=253)
    stage_selector: PromotionPolicySelector | None = None
    project_selector: PromotionPolicySelector | None = None
    kind: PromotionWindowKind
    rrule: str = ""
    dtstart: str = ""
    dtend: str = ""


class PromotionWindowStatus(Manifest):
    """Whether windows hold promotions back now, and until when."""

    closed: bool = False
    reason: str = ""
    next_open: Time | None = None
    next_close: Time | None = None
    next_close_reason: str = ""


class ProjectConfigSpec(Manifest):
    """Policies, receivers, links, windows and roles of a Project."""

    promotion_policies: list[PromotionPolicy] = Field(default_factory=list)
    webhook_receivers: list[WebhookReceiverConfig] = Field(default_factory=list)
    freight_links: list[DeepLink] = Field(default_factory=list)
    stage_links: list[DeepLink] = Field(default_factory=list)
    promotion_windows: list[PromotionWindow] = Field(default_factory=list)
    #: Who may do what in the Project: an extension of ours.
    roles: list[ProjectRole] = Field(default_factory=list, max_length=200)


class ProjectConfigStatus(Manifest):
    """What was last observed of a ProjectConfig."""

    conditions: list[Condition] = Field(default_factory=list)
    observed_generation: int = 0
    last_handled_refresh: str = ""
    webhook_receivers: list[WebhookReceiverDetails] = Field(default_factory=list)


class ProjectConfig(Resource):
    """The settings of a Project; at most one, of the Project's name."""

    api_version: KargoVersion = KARGO
    kind: Literal["ProjectConfig"] = "ProjectConfig"
    spec: ProjectConfigSpec = Field(default_factory=ProjectConfigSpec)
    status: ProjectConfigStatus = Field(default_factory=ProjectConfigStatus)
