"""What a Stage decides: who may start, what counts as verified, what goes on by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from model.candidates import candidates
from model.freezes import Freeze, FreezeRequest, ThawRequest, active, frozen, thawed
from model.project_rules import bundle_for, config_settings
from model.project_state import ProjectState
from model.projects import ClusterSnapshot, StageEntry
from model.promotions import PromotionFinished
from model.references import Health, HealthState, VerificationPhase
from model.resources.project_config import PromotionWindow, PromotionWindowKind
from model.resources.promotion import PromotionPhase
from model.stage_rules import (
    collection_for,
    next_in_queue,
    passing_through,
    stage_health,
    to_promote,
    verified_now,
    why_wait,
)
from model.stages import StageBundle, Turn, TurnKind
from tests.model.policy_world import HOUR, NOW, a_stage, a_state, holding, piece, queued, reference, running

PROD = a_stage(direct=True)


# 4.5 the queue


@pytest.mark.parametrize(
    ("health", "verification", "settling", "waits"),
    [
        (HealthState.UNHEALTHY, None, 5, ""),
        (HealthState.NOT_APPLICABLE, None, 5, ""),
        (HealthState.PROGRESSING, None, 5, "settles"),
        (HealthState.UNKNOWN, None, 5, "settles"),
        (None, None, 5, "settles"),
        (HealthState.PROGRESSING, None, -1, ""),
        (HealthState.HEALTHY, None, 5, "about to be verified"),
        (HealthState.HEALTHY, VerificationPhase.FAILED, 5, ""),
        (HealthState.HEALTHY, VerificationPhase.SUCCESSFUL, 5, ""),
        (HealthState.PROGRESSING, VerificationPhase.ABORTED, 5, ""),
    ],
)
def test_after_a_success_the_next_waits_until_it_is_known_how_it_went(
    health: HealthState | None, verification: VerificationPhase | None, settling: int, waits: str
) -> None:
    state = a_state()
    holding(state, "f1", verification=verification)
    state.health = Health(status=health) if health else None
    state.settling_until = NOW + timedelta(minutes=settling)
    waiting = why_wait(PROD, state, NOW)
    assert bool(waiting) is bool(waits)
    assert waiting is None or waits in waiting.reason


def test_a_turn_and_a_verification_under_way_are_waited_for() -> None:
    state = a_state()
    running(state, queued("prod.1", "f1"))
    waiting = why_wait(PROD, state, NOW)
    assert waiting is not None
    assert waiting.reason == "Promotion prod.1 runs"
    state.turn = Turn(kind=TurnKind.VERIFICATION, name="v1", workflow_id="v", since=NOW)
    waiting = why_wait(PROD, state, NOW)
    assert waiting is not None
    assert waiting.reason == "Verification v1 is under way"


# 4.6 and 4.8


@pytest.mark.parametrize("phase", [PromotionPhase.FAILED, PromotionPhase.ERRORED, PromotionPhase.ABORTED])
def test_after_a_promotion_that_did_not_succeed_health_is_unknown_and_nothing_is_verified(
    phase: PromotionPhase,
) -> None:
    state = a_state()
    holding(state, "f1", verification=VerificationPhase.SUCCESSFUL)
    assert verified_now(state) == NOW
    state.last_promotion = PromotionFinished(name="next", phase=phase)
    health = stage_health(state)
    assert health is not None
    assert health.status is HealthState.UNKNOWN
    assert phase.value in health.issues[0]
    assert verified_now(state) is None


@pytest.mark.parametrize("health", [None, HealthState.PROGRESSING, HealthState.UNHEALTHY])
def test_freight_counts_as_verified_only_in_a_healthy_stage(health: HealthState | None) -> None:
    state = a_state()
    holding(state, "f1", verification=VerificationPhase.SUCCESSFUL)
    state.health = Health(status=health) if health else None
    assert verified_now(state) is None


# 4.4


def test_a_collection_inherits_what_the_stage_holds_of_origins_still_requested() -> None:
    two, one = a_stage(origins=("web", "api"), direct=True), a_stage(direct=True)
    state = a_state()
    state.history = [collection_for(two, a_state(), reference("a1", "api"))]
    state.last_promotion = PromotionFinished(name="failed", phase=PromotionPhase.FAILED, freight=reference("a2", "api"))
    held = collection_for(two, state, reference("w1"))
    assert {origin: piece.name for origin, piece in held.items.items()} == {
        "Warehouse/api": "a1",
        "Warehouse/web": "w1",
    }
    assert list(collection_for(one, state, reference("w1")).items) == ["Warehouse/web"]


# 4.9


def test_a_control_flow_stage_lets_all_available_freight_pass() -> None:
    gate = a_stage("gate", steps=False, stages=["dev"])
    records = [piece(f"f{n}", verified={"dev": 1} if n % 2 else {}) for n in range(30)]
    passed = passing_through(gate, a_state(*records, name="gate"), NOW)
    assert [record.name for record in passed["web"]] == [f"f{n}" for n in range(1, 30, 2)]
    assert to_promote(gate, a_state(*records, name="gate"), NOW) == []


# 4.10


def test_the_newest_available_is_the_candidate_and_ties_go_to_the_greater_name() -> None:
    prod = a_stage(stages=["dev"])
    state = a_state(piece("a", age=1, verified={"dev": 1}), piece("b", age=1, verified={"dev": 1}), piece("c", age=0))
    assert candidates(prod, state, NOW)["Warehouse/web"].name == "b"


@pytest.mark.parametrize(
    ("inside", "chosen"),
    [(["a"], "a"), (["a", "b"], None), ([], None), (["c"], None)],
    ids=["one", "two", "no", "unverified"],
)
def test_match_upstream_follows_what_is_in_the_one_stage(inside: list[str], chosen: str | None) -> None:
    prod = a_stage(stages=["dev"], autoPromotionOptions={"selectionPolicy": "MatchUpstream"})
    records = [
        piece(name, age=age, verified={} if name == "c" else {"dev": 5}, current={"dev": 1} if name in inside else {})
        for age, name in enumerate(("c", "b", "a"))
    ]
    found = candidates(prod, a_state(*records), NOW).get("Warehouse/web")
    assert (found.name if found else None) == chosen


def test_what_is_not_promoted_by_itself() -> None:
    def promoted(**fields: object) -> list[str]:
        state = a_state(piece("f1"), **fields)  # type: ignore[arg-type] # fields of the state
        return [record.name for record in to_promote(PROD, state, NOW)]

    assert promoted() == ["f1"]
    assert promoted(auto=False) == []
    assert promoted(outcomes={"f1": PromotionPhase.ABORTED}) == []
    assert promoted(queue=[queued("prod.1", "f1")]) == []
    frozen_bundle = StageBundle(revision=1, auto_promotion=True, freezes=[Freeze(scope="everything", since=NOW)])
    assert promoted(bundle=frozen_bundle) == []
    state = a_state(piece("f1"))
    holding(state, "f1")
    assert to_promote(PROD, state, NOW) == []
    state = a_state(piece("f1"))
    running(state, queued("prod.1", "f1"))
    assert to_promote(PROD, state, NOW) == []
    # Another one under way is no reason not to ask for the turn.
    state = a_state(piece("f1"))
    running(state, queued("prod.1", "f0"))
    assert [record.name for record in to_promote(PROD, state, NOW)] == ["f1"]


def test_auto_promotion_can_go_back_where_the_newer_is_no_longer_available() -> None:
    prod = a_stage(stages=["dev"])
    state = a_state(piece("new", age=1), piece("old", age=2, verified={"dev": 1}))
    holding(state, "new")
    assert [record.name for record in to_promote(prod, state, NOW)] == ["old"]


# Freezes


def test_a_freeze_says_who_when_and_why_and_is_remembered_after_its_end() -> None:
    log = frozen([], "Stage prod", FreezeRequest(reason="the sale", actor="email:ann@shop.test"), NOW)
    state = a_state(piece("f1"), freezes=log, queue=[queued("prod.1", "f1", override_window="urgent")])
    waiting = why_wait(PROD, state, NOW, "urgent")
    assert waiting is not None
    assert waiting.reason == "Stage prod is frozen by email:ann@shop.test since 2026-03-02T12:00:00Z: the sale"
    log = thawed(log, ThawRequest(actor="email:bob@shop.test"), NOW + HOUR)
    assert active(log) == []
    assert (log[0].thawed_by, log[0].thawed_at) == ("email:bob@shop.test", NOW + HOUR)
    state.freezes = log
    assert why_wait(PROD, state, NOW) is None


def test_freezing_again_counts_the_newer_reason_and_the_log_is_bounded() -> None:
    log: list[Freeze] = []
    for number in range(15):
        log = frozen(log, "everything", FreezeRequest(reason=str(number)), NOW)
    assert [freeze.reason for freeze in active(log)] == ["14"]
    assert len(log) == 10


# Promotion windows


def test_in_a_closed_window_only_what_overrides_it_starts() -> None:
    bundle = StageBundle.model_validate(
        {
            "revision": 1,
            "windows": [{"name": "w", "kind": "Deny", "dtstart": "20260302T110000Z", "dtend": "20260302T150000Z"}],
        }
    )
    state = a_state(bundle=bundle, queue=[queued("prod.1", "f1"), queued("prod.2", "f2", override_window="a fix")])
    waiting = why_wait(PROD, state, NOW)
    assert waiting is not None
    assert (
        waiting.reason
        == "the promotion window is closed: the Deny window w is active; it opens at 2026-03-02T15:00:00Z"
    )
    assert waiting.until == NOW + 3 * HOUR
    assert why_wait(PROD, state, NOW, "a fix") is None
    first = next_in_queue(state, NOW)
    assert first is not None
    assert first.name == "prod.2"
    later = next_in_queue(state, NOW + 3 * HOUR)
    assert later is not None
    assert later.name == "prod.1"


# closed promotion windows, and who may pass them


def _deny(name: str, hours: int) -> PromotionWindow:
    """A Deny window around NOW."""
    end = NOW + HOUR * hours
    return PromotionWindow(
        name=name, kind=PromotionWindowKind.DENY, dtstart="20260101T000000Z", dtend=f"{end:%Y%m%dT%H%M%SZ}"
    )


@pytest.mark.parametrize(
    ("strict", "override", "reason"),
    [
        ([], "", "is closed: the Deny window sale is active; it opens at 2026-03-02T13:00:00Z"),
        ([], "fire", ""),
        (["sale"], "", "is closed: the Deny window sale"),
        (["sale"], "fire", "is closed and lets nothing pass: the Deny window sale is active; it opens at"),
        (["over"], "fire", ""),
    ],
)
def test_what_passes_a_closed_window_is_a_matter_of_policy(strict: list[str], override: str, reason: str) -> None:
    windows = [_deny("over", -1), _deny("sale", 1)]
    strict_windows = [window for window in windows if window.name in strict]
    bundle = StageBundle(revision=1, windows=windows, strict_windows=strict_windows)
    waiting = why_wait(PROD, a_state(bundle=bundle), NOW, override)
    assert (waiting is None) is (reason == "")
    assert waiting is None or reason in waiting.reason


@pytest.mark.parametrize(
    ("of_cluster", "of_project", "strict"),
    [("", "", []), ("nothing", "", ["c"]), ("", "nothing", ["p"]), ("nothing", "manual", ["c"])],
)
def test_each_config_says_what_may_pass_its_own_windows(of_cluster: str, of_project: str, strict: list[str]) -> None:
    def config(policy: str, window: str) -> dict[str, Any]:
        annotations = {"towpath/closed-windows": policy, "towpath/health-interval": "1m"} if policy else {}
        windows = [_deny(window, 1).shown()]
        return {"metadata": {"name": "x", "annotations": annotations}, "spec": {"promotionWindows": windows}}

    cluster = ClusterSnapshot(revision=1, windows=[_deny("c", 1)], settings=config_settings(config(of_cluster, "c")))
    state = ProjectState(project="shop", cluster=cluster, config={"kind": "ProjectConfig", **config(of_project, "p")})
    bundle = bundle_for(state, "prod", StageEntry())
    assert [window.name for window in bundle.windows] == ["c", "p"]
    assert [window.name for window in bundle.strict_windows] == strict
    assert bundle.health_interval == (timedelta(minutes=1) if of_cluster or of_project else None)
