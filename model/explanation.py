"""Why a Stage does what it does, and why it doesn't: a sentence for each Freight and for each origin. Pure."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from model.availability import availability
from model.base import Message, Time, format_time
from model.candidates import candidates, find_freight, matches_upstream, selectable
from model.freight_status import FreightRecord
from model.holds import effective_holds
from model.resources.stage import AutoPromotionHold, FreightRequest, Stage
from model.stage_rules import in_flight, restrained
from model.stage_state import StageState


class FreightExplanation(Message):
    """Whether a piece of Freight may come to a Stage, and whether it comes by itself."""

    freight: str
    alias: str = ""
    origin: str = ""
    available: bool = False
    #: Why it is available, or why not.
    reason: str = ""
    #: When a soak time that is under way will be met.
    available_at: Time | None = None
    #: Whether it is what auto-promotion would pick for its origin.
    candidate: bool = False
    #: Why it is promoted by itself, or why not.
    auto_promotion: str = ""


class OriginExplanation(Message):
    """What goes on by itself for one origin that a Stage requests."""

    origin: str
    #: Name and alias of what auto-promotion would pick; empty: nothing.
    candidate: str = ""
    alias: str = ""
    reason: str = ""


class StageExplanation(Message):
    """Answer of the query `explain` of a Stage."""

    stage: str
    auto_promotion: bool = False
    #: Why a Promotion could not start now; empty: it could.
    waiting: str = ""
    origins: list[OriginExplanation] = Field(default_factory=list)
    freight: list[FreightExplanation] = Field(default_factory=list)


def explain(
    state: StageState, stage: Stage | None, freight: list[FreightRecord], waiting: str, now: datetime
) -> StageExplanation:
    """What a Stage has to say for itself; `freight` are pieces of which more is wanted, as their Warehouse has them."""
    answer = StageExplanation(stage=state.name, auto_promotion=state.bundle.auto_promotion, waiting=waiting)
    if stage is None:
        return answer
    picked = candidates(stage, state, now)
    for request in stage.spec.requested_freight:
        origin = str(request.origin)
        record = picked.get(origin)
        answer.origins.append(
            OriginExplanation(
                origin=origin,
                candidate=record.name if record else "",
                alias=record.alias if record else "",
                reason=why_or_why_not(stage, state, request, record, now),
            )
        )
    answer.freight = [_piece(stage, state, record, picked.get(str(record.reference.origin)), now) for record in freight]
    return answer


def why_or_why_not(
    stage: Stage, state: StageState, request: FreightRequest, candidate: FreightRecord | None, now: datetime
) -> str:
    """Why an origin's candidate is promoted by itself now, or why not, in a sentence."""
    if stage.control_flow:
        return "Freight passes through a control-flow Stage by itself, without being promoted"
    if state.bundle.policy_problem:
        return state.bundle.policy_problem
    if not state.bundle.auto_promotion:
        return f"no promotion policy of the Project turns auto-promotion on for Stage {state.name}"
    hold = effective_holds(stage, state).get(str(request.origin))
    if hold is not None:
        return f"{_held(hold)}; promote the candidate to resume: `towpath promote --warehouse {request.origin.name}`"
    if candidate is None:
        return _no_candidate(stage, state, request, now)
    named = f"Freight {candidate.alias or candidate.name}"
    current = state.current()
    if current is not None and current.includes(candidate.name):
        return f"{named}, the candidate, is what the Stage holds"
    if in_flight(state, candidate.name):
        return f"{named}, the candidate, is being promoted or waits for its turn"
    if candidate.name in state.outcomes:
        phase = state.outcomes[candidate.name].value
        return f"the last promotion of {named} ended {phase}: it is not repeated by itself, a person must promote it"
    restraint = restrained(state, now)
    if restraint is not None:
        return f"{named} waits: {restraint.reason}"
    return f"{named} is promoted by itself"


def _no_candidate(stage: Stage, state: StageState, request: FreightRequest, now: datetime) -> str:
    snapshot = state.snapshots.get(request.origin.name)
    if snapshot is None:
        return f"Warehouse {request.origin.name} has not said yet what it holds"
    if matches_upstream(request):
        among, upstream = selectable(stage, state, request, now), request.sources.stages[0]
        if len(among) > 1:
            return f"Stage {upstream} is just changing its Freight"
        return f"nothing that is in Stage {upstream} now is available"
    if not snapshot.freight:
        return f"Warehouse {request.origin.name} knows no Freight that could come here"
    newest = max(snapshot.freight, key=lambda record: (record.discovered_at, record.name))
    reason = _reason(stage, state, newest, now)
    return f"no Freight is available; of the newest, {newest.alias or newest.name}: {reason}"


def _reason(stage: Stage, state: StageState, record: FreightRecord, now: datetime) -> str:
    return availability(state.name, stage.spec.requested_freight, record, now, _passing(state)).reason


def _passing(state: StageState) -> set[str]:
    return {name for snapshot in state.snapshots.values() for name in snapshot.control_flow}


def _piece(
    stage: Stage, state: StageState, record: FreightRecord, candidate: FreightRecord | None, now: datetime
) -> FreightExplanation:
    verdict = availability(state.name, stage.spec.requested_freight, record, now, _passing(state))
    chosen = candidate is not None and candidate.name == record.name
    request = stage.request(record.reference.origin)
    current = state.current()
    if request is None:
        by_itself = "its origin is not requested"
    elif not chosen and current is not None and current.includes(record.name):
        by_itself = "it is what the Stage holds"
    elif not chosen and in_flight(state, record.name):
        by_itself = "it is being promoted or waits for its turn"
    elif str(request.origin) in effective_holds(stage, state):
        by_itself = why_or_why_not(stage, state, request, candidate, now)
    elif chosen or not verdict.available or stage.control_flow or not state.bundle.auto_promotion:
        by_itself = why_or_why_not(stage, state, request, record if chosen else candidate, now)
    elif matches_upstream(request):
        by_itself = f"only what is in Stage {request.sources.stages[0]} is promoted by itself"
    elif candidate is not None:
        by_itself = f"Freight {candidate.alias or candidate.name} is newer: only the newest is promoted by itself"
    else:
        by_itself = "there is no candidate at the moment"
    if verdict.available and find_freight(state, record.name) is None:
        by_itself += " (its Warehouse has not told the Stage about it yet)"
    return FreightExplanation(
        freight=record.name,
        alias=record.alias,
        origin=str(record.reference.origin),
        available=verdict.available,
        reason=verdict.reason,
        available_at=verdict.at,
        candidate=chosen,
        auto_promotion=by_itself,
    )


def _held(hold: AutoPromotionHold) -> str:
    who = f" by {hold.actor}" if hold.actor else ""
    when = f" at {format_time(hold.created_at)}" if hold.created_at else ""
    return f"auto-promotion is held: Freight {hold.freight_name} was chosen{who}{when} in {hold.promotion_name}"
