"""What auto-promotion would pick for each origin (Kargo: pkg/api/auto_promotion.go, SelectAutoPromotionCandidates)."""

from __future__ import annotations

from datetime import datetime

from model.availability import Availability, availability
from model.freight_status import FreightRecord
from model.resources.stage import FreightRequest, SelectionPolicy, Stage
from model.stage_state import StageState


def find_freight(state: StageState, name: str) -> FreightRecord | None:
    """Freight by name in the Stage's copies, Warehouse by Warehouse."""
    for warehouse in sorted(state.snapshots):
        for record in state.snapshots[warehouse].freight:
            if record.name == name:
                return record
    return None


def freight_availability(stage: Stage, state: StageState, record: FreightRecord, now: datetime) -> Availability:
    """Availability by the Stage's own copy of what its Warehouses hold."""
    passing = {name for snapshot in state.snapshots.values() for name in snapshot.control_flow}
    return availability(state.name, stage.spec.requested_freight, record, now, passing)


def selectable(stage: Stage, state: StageState, request: FreightRequest, now: datetime) -> list[FreightRecord]:
    """The Freight of one origin among which the selection policy chooses: available, newest first.

    MatchUpstream: only what is in the one upstream Stage at this moment.
    """
    snapshot = state.snapshots.get(request.origin.name)
    found = [
        record
        for record in (snapshot.freight if snapshot else [])
        if record.reference.origin == request.origin
        and freight_availability(stage, state, record, now).available
        and (not matches_upstream(request) or any(name in record.currently_in for name in request.sources.stages))
    ]
    return sorted(found, key=lambda record: (record.discovered_at, record.name), reverse=True)


def candidates(stage: Stage, state: StageState, now: datetime) -> dict[str, FreightRecord]:
    """The Freight that auto-promotion would pick, by origin. Whether it is promoted is another question.

    MatchUpstream with more than one in the upstream Stage, for a moment while it changes: none.
    """
    found: dict[str, FreightRecord] = {}
    for request in stage.spec.requested_freight:
        among = selectable(stage, state, request, now)
        if among and not (matches_upstream(request) and len(among) > 1):
            found[str(request.origin)] = among[0]
    return found


def matches_upstream(request: FreightRequest) -> bool:
    return request.sources.selection_policy is SelectionPolicy.MATCH_UPSTREAM
