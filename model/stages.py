"""What passes between a Stage and those who configure it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from model.base import Duration, Json, Message, Time
from model.freezes import Freeze
from model.resources.project_config import AutoRollback, PromotionWindow
from model.steps import StepKind


class StageBundle(Message):
    """What a Stage needs of its Project to decide alone: the tasks and templates it names, and its policy."""

    revision: int
    #: `spec` of PromotionTasks, ClusterPromotionTasks by name.
    tasks: dict[str, Json] = Field(default_factory=dict)
    cluster_tasks: dict[str, Json] = Field(default_factory=dict)
    #: Whole manifests of AnalysisTemplates, ClusterAnalysisTemplates by name.
    templates: dict[str, Json] = Field(default_factory=dict)
    cluster_templates: dict[str, Json] = Field(default_factory=dict)
    kinds: dict[str, StepKind] = Field(default_factory=dict)
    auto_promotion: bool = False
    #: Why the Project's policies can't be read; empty: they can.
    policy_problem: str = ""
    auto_rollback: AutoRollback | None = None
    #: Those of the Project and the cluster that are for this Stage.
    windows: list[PromotionWindow] = Field(default_factory=list)
    #: Of these, those that nothing passes while they are closed, whatever the reason.
    strict_windows: list[PromotionWindow] = Field(default_factory=list)
    #: The longest pause between two looks at health, as Project or cluster say; None: they don't.
    health_interval: Duration | None = None
    #: Those in force for the Project and for everything.
    freezes: list[Freeze] = Field(default_factory=list)


class StageConfiguration(Message):
    """Signal `configure` to a Stage (and argument of its first run). Each part's latest version wins."""

    project: str
    name: str
    generation: int = 0
    #: The whole manifest, in Kargo's shape; None: unchanged.
    manifest: dict[str, Json] | None = None
    bundle: StageBundle | None = None


class TurnKind(StrEnum):
    PROMOTION = "Promotion"
    VERIFICATION = "Verification"


class Turn(Message):
    """The exclusive right to change a Stage, and who has it."""

    kind: TurnKind
    name: str
    workflow_id: str
    run_id: str = ""
    since: Time


class HolderRequest(Message):
    """Argument of the activity `watch-holder`: is the workflow that holds a turn still running?"""

    workflow_id: str
    run_id: str = ""


class HolderReport(Message):
    """Returned once the holder is over: how it ended, in Temporal's words (`Terminated`, `NotFound`, …)."""

    status: str


class VerifyRequest(Message):
    """Argument of the update `verify` of a Stage."""

    actor: str = ""


class StageSummary(Message):
    """A Stage at a glance: its memo, from which lists are made."""

    generation: int = 0
    #: None: an older release wrote the memo.
    created_at: Time | None = None
    control_flow: bool = False
    origins: list[str] = Field(default_factory=list)
    upstream: list[str] = Field(default_factory=list)
    #: Alias and name of each piece of the current Freight.
    freight: dict[str, str] = Field(default_factory=dict)
    freight_summary: str = ""
    health: str = ""
    verification: str = ""
    current_promotion: str = ""
    last_promotion: str = ""
    last_phase: str = ""
    queued: int = 0
    waiting: str = ""
    auto_promotion: bool = False
    #: Why nothing new starts; empty: it isn't frozen.
    frozen: str = ""
