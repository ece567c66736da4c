"""What passes between a Promotion, the Stage whose turn it needs, and whoever asked for it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from model.base import Json, Message, Time
from model.questions import Question, Response
from model.references import FreightCollection, FreightReference, HealthCheckStep
from model.resources.promotion import PromotionPhase
from model.steps import PromotionContext, PromotionPlan, StepStatus


class HoldIntent(StrEnum):
    """What a person's Promotion means for auto-promotion of its origin."""

    HOLD = "Hold"
    RESUME = "Resume"


class Accepted(Message):
    """Signal `accepted` to a Promotion: it stands in its Stage's queue, with its plan frozen."""

    #: None: the one it was started with (a rerun).
    plan: PromotionPlan | None
    freight: FreightReference
    freight_alias: str = ""
    #: Why it doesn't start at once, in a sentence.
    waiting: str = ""


class Refused(Message):
    """Signal `refused` to a Promotion: nothing was created."""

    reason: str


class Proceed(Message):
    """Signal `proceed` to a Promotion: it has the turn. `plan` is given where `accepted` was not sent before."""

    context: PromotionContext
    plan: PromotionPlan | None = None


class Expired(Message):
    """Signal `expired` to a Promotion: at its turn its Freight was gone or no longer available. It ends Errored."""

    reason: str


class StepRecord(Message):
    """What became of one step. `output` is what `outputs[alias]` holds."""

    alias: str
    uses: str
    status: StepStatus | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    error_count: int = 0
    message: str = ""
    continue_on_error: bool = False
    output: Json = None
    #: Its config, evaluated, with secrets masked; None: it wasn't evaluated, or is too long to keep.
    config: Json = None
    warnings: list[str] = Field(default_factory=list)
    #: How often its workspace was rebuilt after a lost host.
    rebuilds: int = 0
    #: What it asks people, or asked, and what they said.
    question: Question | None = None
    responses: list[Response] = Field(default_factory=list)


class Rerun(Message):
    """What a Promotion repeats: the plan of an earlier one, and what of its steps counts as done already."""

    promotion: str
    plan: PromotionPlan
    #: Freight of the earlier one, by name.
    freight: str
    #: The steps before the failed one, as they went: only the workspace is made anew. Empty: from the start.
    done: list[StepRecord] = Field(default_factory=list)
    #: Registered by those steps.
    health_checks: list[HealthCheckStep] = Field(default_factory=list)


class PromotionRequest(Message):
    """Argument of the workflow `Promotion`."""

    project: str
    stage: str
    #: `<stage>.<ulid>.<freight[:7]>`; the workflow's id is `promotion/<project>/<name>`.
    name: str
    freight: str
    #: Who asked: `email:…`, `subject:…`, `admin`, `controller:…`.
    actor: str = ""
    #: Name of a Warehouse: the Stage's present candidate of it is meant, whichever it is when the request is decided.
    warehouse: str = ""
    #: Why it may start in a closed promotion window; empty: it waits for the window.
    override_window: str = ""
    #: The earlier Promotion that it repeats.
    rerun: Rerun | None = None
    #: Started by its Stage, which has given it the turn already.
    granted: Proceed | None = None


class Enqueue(Message):
    """Signal `enqueue` to a Stage: a Promotion asks for the turn. Sent again while it waits; the same each time."""

    name: str
    workflow_id: str
    run_id: str
    freight: str
    actor: str = ""
    created_at: Time
    #: As in the PromotionRequest.
    warehouse: str = ""
    override_window: str = ""
    #: It brings the frozen plan of an earlier Promotion with it.
    rerun: bool = False


class Admission(Message):
    """Answer of the update `admission` of Promotion and FanOut."""

    accepted: bool
    name: str
    reason: str = ""
    #: Names of the Promotions that were started (FanOut).
    promotions: list[str] = Field(default_factory=list)
    #: Sentences such as "control-flow Stage x was skipped".
    notes: list[str] = Field(default_factory=list)


class AbortRequest(Message):
    """Argument of the signal `abort`, which names who aborts; the client cancels the workflow right after it."""

    actor: str = ""
    reason: str = ""


class PromotionRecord(Message):
    """Answer of the query `record`: a Promotion's frozen plan and how far it came, for a rerun."""

    phase: PromotionPhase | None = None
    stage: str
    freight: str
    plan: PromotionPlan | None = None
    steps: list[StepRecord] = Field(default_factory=list)
    health_checks: list[HealthCheckStep] = Field(default_factory=list)


class PromotionFinished(Message):
    """Signal `finished` to the Stage, and result of the workflow. `phase` None: it was refused, `message` says why."""

    name: str
    run_id: str = ""
    stage: str = ""
    freight: FreightReference | None = None
    collection: FreightCollection | None = None
    phase: PromotionPhase | None
    message: str = ""
    actor: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    health_checks: list[HealthCheckStep] = Field(default_factory=list)
    #: It went back by itself to what had been verified before.
    rollback: bool = False
    #: Why it could start in a closed promotion window; `actor` says who wanted that.
    override_window: str = ""


class StepGlance(Message):
    """One step of a Promotion in a list."""

    alias: str
    uses: str
    status: StepStatus | None = None
    started_at: Time | None = None
    finished_at: Time | None = None


class PromotionSummary(Message):
    """A Promotion at a glance: its memo. Before its first step it has just the alias and the actor."""

    freight_alias: str = ""
    actor: str = ""
    #: Why it ended as it did; the beginning of it.
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    #: The first steps of its plan.
    steps: list[StepGlance] = Field(default_factory=list)


class PromotionView(Message):
    """Answer of the query `progress`: a Promotion as it stands, for people and for `--wait`."""

    project: str
    stage: str
    name: str
    freight: str
    freight_alias: str = ""
    phase: PromotionPhase | None
    message: str = ""
    actor: str = ""
    waiting: str = ""
    created_at: Time
    started_at: Time | None = None
    finished_at: Time | None = None
    #: It was aborted, and the steps that clean up run until then at most. None: none do.
    cleaning_up_until: Time | None = None
    #: Why it may start, or started, in a closed promotion window; empty: it doesn't ask for that.
    override_window: str = ""
    steps: list[StepRecord] = Field(default_factory=list)


class FanOutRequest(Message):
    """Argument of the workflow `FanOut`: promote one piece of Freight to all Stages immediately downstream."""

    project: str
    #: The Stage whose downstream Stages are meant.
    stage: str
    #: `<stage>.<ulid>.<freight[:7]>`; the workflow's id is `fanout/<project>/<name>`.
    name: str
    freight: str
    #: Name of the Warehouse the Freight comes from.
    warehouse: str
    actor: str = ""


class FanOutTarget(Message):
    """One downstream Stage, as the Warehouse knows it."""

    stage: str
    control_flow: bool = False
    available: bool = False
    reason: str = ""


class FanOutInquiry(Message):
    """Signal `inquire` to a Warehouse: which Stages are downstream, and is this Freight available to them?"""

    workflow_id: str
    stage: str
    freight: str


class FanOutAnswer(Message):
    """Signal `answer` to a FanOut."""

    known: bool
    targets: list[FanOutTarget] = Field(default_factory=list)


class FanOutResult(Message):
    """Result of the workflow `FanOut`, and answer of its query `progress`."""

    name: str
    refused: str = ""
    #: Outcome by Stage, in the order of their names; phase None: still under way.
    promotions: dict[str, PromotionFinished] = Field(default_factory=dict)
    #: Name of the Promotion by Stage, known from the start.
    names: dict[str, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
