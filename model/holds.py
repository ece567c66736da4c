"""Holds: auto-promotion of an origin rests, because a person chose other Freight (Kargo 1.11).

Kargo stamps the intent in pkg/webhook/kubernetes/promotion/webhook.go and applies it in
pkg/controller/stages/regular_stages.go.
"""

from __future__ import annotations

from datetime import datetime

from model.candidates import candidates
from model.promotions import HoldIntent
from model.references import FreightReference
from model.resources.promotion import PromotionPhase
from model.resources.stage import AutoPromotionHold, Stage
from model.stage_state import QueueEntry, StageState

#: Who is no person: what promotes by itself has no intent.
CONTROLLER = "controller:"


def intent_of(
    stage: Stage, state: StageState, actor: str, freight: FreightReference, now: datetime
) -> HoldIntent | None:
    """What a request means for auto-promotion of its origin, decided once, when it is accepted.

    The present candidate lets auto-promotion resume; anything else, also where there is no candidate, holds it.
    """
    if not state.bundle.auto_promotion or actor.startswith(CONTROLLER):
        return None
    candidate = candidates(stage, state, now).get(str(freight.origin))
    return HoldIntent.RESUME if candidate is not None and candidate.name == freight.name else HoldIntent.HOLD


def tidy(stage: Stage, state: StageState) -> None:
    """Holds mean nothing where auto-promotion is off, or for an origin that is no longer requested."""
    if not state.bundle.auto_promotion or stage.control_flow:
        state.holds = {}
        return
    requested = {str(request.origin) for request in stage.spec.requested_freight}
    state.holds = {origin: hold for origin, hold in state.holds.items() if origin in requested}


def apply_intent(state: StageState, entry: QueueEntry, phase: PromotionPhase) -> None:
    """A Promotion is over: what it meant takes effect, however it ended; an abort withdraws it."""
    if not state.bundle.auto_promotion or phase is PromotionPhase.ABORTED:
        return
    if entry.intent is HoldIntent.HOLD:
        state.holds[str(entry.freight.origin)] = _hold(entry)
    elif entry.intent is HoldIntent.RESUME:
        state.holds.pop(str(entry.freight.origin), None)


def effective_holds(stage: Stage, state: StageState) -> dict[str, AutoPromotionHold]:
    """What is held now: the lasting holds, each overridden by the newest Promotion of its origin in flight."""
    if not state.bundle.auto_promotion or stage.control_flow:
        return {}
    requested = {str(request.origin) for request in stage.spec.requested_freight}
    holds = {origin: hold for origin, hold in state.holds.items() if origin in requested}
    in_flight = [*([state.promoting.entry] if state.promoting else []), *state.queue]
    for entry in sorted(in_flight, key=lambda entry: entry.name):
        origin = str(entry.freight.origin)
        if origin not in requested:
            continue
        if entry.intent is HoldIntent.HOLD:
            holds[origin] = _hold(entry)
        elif entry.intent is HoldIntent.RESUME:
            holds.pop(origin, None)
    return holds


def _hold(entry: QueueEntry) -> AutoPromotionHold:
    return AutoPromotionHold(
        freight_name=entry.freight.name,
        origin=entry.freight.origin,
        promotion_name=entry.name,
        actor=entry.actor,
        created_at=entry.created_at,
    )
