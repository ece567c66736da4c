"""What a Stage decides: who may start, what is verified, what goes on by itself. Pure; the workflow asks and acts.

Source: KARGO's stage controllers (pkg/controller/stages), with the differences that docs/architecture.md names.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from model.base import format_time
from model.candidates import candidates, freight_availability
from model.freezes import Freeze, active
from model.freight_status import FreightRecord
from model.holds import effective_holds
from model.references import (
    FreightCollection,
    FreightReference,
    Health,
    HealthState,
    VerificationPhase,
    collect,
)
from model.resources.project_config import PromotionWindow
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.stage_state import QueueEntry, StageState
from model.stages import TurnKind
from model.windows import window_status

#: How long a Stage waits after a success for its health to become definite before the next Promotion may start.
SETTLING = timedelta(minutes=5)


class Waiting(NamedTuple):
    """Why nothing may start, and until when at most."""

    reason: str
    until: datetime | None = None


def freezes(state: StageState) -> list[Freeze]:
    """The freezes in force: of everything, of the Project, of this Stage."""
    return [*state.bundle.freezes, *active(state.freezes)]


def restrained(state: StageState, now: datetime, override: str = "") -> Waiting | None:
    """Why policy lets nothing start now, whatever the Stage does: a freeze, or a closed promotion window.

    `override` is the reason for which someone may start in a closed window; of a freeze there is no exception, and
    of a window that lets nothing pass neither.
    """
    frozen = freezes(state)
    if frozen:
        return Waiting(frozen[0].sentence())
    closed = _closed(state.bundle.windows, "the promotion window is closed", now)
    return closed_to_all(state, now) if closed is not None and override else closed


def closed_to_all(state: StageState, now: datetime) -> Waiting | None:
    """Why nothing may start now, for whatever reason it is asked: a closed window that by policy lets nothing pass."""
    return _closed(state.bundle.strict_windows, "the promotion window is closed and lets nothing pass", now)


def _closed(windows: list[PromotionWindow], sentence: str, now: datetime) -> Waiting | None:
    if not windows:
        return None
    status = window_status(windows, now)
    if not status.closed:
        return None
    opens = f"; it opens at {format_time(status.next_open)}" if status.next_open else "; no opening is known"
    return Waiting(f"{sentence}: {status.reason}{opens}", status.next_open)


def next_in_queue(state: StageState, now: datetime) -> QueueEntry | None:
    """Who starts next: the first in the queue. Only one that overrides a closed window goes past those it holds."""
    return next((entry for entry in state.queue if restrained(state, now, entry.override_window) is None), None) or (
        state.queue[0] if state.queue else None
    )


def why_wait(stage: Stage, state: StageState, now: datetime, override: str = "") -> Waiting | None:
    """Why a Promotion may not start now; None: it may. `override` lets it through a closed window.

    A Stage settles after a success: while its health is not definite, or good but not yet verified, the next one
    waits, at most until `settling_until`. Bad health lets it start at once: it may be the fix.
    """
    if state.turn is not None:
        verb = "runs" if state.turn.kind is TurnKind.PROMOTION else "is under way"
        return Waiting(f"{state.turn.kind.value} {state.turn.name} {verb}")
    if (restraint := restrained(state, now, override)) is not None:
        return restraint
    if may_verify(stage, state):
        return Waiting("what it holds is about to be verified")
    if state.settling_until is None or now >= state.settling_until or not needs_verification(stage, state):
        return None
    status = state.health.status if state.health else None
    if status in (None, HealthState.PROGRESSING, HealthState.UNKNOWN):
        shown = status.value if status else "not known yet"
        return Waiting(f"the Stage settles: its health is {shown}", state.settling_until)
    return None


def needs_verification(stage: Stage, state: StageState) -> bool:
    """Whether what the Stage holds came by a success and has not been looked at by a verification."""
    current = state.current()
    last = state.last_promotion
    return bool(
        current
        and last
        and last.phase is PromotionPhase.SUCCEEDED
        and (not current.verification_history or state.reverify is not None)
    )


def may_verify(stage: Stage, state: StageState) -> bool:
    """Whether a verification may start now: nobody has the turn, and the Stage is Healthy."""
    return (
        state.turn is None
        and needs_verification(stage, state)
        and state.health is not None
        and state.health.status is HealthState.HEALTHY
    )


def verified_now(state: StageState) -> datetime | None:
    """When the current collection was verified, if it counts as verified at this moment.

    By state: Healthy, last Promotion Succeeded, no verification under way, the latest one Successful.
    """
    current = state.current()
    if not current or not current.verification_history or state.verifying is not None:
        return None
    last, latest = state.last_promotion, current.verification_history[0]
    if not last or last.phase is not PromotionPhase.SUCCEEDED or latest.phase is not VerificationPhase.SUCCESSFUL:
        return None
    if state.health is None or state.health.status is not HealthState.HEALTHY:
        return None
    return latest.finish_time


def stage_health(state: StageState) -> Health | None:
    """Health to show: Unknown while a Promotion runs or after one that did not succeed."""
    if state.promoting is not None:
        return Health(status=HealthState.UNKNOWN, issues=[f"Promotion {state.promoting.entry.name} is running"])
    last = state.last_promotion
    if last is None:
        return None
    if last.phase is not PromotionPhase.SUCCEEDED:
        phase = last.phase.value if last.phase else "refused"
        return Health(status=HealthState.UNKNOWN, issues=[f"the last Promotion, {last.name}, did not succeed: {phase}"])
    return state.health


def collection_for(stage: Stage, state: StageState, target: FreightReference) -> FreightCollection:
    """What the Stage will hold once `target` is promoted: the rest is inherited from what it really holds."""
    requested = {str(request.origin) for request in stage.spec.requested_freight}
    current = state.current()
    inherited = [piece for piece in current.references() if str(piece.origin) in requested] if current else []
    return collect(*inherited, target)


def in_flight(state: StageState, freight: str) -> bool:
    """Whether a Promotion of this Freight is under way, waits, or asks for admission."""
    names = [entry.freight.name for entry in state.queue] + [request.freight for request in state.inbox]
    if state.promoting is not None:
        names.append(state.promoting.entry.freight.name)
    return freight in names


def to_promote(stage: Stage, state: StageState, now: datetime) -> list[FreightRecord]:
    """What auto-promotion starts now, in order of origin.

    Not what is current, under way, or has failed here before: that is for a person to repeat. Nothing of an origin
    that is held, and nothing while policy lets nothing start: then the newest is promoted afterwards, not each.
    """
    if not state.bundle.auto_promotion or stage.control_flow or restrained(state, now) is not None:
        return []
    current, holds = state.current(), effective_holds(stage, state)
    return [
        record
        for origin, record in sorted(candidates(stage, state, now).items())
        if origin not in holds
        and not (current and current.includes(record.name))
        and not in_flight(state, record.name)
        and record.name not in state.outcomes
    ]


def passing_through(stage: Stage, state: StageState, now: datetime) -> dict[str, list[FreightRecord]]:
    """What a control-flow Stage marks verified now, by Warehouse: all that is available, not just the newest."""
    return {
        warehouse: [
            record
            for record in snapshot.freight
            if state.name not in record.verified_in and freight_availability(stage, state, record, now).available
        ]
        for warehouse, snapshot in sorted(state.snapshots.items())
    }


def next_availability(stage: Stage, state: StageState, now: datetime) -> datetime | None:
    """The next moment at which Freight that soaks upstream becomes available here."""
    moments = [
        verdict.at
        for snapshot in state.snapshots.values()
        for record in snapshot.freight
        if (verdict := freight_availability(stage, state, record, now)).at is not None and not verdict.available
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def next_change_of_windows(state: StageState, now: datetime) -> datetime | None:
    """When the promotion windows open or close next."""
    if not state.bundle.windows:
        return None
    status = window_status(state.bundle.windows, now)
    return status.next_open if status.closed else status.next_close
