"""What passes between a Stage and its Verification."""

from __future__ import annotations

from pydantic import Field

from model.analysis import AnalysisRunStatus, Measurement
from model.arguments import Argument
from model.base import Json, Message, Time
from model.metrics import MetricSchedule
from model.references import ExpressionVariable, FreightCollection, RequestedOrigin, VerificationPhase


class PreparedAnalysis(Message):
    """What `prepare-analysis` returns: a run that can be measured, or the reason why it can't."""

    #: Not empty: the run ends in Error with this message.
    error: str = ""
    #: In the order of `metrics`.
    schedules: list[MetricSchedule] = Field(default_factory=list)
    #: Metrics as written, arguments not filled in.
    metrics: list[dict[str, Json]] = Field(default_factory=list)
    args: list[Argument] = Field(default_factory=list)
    dry_run: list[dict[str, Json]] = Field(default_factory=list)
    measurement_retention: list[dict[str, Json]] = Field(default_factory=list)
    #: Sentences for the user, such as "argument x is declared by no template".
    warnings: list[str] = Field(default_factory=list)


class VerificationState(Message):
    """What a Verification knows so far: all that it carries through continue-as-new."""

    prepared: PreparedAnalysis | None = None
    status: AnalysisRunStatus = Field(default_factory=AnalysisRunStatus)
    #: Somebody asked for the abort, or cancelled the workflow.
    aborted: bool = False
    #: Who asked for it, as far as known.
    aborted_by: str = ""
    #: The first run of the chain: what the Stage knows this verification by.
    run_id: str = ""
    #: What could not be done, in sentences for people.
    notes: list[str] = Field(default_factory=list)


class VerificationRequest(Message):
    """Argument of the workflow `Verification`: one AnalysisRun of a Stage's current Freight.

    The templates are the manifests as they stood when the verification was started (frozen), in the order
    in which they are merged: AnalysisTemplates first, then ClusterAnalysisTemplates.
    """

    project: str
    stage: str
    #: `<stage>.<ulid>.<collection id[:7]>`; the workflow's id is `verification/<project>/<name>`.
    name: str
    #: Of the Stage: whose workers prepare and measure. Empty: those that serve no shard.
    shard: str = ""
    #: Whole manifests (apiVersion, kind, metadata, spec) of the templates.
    templates: list[dict[str, Json]] = Field(default_factory=list)
    #: Templates the Stage refers to that are nowhere to be found: `AnalysisTemplate/x`. Not empty: phase Error.
    missing_templates: list[str] = Field(default_factory=list)
    #: `spec.verification.args` of the Stage: values may hold `${{ }}` templates.
    args: list[ExpressionVariable] = Field(default_factory=list)
    #: `analysisRunMetadata` of the Stage: labels and annotations of the run.
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    #: Stage-level variables, for the expressions in `args`.
    vars: list[ExpressionVariable] = Field(default_factory=list)
    collection: FreightCollection
    origins: list[RequestedOrigin] = Field(default_factory=list)
    #: The Promotion whose result is verified.
    promotion: str = ""
    actor: str = ""
    #: Id of the Stage's workflow, which is told by the signal `verification_finished`; empty: nobody is told.
    stage_workflow: str = ""
    #: Set by the Verification itself, when it continues as new.
    state: VerificationState | None = None


class VerificationFinished(Message):
    """The signal `verification_finished` to the Stage, and the result of the workflow."""

    name: str
    #: Run id of the Verification: fences off a reset or repeated run.
    run_id: str = ""
    phase: VerificationPhase
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None


class ArgumentContext(Message):
    """What the expressions of a Stage's verification arguments may see."""

    project: str
    stage: str
    vars: list[ExpressionVariable] = Field(default_factory=list)
    collection: FreightCollection
    origins: list[RequestedOrigin] = Field(default_factory=list)


class MeasurementRequest(Message):
    """Argument of the activity `measure`: one measurement of one metric."""

    project: str
    stage: str
    #: Name of the AnalysisRun.
    run: str
    #: The metric as written, arguments not filled in.
    metric: dict[str, Json]
    #: Its name, arguments filled in.
    name: str
    #: Which measurement of this metric it is, from 1, those in Error included.
    number: int
    args: list[Argument] = Field(default_factory=list)
    #: Given where an argument is a template that reads a secret.
    context: ArgumentContext | None = None
    run_started_at: Time | None = None
    #: A measurement in flight, to be looked at again.
    in_flight: Measurement | None = None
    #: End the measurement in flight.
    terminate: bool = False


class MeasurementReport(Message):
    """What `measure` returns. Times of the measurement are the workflow's to set."""

    measurement: Measurement | None = None
    #: What is kept of the metric, such as the query as it was sent.
    metadata: dict[str, str] = Field(default_factory=dict)
    #: Instead of a measurement: the arguments can't be resolved, so the whole run ends in Error.
    unresolved: str = ""
