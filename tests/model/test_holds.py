"""Holds, as in Kargo 1.11: stamped when accepted, effective while in flight, lasting or withdrawn at the end."""

from __future__ import annotations

import pytest

from model.holds import apply_intent, effective_holds, intent_of, tidy
from model.promotions import HoldIntent
from model.resources.promotion import PromotionPhase
from model.stage_rules import to_promote
from model.stages import StageBundle
from tests.model.policy_world import NOW, a_stage, a_state, holding, piece, queued, reference, running

PROD = a_stage(direct=True)
OLD, NEW = piece("old", age=2), piece("new", age=1)


@pytest.mark.parametrize(
    ("auto", "actor", "freight", "intent"),
    [
        (True, "subject:ann", "old", HoldIntent.HOLD),
        (True, "subject:ann", "new", HoldIntent.RESUME),
        (True, "", "old", HoldIntent.HOLD),
        (True, "controller:towpath", "old", None),
        (False, "subject:ann", "old", None),
    ],
)
def test_what_a_request_means(auto: bool, actor: str, freight: str, intent: HoldIntent | None) -> None:
    assert intent_of(PROD, a_state(OLD, NEW, auto=auto), actor, reference(freight), NOW) is intent


def test_without_a_candidate_a_person_s_choice_holds() -> None:
    prod = a_stage(stages=["dev"])
    assert intent_of(prod, a_state(NEW), "subject:ann", reference("new"), NOW) is HoldIntent.HOLD


def test_a_rollback_by_hand_holds_while_in_flight_and_after() -> None:
    state = a_state(OLD, NEW)
    holding(state, "new")
    back = queued("prod.1", "old", intent=HoldIntent.HOLD)
    running(state, back)
    assert effective_holds(PROD, state)["Warehouse/web"].promotion_name == "prod.1"
    assert state.holds == {}
    apply_intent(state, back, PromotionPhase.SUCCEEDED)
    state.promoting = state.turn = None
    holding(state, "old")
    hold = state.holds["Warehouse/web"]
    assert (hold.freight_name, hold.actor, hold.created_at) == ("old", "subject:someone", NOW)
    newer = a_state(OLD, NEW, piece("newer"), holds=state.holds, history=state.history)
    assert to_promote(PROD, newer, NOW) == []
    apply_intent(newer, queued("prod.2", "newer", intent=HoldIntent.RESUME), PromotionPhase.SUCCEEDED)
    assert [record.name for record in to_promote(PROD, newer, NOW)] == ["newer"]


@pytest.mark.parametrize(
    ("phase", "held"),
    [
        (PromotionPhase.SUCCEEDED, True),
        (PromotionPhase.FAILED, True),
        (PromotionPhase.ERRORED, True),
        (PromotionPhase.ABORTED, False),
    ],
)
def test_only_an_abort_withdraws_what_was_meant(phase: PromotionPhase, held: bool) -> None:
    state = a_state(OLD, NEW)
    apply_intent(state, queued("prod.1", "old", intent=HoldIntent.HOLD), phase)
    assert bool(state.holds) is held


def test_an_aborted_resume_leaves_the_hold() -> None:
    state = a_state(OLD, NEW)
    apply_intent(state, queued("prod.1", "old", intent=HoldIntent.HOLD), PromotionPhase.SUCCEEDED)
    resume = queued("prod.2", "new", intent=HoldIntent.RESUME)
    state.queue = [resume]
    assert effective_holds(PROD, state) == {}
    state.queue = []
    apply_intent(state, resume, PromotionPhase.ABORTED)
    assert list(effective_holds(PROD, state)) == ["Warehouse/web"]


def test_the_newest_in_flight_counts() -> None:
    state = a_state(OLD, NEW)
    state.queue = [
        queued("prod.2", "new", intent=HoldIntent.RESUME),
        queued("prod.1", "old", intent=HoldIntent.HOLD),
        queued("prod.3", "new", actor="controller:towpath"),
    ]
    assert effective_holds(PROD, state) == {}
    state.queue.append(queued("prod.4", "old", intent=HoldIntent.HOLD))
    assert effective_holds(PROD, state)["Warehouse/web"].promotion_name == "prod.4"


def test_holds_are_cleared_with_the_policy_or_the_origin() -> None:
    state = a_state(OLD, NEW)
    apply_intent(state, queued("prod.1", "old", intent=HoldIntent.HOLD), PromotionPhase.SUCCEEDED)
    apply_intent(state, queued("prod.2", "a1", "api", intent=HoldIntent.HOLD), PromotionPhase.SUCCEEDED)
    tidy(PROD, state)
    assert list(state.holds) == ["Warehouse/web"]
    state.bundle = StageBundle(revision=2)
    assert effective_holds(PROD, state) == {}
    tidy(PROD, state)
    assert state.holds == {}
    apply_intent(state, queued("prod.3", "old", intent=HoldIntent.HOLD), PromotionPhase.SUCCEEDED)
    assert state.holds == {}
