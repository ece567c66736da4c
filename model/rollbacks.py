"""Automatic rollbacks: back to the Freight that was verified last.

The setting is AutoRollbackConfig in Kargo's api/v1alpha1/project_config_types.go. Kargo's open-source code carries it
only; what it does is written here after its documented meaning.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from model.base import Message
from model.references import FreightCollection, FreightReference, VerificationPhase
from model.resources.promotion import PromotionPhase
from model.stage_state import StageState

#: A failure older than this is history: switching the policy on later rolls nothing back.
LONGEST_AGO = timedelta(hours=1)


class Rollback(Message):
    """What to go back to, origin by origin, and which failure is the cause."""

    #: Name of the Promotion, or of the verification, that failed: each is answered once.
    cause: str
    pieces: list[FreightReference]


def rollback(state: StageState, now: datetime) -> Rollback | None:
    """The rollback that is due now; None: none is.

    Only in a settled Stage: nobody has the turn, or waits for it. A rollback that fails is not rolled back.
    """
    policy, last = state.bundle.auto_rollback, state.last_promotion
    if policy is None or last is None or last.rollback or state.turn is not None or state.queue or state.inbox:
        return None
    if last.phase is not PromotionPhase.SUCCEEDED:
        wanted = last.phase is not None and last.phase.value in {phase.value for phase in policy.on_promotion}
        if not wanted or last.freight is None or not _recent(last.finished_at, now) or last.name == state.rolled_back:
            return None
        stable = _stable(state.history)
        origin = str(last.freight.origin)
        piece = stable.items.get(origin) if stable else None
        if piece is None or piece.name == last.freight.name:
            return None
        return Rollback(cause=last.name, pieces=[piece])
    current = state.current()
    if current is None or not current.verification_history:
        return None
    latest = current.verification_history[0]
    # Kargo: without onVerification a Failed verification is meant.
    phases = policy.on_verification or [VerificationPhase.FAILED]
    if latest.phase not in phases or not _recent(latest.finish_time, now) or latest.id == state.rolled_back:
        return None
    stable = _stable([collection for collection in state.history[1:] if collection.id != current.id])
    if stable is None:
        return None
    pieces = [piece for piece in stable.references() if not current.includes(piece.name)]
    return Rollback(cause=latest.id, pieces=pieces) if pieces else None


def _stable(history: list[FreightCollection]) -> FreightCollection | None:
    """The newest collection of which the latest verification was Successful."""
    return next(
        (
            collection
            for collection in history
            if collection.verification_history
            and collection.verification_history[0].phase is VerificationPhase.SUCCESSFUL
        ),
        None,
    )


def _recent(when: datetime | None, now: datetime) -> bool:
    return when is not None and now - when <= LONGEST_AGO
