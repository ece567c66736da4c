"""What passes between a Promotion and its steps: the frozen plan, one step's request, its result."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from model.base import Json, Message, Time
from model.questions import Question
from model.references import (
    ExpressionVariable,
    FreightCollection,
    FreightReference,
    HealthCheckStep,
    RequestedOrigin,
)

#: A condition that asks `aborted()`.
_ASKS_ABORTED = re.compile(r"\baborted\s*\(")


class Effect(StrEnum):
    """What a step touches, which decides whether it may run twice."""

    #: Only the workspace: may be run again to rebuild it.
    WORKSPACE = "workspace"
    #: The world outside: once its outcome is recorded it never runs again.
    EXTERNAL = "external"
    #: Nothing: it computes outputs.
    PURE = "pure"


class StepStatus(StrEnum):
    """Outcome of a step. `Failed` is a clear no, `Errored` a technical fault."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    ABORTED = "Aborted"
    FAILED = "Failed"
    ERRORED = "Errored"

    @property
    def failure(self) -> bool:
        return self in (StepStatus.FAILED, StepStatus.ERRORED)


class StepKind(Message):
    """What the house knows of a kind of step without running it. The name is the activity's type."""

    name: str
    effect: Effect = Effect.EXTERNAL
    #: Though it acts outside, it also changes the workspace: a rebuild runs it again with what it recorded, and then it
    #: changes the workspace alone.
    restores: bool = False
    #: It may say "not yet" and be asked again later; others get a single attempt.
    polls: bool = False
    #: It may ask people; the promotion waits for their answers, and nothing of a worker is held meanwhile.
    asks: bool = False
    #: Bounds the step from its first start, waiting included. None: no bound.
    timeout: timedelta | None = None
    #: Consecutive errors after which the step is Errored.
    error_threshold: int = 1
    #: Pause between two attempts that said "not yet".
    poll_interval: timedelta = timedelta(minutes=5)


class PlannedStep(Message):
    """One step of a frozen plan: a task's steps stand here already inflated."""

    #: Full alias: `step-1`, `commit`, `task-1::commit`.
    alias: str
    kind: StepKind
    config: Json = None
    #: The `if`, a template; empty: runs unless an earlier step failed.
    condition: str = ""
    continue_on_error: bool = False
    #: Overrides of the kind's defaults, from `retry`.
    error_threshold: int | None = None
    timeout: timedelta | None = None
    vars: list[ExpressionVariable] = Field(default_factory=list)

    @property
    def cleans_up(self) -> bool:
        """Whether it is to be looked at after an abort: its `if` asks `aborted()`, which nothing in Kargo does."""
        return bool(_ASKS_ABORTED.search(self.condition))

    def effective_timeout(self) -> timedelta | None:
        """`retry.timeout`, else the kind's; `0s` means none."""
        bound = self.kind.timeout if self.timeout is None else self.timeout
        return bound or None

    def effective_threshold(self) -> int:
        return self.error_threshold or self.kind.error_threshold


class PromotionPlan(Message):
    """What a Promotion will do, frozen when it is accepted."""

    steps: list[PlannedStep]
    #: Promotion-level variables, Stage's first, template's after; templates not yet evaluated.
    vars: list[ExpressionVariable] = Field(default_factory=list)


class PromotionContext(Message):
    """What the expressions of a promotion's steps may see, apart from earlier outputs."""

    project: str
    stage: str
    promotion: str
    actor: str = ""
    rollback: bool = False
    freight: FreightReference
    freight_alias: str = ""
    collection: FreightCollection
    origins: list[RequestedOrigin] = Field(default_factory=list)
    vars: list[ExpressionVariable] = Field(default_factory=list)
    #: Of the Stage: whose workers carry out the steps. Empty: those that serve no shard.
    shard: str = ""


class StepRequest(Message):
    """The argument of every step activity."""

    context: PromotionContext
    #: Names the directory of this promotion below the worker's workspace directory. Not a path.
    workspace: str
    step: PlannedStep
    #: Place in the plan, from 0.
    index: int
    outputs: dict[str, Json] = Field(default_factory=dict)
    #: Status of the earlier steps, by full alias.
    statuses: dict[str, StepStatus] = Field(default_factory=dict)
    #: An earlier step failed without continueOnError: what `failure()` says.
    failed: bool = False
    #: The promotion was aborted, and this is one of the steps that clean up: what `aborted()` says.
    aborted: bool = False
    #: When this step started first; the same in a rebuild, so that what it makes has the same dates.
    started_at: Time
    #: Create the workspace where it is missing (the first step on a host). Otherwise a missing one is WorkspaceLost.
    claim: bool = False
    #: The step had succeeded on a host that was lost: run it again to get its files back.
    rebuild: bool = False
    #: The output recorded then.
    recorded: dict[str, Json] | None = None
    #: An earlier attempt may have acted without its outcome being known.
    repeated: bool = False
    #: Nothing outside of the workspace may change: it is thrown away.
    preview: bool = False


#: The longest config that a step's record keeps, in bytes of JSON: for people to read, it is in the history.
LONGEST_CONFIG = 8 * 1024


class StepResult(Message):
    """What a step activity returns when the step Succeeded, was Skipped, or is Running: it asks people.

    Failures are raised (StepFailure).
    """

    status: StepStatus
    output: dict[str, Json] | None = None
    #: The evaluated config, with secrets masked; None where it is longer than `LONGEST_CONFIG`.
    config: Json = None
    message: str = ""
    health_checks: list[HealthCheckStep] = Field(default_factory=list)
    #: Sentences for the user, such as "image tag 1.10 became the number 1.1".
    warnings: list[str] = Field(default_factory=list)
    #: Task queue on which this promotion's next steps find its workspace.
    queue: str = ""
    #: Errors before this outcome.
    error_count: int = 0
    #: What it asks people; their answers are the promotion's to take.
    question: Question | None = None


class StepFailure(Message):
    """Detail of the application error that a failed step raises. The error's type is `Failed` or `Errored`."""

    message: str
    output: dict[str, Json] | None = None
    #: As in a StepResult.
    config: Json = None
    warnings: list[str] = Field(default_factory=list)
    error_count: int = 0
    queue: str = ""


#: Types of application errors raised by step activities.
FAILED = "Failed"
ERRORED = "Errored"
#: The promotion's directory is not on this host: rebuild it, then go on.
WORKSPACE_LOST = "WorkspaceLost"
#: "Not there yet": benign, retried after the poll interval.
NOT_YET = "NotYet"


class StepUse(Message):
    """One use of a step in a manifest, to be checked by a worker that knows the step."""

    #: Where it stands, for messages: `stages.yaml: Stage/dev: spec.promotionTemplate.spec.steps[0]`.
    where: str
    uses: str
    config: Json = None


class StepDescription(Message):
    """A kind of step, for people and editors."""

    kind: StepKind
    #: What it does, in a paragraph.
    description: str = ""
    #: JSON Schemas of its config, and of its output where that has a fixed form.
    config_schema: dict[str, Json] = Field(default_factory=dict)
    output_schema: dict[str, Json] | None = None


class DescribeStepsRequest(Message):
    """Argument of the activity `describe-steps`, and of the Cluster's update of that name."""

    #: Empty: all steps, without schemas.
    name: str = ""


class StepDescriptions(Message):
    """What a worker's steps are, sorted by name. Empty where there is none of the name asked for."""

    steps: list[StepDescription] = Field(default_factory=list)
    #: Why the list is empty: the step isn't known, and which name is near.
    message: str = ""


class StepProblem(Message):
    """What is wrong with one use of a step."""

    where: str
    message: str


class ExpressionUse(Message):
    """An expression without delimiters in a manifest, to be checked by a worker that can read it."""

    #: Where it stands, for messages: `warehouses.yaml: Warehouse/w: spec.freightCreationCriteria.expression`.
    where: str
    expression: str


class CheckStepsRequest(Message):
    """Argument of the activity `check-steps`."""

    uses: list[StepUse]
    expressions: list[ExpressionUse] = Field(default_factory=list)


class CheckStepsReport(Message):
    """Problems found, and what is known of each kind of step that was named."""

    problems: list[StepProblem] = Field(default_factory=list)
    kinds: dict[str, StepKind] = Field(default_factory=dict)
