"""A Stage that is about to verify what it holds lets nobody start before."""

from __future__ import annotations

from datetime import UTC, datetime

from model.promotions import PromotionFinished
from model.references import FreightOrigin, FreightReference, Health, HealthState, collect
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.stage_rules import why_wait
from model.stage_state import StageState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAGE = Stage.model_validate(
    {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "dev", "namespace": "shop"},
        "spec": {
            "requestedFreight": [{"origin": {"kind": "Warehouse", "name": "web"}, "sources": {"direct": True}}],
            "promotionTemplate": {"spec": {"steps": [{"uses": "work"}]}},
        },
    }
)


def test_verification_comes_before_the_next_promotion() -> None:
    held = collect(FreightReference(name="a", origin=FreightOrigin(name="web")))
    state = StageState(
        project="shop",
        name="dev",
        history=[held],
        last_promotion=PromotionFinished(name="dev.1.a", phase=PromotionPhase.SUCCEEDED),
        health=Health(status=HealthState.HEALTHY),
    )
    waiting = why_wait(STAGE, state, NOW)
    assert waiting is not None
    assert waiting.reason == "what it holds is about to be verified"
    state.health = Health(status=HealthState.UNHEALTHY)
    assert why_wait(STAGE, state, NOW) is None
