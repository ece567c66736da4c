"""What a Promotion would change: its steps that touch nothing but the workspace, run in one that is thrown away."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from model.base import Message, Time
from model.steps import Effect, PromotionContext, PromotionPlan, StepKind

#: The longest diff of one worktree that is shown, in characters.
LONGEST_DIFF = 200_000
#: Of all worktrees together: the answer stays far under the size that Temporal takes.
LONGEST_DIFFS = 600_000


class PreviewDraft(Message):
    """Answer of a Stage's query `draft`: what it would promote, and how. `refusal`: why it could not at all."""

    plan: PromotionPlan | None = None
    context: PromotionContext | None = None
    #: Why this Freight would be refused now; the preview shows all the same what it would change.
    unavailable: str = ""
    refusal: str = ""


class PreviewRequest(Message):
    """Argument of the workflow `Preview` and of the activity `preview-promotion`."""

    context: PromotionContext
    plan: PromotionPlan
    #: The date of what the steps make.
    started_at: Time | None = None


class PreviewOutcome(StrEnum):
    """What became of a step in a preview."""

    #: It ran as in a Promotion.
    DONE = "Done"
    #: Its condition is false, or an earlier step failed.
    SKIPPED = "Skipped"
    #: It acts outside of the workspace, or waits for something there: left out.
    LEFT_OUT = "LeftOut"
    #: It can't be told: it needs what a step that was left out gives.
    UNKNOWN = "Unknown"
    #: It would fail so in a Promotion too.
    FAILED = "Failed"


class PreviewedStep(Message):
    """One step of the plan."""

    alias: str
    uses: str
    outcome: PreviewOutcome
    message: str = ""
    warnings: list[str] = Field(default_factory=list)


class ChangedFile(Message):
    """One file in a diff; added and deleted lines, None for binary files."""

    path: str
    added: int | None = None
    deleted: int | None = None


class WorktreeChange(Message):
    """What would be committed in one worktree."""

    #: The repository, without credentials.
    repo_url: str
    #: The branch that is checked out; empty: none.
    branch: str = ""
    #: Path of the worktree in the workspace.
    path: str
    #: Subjects of the commits that would be made, oldest first.
    commits: list[str] = Field(default_factory=list)
    files: list[ChangedFile] = Field(default_factory=list)
    #: In the unified format of `git diff`.
    diff: str = ""
    #: The diff is longer than what is shown.
    truncated: bool = False


class PreviewResult(Message):
    """What a Promotion would change: result of the workflow `Preview`."""

    project: str
    stage: str
    freight: str
    freight_alias: str = ""
    #: Why this Freight would be refused now; empty: it would be accepted.
    unavailable: str = ""
    steps: list[PreviewedStep] = Field(default_factory=list)
    changes: list[WorktreeChange] = Field(default_factory=list)

    @property
    def failure(self) -> PreviewedStep | None:
        """The first step that would fail."""
        return next((step for step in self.steps if step.outcome is PreviewOutcome.FAILED), None)


def runs_in_preview(kind: StepKind) -> bool:
    """Whether a step of this kind touches only the workspace, and waits for nothing and nobody."""
    return kind.effect is not Effect.EXTERNAL and not kind.polls and not kind.asks
