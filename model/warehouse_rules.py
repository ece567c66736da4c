"""What a Warehouse decides: which Freight to make, what to tell each Stage, what to forget. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from model.availability import availability
from model.discovery import Retention
from model.freight_status import FreightRecord, VerifiedIn
from model.promotions import FanOutAnswer, FanOutTarget
from model.resources.stage import SelectionPolicy
from model.warehouse_state import WarehouseState
from model.warehouses import StageReport, StageSubscription

#: How many of the newest pieces a Stage is told about, besides those it holds, keeps or asked for.
NEWEST = 30
#: How many pieces a control-flow Stage is told about at once.
PASSING = 100

#: Kargo's settings of its collector (pkg/garbage/freight.go), unless the operator says otherwise.
RETAINED, MIN_AGE = Retention().pieces, Retention().age


def newest_first(records: Iterable[FreightRecord]) -> list[FreightRecord]:
    """By discoveredAt, ties by name, newest first."""
    return sorted(records, key=lambda record: (record.discovered_at, record.name), reverse=True)


def control_flow_stages(state: WarehouseState) -> set[str]:
    return {name for name, subscription in state.subscriptions.items() if subscription.control_flow}


class Shelf:
    """All Freight of a Warehouse in order, and where to find what concerns a Stage without looking at every piece.

    Made once for all Stages that are told: with 2,000 pieces and hundreds of Stages, looking at each for each would
    take longer than a workflow may.
    """

    def __init__(self, records: Iterable[FreightRecord]) -> None:
        self.order = newest_first(records)
        #: Places in the order: of names, and of what is held by, verified in, approved for a Stage.
        self.places = {record.name: place for place, record in enumerate(self.order)}
        self.held: dict[str, set[int]] = {}
        self.verified: dict[str, set[int]] = {}
        self.approved: dict[str, set[int]] = {}
        for place, record in enumerate(self.order):
            for index, stages in (
                (self.held, record.currently_in),
                (self.verified, record.verified_in),
                (self.approved, record.approved_for),
            ):
                for stage in stages:
                    index.setdefault(stage, set()).add(place)


def relevant(
    state: WarehouseState, subscription: StageSubscription, now: datetime, shelf: Shelf | None = None
) -> list[FreightRecord]:
    """The Freight a Stage may have to decide about, newest first, each with as much as concerns that Stage.

    `shelf`: of the state's Freight, where several Stages are told.
    """
    request, stage = subscription.request, subscription.stage
    if request is None:
        return []
    shelf = shelf or Shelf(state.freight.values())
    upstream = set(request.sources.stages or [])
    passing = control_flow_stages(state)
    wanted = {*state.kept.get(stage, []), *state.questions.get(stage, [])}
    always = {shelf.places[name] for name in wanted if name in shelf.places} | shelf.held.get(stage, set())
    if request.sources.selection_policy is SelectionPolicy.MATCH_UPSTREAM:
        always = always.union(*(shelf.held.get(name, set()) for name in upstream))
    if request.sources.direct:
        may_come: Iterable[int] = range(len(shelf.order))
    else:
        verified = (shelf.verified.get(name, set()) for name in upstream)
        may_come = sorted(always.union(shelf.approved.get(stage, set()), *verified))
    chosen: list[FreightRecord] = []
    limit = PASSING if subscription.control_flow else NEWEST
    counted, found_available, last = 0, False, -1
    for place in may_come:
        if counted >= limit and found_available:
            # Of what comes after, only what is always told counts.
            break
        record, last = shelf.order[place], place
        if place in always:
            chosen.append(record)
            continue
        if subscription.control_flow and stage in record.verified_in:
            continue
        available = availability(stage, [request], record, now, passing).available
        # Beyond the limit just the newest one that is available counts: it is what auto-promotion would pick.
        if counted >= limit and not available:
            continue
        counted += 1
        found_available = found_available or available
        chosen.append(record)
    chosen += [shelf.order[place] for place in sorted(always) if place > last]
    seen = upstream | {stage}
    return [
        record.model_copy(
            update={
                "verified_in": {name: v for name, v in record.verified_in.items() if name in seen},
                "approved_for": {name: v for name, v in record.approved_for.items() if name == stage},
                "currently_in": {name: v for name, v in record.currently_in.items() if name in seen},
                "metadata": {},
                "revision": 0,
            }
        )
        for record in chosen
    ]


def take_report(state: WarehouseState, report: StageReport) -> bool:
    """Write down what a Stage reports. True: something changed. Older reports change nothing."""
    if report.sequence <= state.sequences.get(report.stage, 0):
        return False
    state.sequences[report.stage] = report.sequence
    stage, changed = report.stage, False
    if state.kept.get(stage, []) != report.kept:
        state.kept[stage] = report.kept
        changed = True
    if state.promoting.get(stage, []) != report.promoting:
        state.promoting[stage] = report.promoting
        changed = True
    entered = min(report.current.values(), default=None)
    for record in state.freight.values():
        since = record.currently_in.get(stage)
        if record.name in report.current:
            if since is None:
                record.currently_in[stage] = report.current[record.name]
                state.touch(record)
                changed = True
        elif since is not None:
            del record.currently_in[stage]
            state.touch(record)
            changed = True
            verified = record.verified_in.get(stage)
            if verified is not None and entered is not None:
                stay = max(entered - since, timedelta(0))
                verified.longest_soak = max(verified.longest_soak or timedelta(0), stay)
        when = report.verified.get(record.name)
        if when is not None and stage not in record.verified_in:
            record.verified_in[stage] = VerifiedIn(verified_at=when)
            state.touch(record)
            changed = True
    return changed


def forget_stage(state: WarehouseState, stage: str) -> None:
    """A Stage is deleted: downstream availability through it is gone."""
    for known in (state.subscriptions, state.sequences, state.kept, state.promoting, state.questions, state.told):
        known.pop(stage, None)
    for record in state.freight.values():
        statuses: tuple[dict[str, Any], ...] = (record.verified_in, record.approved_for, record.currently_in)
        if any(stage in status for status in statuses):
            state.touch(record)
        for status in statuses:
            status.pop(stage, None)


def downstream(state: WarehouseState, stage: str, freight: str, now: datetime) -> FanOutAnswer:
    """The Stages immediately downstream of a Stage for this Warehouse's Freight, and whether it may go there."""
    record = state.freight.get(freight)
    passing = control_flow_stages(state)
    targets = []
    for name, subscription in sorted(state.subscriptions.items()):
        request = subscription.request
        if request is None or stage not in (request.sources.stages or []):
            continue
        if record is None:
            targets.append(FanOutTarget(stage=name, reason="no such Freight"))
            continue
        verdict = availability(name, [request], record, now, passing)
        targets.append(
            FanOutTarget(
                stage=name,
                control_flow=subscription.control_flow,
                available=verdict.available,
                reason=verdict.reason,
            )
        )
    return FanOutAnswer(known=record is not None, targets=targets)


def why_not_deleted(state: WarehouseState, freight: str) -> str:
    """Why Freight may not be deleted by hand; empty: it may (Kargo looks at what Stages hold alone)."""
    if held := sorted(state.freight[freight].currently_in):
        return f"it is in {', '.join(held)}: promote other Freight there first"
    if wanted := sorted(stage for stage, names in state.promoting.items() if freight in names):
        return f"a Promotion to {', '.join(wanted)} waits or runs with it: abort that first, or let it end"
    return ""


def collectable(
    records: Mapping[str, FreightRecord],
    protected: Iterable[str],
    now: datetime,
    *,
    retained: int = RETAINED,
    min_age: timedelta = MIN_AGE,
) -> list[str]:
    """Names of the Freight that may be forgotten (Kargo: pkg/garbage/freight.go, more careful).

    The oldest piece in some Stage, all newer ones and the `retained` next older ones stay; of the rest those
    younger than `min_age`, and here also what is approved, queued, or in a Stage's history.
    """
    ordered: Sequence[FreightRecord] = newest_first(records.values())
    if len(ordered) <= retained:
        return []
    keep = set(protected)
    oldest_in_use = max((i for i, record in enumerate(ordered) if record.currently_in), default=-1)
    return [
        record.name
        for record in ordered[oldest_in_use + 1 + retained :]
        if record.discovered_at <= now - min_age and not record.approved_for and record.name not in keep
    ]
