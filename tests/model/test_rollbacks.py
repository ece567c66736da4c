"""Automatic rollbacks: when one is due, to what, and when none is."""

from __future__ import annotations

from typing import Any

import pytest

from model.promotions import PromotionFinished
from model.references import VerificationPhase, collect
from model.resources.project_config import AutoRollback
from model.resources.promotion import PromotionPhase
from model.rollbacks import rollback
from model.stage_state import StageState
from model.stages import StageBundle
from tests.model.policy_world import HOUR, NOW, a_state, holding, queued, reference

ON_ALL = {"onPromotion": ["Failed", "Errored"], "onVerification": ["Failed", "Error"]}


def state_with(policy: dict[str, Any] | None, **fields: Any) -> StageState:
    bundle = StageBundle(revision=1, auto_rollback=AutoRollback.model_validate(policy) if policy is not None else None)
    return a_state(bundle=bundle, **fields)


def failed(state: StageState, freight: str, phase: PromotionPhase = PromotionPhase.FAILED, **fields: Any) -> None:
    state.last_promotion = PromotionFinished(
        name="failed", phase=phase, freight=reference(freight), finished_at=NOW, **fields
    )


@pytest.mark.parametrize(
    ("policy", "phase", "back"),
    [
        (None, VerificationPhase.FAILED, False),
        ({}, VerificationPhase.FAILED, True),
        ({}, VerificationPhase.ERROR, False),
        ({"onVerification": ["Error"]}, VerificationPhase.ERROR, True),
        ({"onVerification": ["Error"]}, VerificationPhase.FAILED, False),
        (ON_ALL, VerificationPhase.SUCCESSFUL, False),
        (ON_ALL, VerificationPhase.INCONCLUSIVE, False),
        (ON_ALL, VerificationPhase.ABORTED, False),
        (ON_ALL, VerificationPhase.RUNNING, False),
    ],
)
def test_after_a_verification(policy: dict[str, Any] | None, phase: VerificationPhase, back: bool) -> None:
    state = state_with(policy)
    holding(state, "good", verification=VerificationPhase.SUCCESSFUL)
    holding(state, "doubtful", verification=VerificationPhase.INCONCLUSIVE)
    holding(state, "bad", verification=phase)
    due = rollback(state, NOW)
    assert ([piece.name for piece in due.pieces] if due else []) == (["good"] if back else [])


@pytest.mark.parametrize(
    ("policy", "phase", "back"),
    [
        ({}, PromotionPhase.FAILED, False),
        ({"onPromotion": ["Failed"]}, PromotionPhase.FAILED, True),
        ({"onPromotion": ["Failed"]}, PromotionPhase.ERRORED, False),
        (ON_ALL, PromotionPhase.ERRORED, True),
        (ON_ALL, PromotionPhase.ABORTED, False),
    ],
)
def test_after_a_promotion(policy: dict[str, Any], phase: PromotionPhase, back: bool) -> None:
    state = state_with(policy)
    holding(state, "good", verification=VerificationPhase.SUCCESSFUL)
    failed(state, "bad", phase)
    due = rollback(state, NOW)
    assert ([piece.name for piece in due.pieces] if due else []) == (["good"] if back else [])


def test_no_rollback_of_a_rollback_twice_too_late_or_while_others_wait() -> None:
    def due(**changes: Any) -> bool:
        state = state_with(ON_ALL)
        holding(state, "good", verification=VerificationPhase.SUCCESSFUL)
        failed(state, "bad")
        return rollback(state.model_copy(update=changes), NOW) is not None

    assert due()
    assert not due(rolled_back="failed")
    assert not due(queue=[queued("prod.1", "fix")])
    assert not due(history=[])
    state = state_with(ON_ALL)
    holding(state, "good", verification=VerificationPhase.SUCCESSFUL)
    failed(state, "bad", rollback=True)
    assert rollback(state, NOW) is None
    failed(state, "bad")
    assert rollback(state, NOW + HOUR) is not None
    assert rollback(state, NOW + 1.1 * HOUR) is None
    failed(state, "good")
    assert rollback(state, NOW) is None


def test_of_several_origins_only_what_differs_goes_back_in_order() -> None:
    state = state_with({})
    holding(state, "x", verification=VerificationPhase.SUCCESSFUL)
    good, bad = state.history[0], VerificationPhase.FAILED
    good.items = collect(reference("a1", "api"), reference("w1"), reference("d1", "db")).items
    holding(state, "y", verification=bad)
    state.history[0].items = collect(reference("a2", "api"), reference("w2"), reference("d1", "db")).items
    due = rollback(state, NOW)
    assert due is not None
    assert [piece.name for piece in due.pieces] == ["a1", "w1"]
