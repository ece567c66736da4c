"""What passes between a Stage and its Verification."""

from __future__ import annotations

from pydantic import Field

from model.base import Json, Message, Time
from model.references import ExpressionVariable, FreightCollection, RequestedOrigin, VerificationPhase


class VerificationRequest(Message):
    """Argument of the workflow `Verification`: one AnalysisRun of a Stage's current Freight.

    The templates are the manifests as they stood when the verification was started (frozen), in the order
    in which they are merged: AnalysisTemplates first, then ClusterAnalysisTemplates.
    """

    project: str
    stage: str
    #: `<stage>.<ulid>.<collection id[:7]>`; the workflow's id is `verification/<project>/<name>`.
    name: str
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


class VerificationFinished(Message):
    """The signal `verification_finished` to the Stage, and the result of the workflow."""

    name: str
    #: Run id of the Verification: fences off a reset or repeated run.
    run_id: str = ""
    phase: VerificationPhase
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
