"""Which part of an earlier Promotion a rerun repeats. Pure."""

from __future__ import annotations

from model.outcome import final_phase
from model.promotions import PromotionRecord, Rerun, StepRecord
from model.resources.promotion import PromotionPhase
from model.steps import StepStatus


class RerunRefused(Exception):
    """That Promotion can't be repeated; the message says why."""


def rerun_of(name: str, record: PromotionRecord, *, from_failed_step: bool = False) -> Rerun:
    """What repeats this Promotion, with its plan and Freight. Raises RerunRefused."""
    if record.plan is None:
        raise RerunRefused(f"Promotion {name} was never accepted: there is no plan to repeat")
    if record.phase is None or not record.phase.terminal:
        raise RerunRefused(f"Promotion {name} is not over yet: abort it, or wait for its end")
    if not from_failed_step:
        return Rerun(promotion=name, plan=record.plan, freight=record.freight)
    if record.phase is PromotionPhase.SUCCEEDED:
        raise RerunRefused(f"Promotion {name} Succeeded: it has no failed step")
    done = record.steps[: failed_step(record.steps)]
    return Rerun(
        promotion=name, plan=record.plan, freight=record.freight, done=done, health_checks=record.health_checks
    )


def failed_step(steps: list[StepRecord]) -> int:
    """The place of the step from which to go on: the first that failed for good, was aborted or never began."""
    for place, step in enumerate(steps):
        if step.status in (None, StepStatus.RUNNING, StepStatus.ABORTED):
            return place
        if final_phase([step])[0] is not PromotionPhase.SUCCEEDED:
            return place
    return len(steps)
