"""What a Promotion's steps add up to (Kargo: pkg/promotion/orchestrator.go)."""

from __future__ import annotations

from collections.abc import Sequence

from model.base import Json
from model.promotions import StepRecord
from model.resources.promotion import PromotionPhase
from model.steps import StepStatus

_SEVERITY = (
    StepStatus.SUCCEEDED,
    StepStatus.SKIPPED,
    StepStatus.RUNNING,
    StepStatus.ABORTED,
    StepStatus.FAILED,
    StepStatus.ERRORED,
)
_PHASE = {
    StepStatus.SUCCEEDED: PromotionPhase.SUCCEEDED,
    StepStatus.SKIPPED: PromotionPhase.SUCCEEDED,
    StepStatus.ABORTED: PromotionPhase.ABORTED,
    StepStatus.FAILED: PromotionPhase.FAILED,
}


def final_phase(records: Sequence[StepRecord]) -> tuple[PromotionPhase, str]:
    """The phase of a Promotion whose steps are over, and the message of its worst step.

    Steps with continueOnError don't count. All skipped is a success.
    """
    worst, message = StepStatus.SUCCEEDED, ""
    for record in records:
        if record.continue_on_error or record.status is None:
            continue
        if _SEVERITY.index(record.status) > _SEVERITY.index(worst):
            worst, message = record.status, record.message
    return _PHASE.get(worst, PromotionPhase.ERRORED), message if worst.failure or worst is StepStatus.ABORTED else ""


def has_failures(records: Sequence[StepRecord]) -> bool:
    """What `failure()` says: an earlier step without continueOnError is Failed or Errored."""
    return any(r.status is not None and r.status.failure and not r.continue_on_error for r in records)


def outputs_of(records: Sequence[StepRecord]) -> dict[str, Json]:
    """What `outputs` holds after these steps: by alias; what a task composed, also by the alias of the task."""
    outputs: dict[str, Json] = {}
    for record in records:
        if record.output is None:
            continue
        outputs[record.alias] = record.output
        task, separator, _ = record.alias.rpartition("::")
        if separator and record.uses == "compose-output":
            outputs[task] = {**outputs.get(task, {}), **record.output}
    return outputs
