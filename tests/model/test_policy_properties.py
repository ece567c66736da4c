"""Whatever happens, in whatever order: what must hold of a Stage, of availability, and of what a Warehouse is told."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from model.availability import availability
from model.explanation import explain
from model.holds import effective_holds
from model.references import HealthState, VerificationPhase
from model.resources.promotion import PromotionPhase
from model.stage_rules import why_wait
from model.warehouse_rules import relevant, take_report
from model.warehouse_state import WarehouseState
from model.warehouses import StageReport, StageSubscription
from tests.model.policy_world import HOUR, NOW, a_stage, a_state, piece
from tests.model.simulated_stage import Entry, SimulatedStage

PIECES = st.integers(1, 12).map(lambda number: f"f{number:03}")
#: What may happen to a Stage; what makes it go on stands here more often than what holds it up.
POSSIBLE: list[tuple[str, Any]] = [
    *[("discover", "dev")] * 6,
    *[(event, f"f{number:03}") for event in ("approve", "request", "override") for number in range(1, 9)],
    *[(event, f"f{number:03}") for event in ("withdraw", "delete") for number in range(1, 3)],
    *[("finish", phase) for phase in PromotionPhase if phase.terminal for _ in range(3)],
    *[("finish", PromotionPhase.SUCCEEDED)] * 9,
    *[("feel", health) for health in HealthState],
    *[("feel", HealthState.HEALTHY)] * 12,
    *[("verified", phase) for phase in VerificationPhase if phase.terminal],
    *[("verified", VerificationPhase.SUCCESSFUL)] * 9,
    *[(event, on) for event in ("switch", "go_back") for on in (True, True, False)],
    *[("freeze", on) for on in (True, False, False)],
    *[("close", policy) for policy in ("manual", "nothing", "", "")],
    *[("abort", 0), ("abort", 1), ("wait", 3), ("wait", 30)],
]
EVENTS = st.sampled_from(POSSIBLE)


def check_entries(entered: list[Entry]) -> None:
    """What entered was available at that moment, and nothing forbade it: by the facts, not by the rules themselves."""
    for entry in entered:
        assert entry.let_in
        assert not entry.frozen
        assert not entry.closed or (entry.closed == "manual" and entry.override)
        assert not entry.against_a_hold
        assert not entry.overtaking
        assert not (entry.rollback and entry.after_a_rollback)


def test_sequences_hold_all_that_can_happen() -> None:
    """The events below lead to everything that the properties speak of: else they would prove nothing."""
    chance = random.Random(11)
    seen: Counter[str] = Counter()
    for _ in range(150):
        simulated = SimulatedStage(a_stage(stages=["dev"]), a_state())
        for _ in range(40):
            event, argument = chance.choice(POSSIBLE)
            getattr(simulated, event)(argument)
            simulated.look()
        check_entries(simulated.entered)
        seen += simulated.seen
        seen["held"] += bool(simulated.state.holds)
        for entry in simulated.entered:
            seen["rollback"] += entry.rollback
            seen["by itself"] += entry.by_itself
            seen["by hand"] += not entry.by_itself
            seen["overridden"] += bool(entry.closed)
    expected = {phase.value for phase in PromotionPhase if phase.terminal}
    expected |= {"held", "rollback", "by itself", "by hand", "overridden", "override refused", "expired"}
    expected |= {"aborted while pending", "closed manual", "closed nothing"}
    assert {what for what in expected if not seen[what]} == set()


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_to_a_stage(events: list[tuple[str, Any]]) -> None:
    simulated = SimulatedStage(a_stage(stages=["dev"]), a_state())
    state = simulated.state
    for event, argument in events:
        before = len(simulated.entered)
        getattr(simulated, event)(argument)
        simulated.look()
        check_entries(simulated.entered[before:])
        # The Stage holds the last success.
        current = state.current()
        assert (current.references()[0].name if current else None) == simulated.last_success
        # One turn at a time, and nothing waits without a reason.
        assert (state.promoting is None) or (state.verifying is None)
        for entry in state.queue:
            waiting = why_wait(simulated.stage, state, simulated.now, entry.override_window)
            assert waiting is not None
            assert waiting.reason
        # Who asks why nothing goes on by itself gets an answer.
        assert all(origin.reason for origin in explain(state, simulated.stage, [], "", simulated.now).origins)
        assert state.bundle.auto_promotion or not effective_holds(simulated.stage, state)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=30))
def test_a_stage_left_alone_comes_to_rest(events: list[tuple[str, Any]]) -> None:
    simulated = SimulatedStage(a_stage(stages=["dev"]), a_state())
    for event, argument in events:
        getattr(simulated, event)(argument)
        simulated.look()
    simulated.freeze(False)
    for _ in range(200):
        if simulated.state.turn is None and not simulated.state.queue:
            break
        simulated.finish(PromotionPhase.SUCCEEDED)
        simulated.feel(HealthState.HEALTHY)
        simulated.verified(VerificationPhase.SUCCESSFUL)
        simulated.wait(1)
        simulated.look()
    assert simulated.state.turn is None
    assert simulated.state.queue == []


REPORTS = st.lists(st.tuples(st.sets(PIECES, max_size=3), st.sets(PIECES, max_size=3)), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(REPORTS, st.randoms(use_true_random=False))
def test_reports_doubled_and_reordered_give_the_same_end(said: list[tuple[set[str], set[str]]], chance: Any) -> None:
    """Reports say the whole: the last one decides what is where, and what was ever verified in it stays told in it."""
    verified: set[str] = set()
    reports = []
    for sequence, (current, newly) in enumerate(said, start=1):
        verified |= newly
        reports.append(
            StageReport(
                stage="prod",
                sequence=sequence,
                current=dict.fromkeys(sorted(current), NOW + HOUR * sequence),
                verified=dict.fromkeys(sorted(verified), NOW),
                kept=sorted(current),
            )
        )

    def told(order: list[StageReport]) -> dict[str, Any]:
        state = WarehouseState(project="shop", name="web")
        state.freight = {f"f{n:03}": piece(f"f{n:03}") for n in range(1, 13)}
        for report in order:
            take_report(state, report)
        return {
            "current": {name: sorted(record.currently_in) for name, record in state.freight.items()},
            "verified": {name: sorted(record.verified_in) for name, record in state.freight.items()},
            "kept": {stage: names for stage, names in state.kept.items() if names},
        }

    mixed = [*reports, *reports[:-1]]
    chance.shuffle(mixed)
    assert told([*mixed, reports[-1], reports[0]]) == told(reports)
    again = [report for report in reports for _ in range(2)]
    assert told(again) == told(reports)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), max_size=60),
    st.integers(0, 50),
)
def test_a_stage_is_told_of_what_it_would_promote(made: list[tuple[int, bool, bool]], soak: int) -> None:
    """However much Freight there is, what auto-promotion would pick is among what its Stage is told."""
    stage = a_stage(stages=["dev"], requiredSoakTime=f"{soak}h")
    state = WarehouseState(project="shop", name="web")
    for number, (age, verified, current) in enumerate(made):
        record = piece(
            f"f{number:03}", age=age, verified={"dev": age} if verified else {}, current={"dev": age} if current else {}
        )
        state.freight[record.name] = record
    request = stage.spec.requested_freight[0]
    told = relevant(state, StageSubscription(stage="prod", revision=1, request=request), NOW)

    def best(records: Any) -> str | None:
        available = [r for r in records if availability("prod", [request], r, NOW).available]
        return max(available, key=lambda r: (r.discovered_at, r.name)).name if available else None

    assert best(told) == best(state.freight.values())
    assert len(told) <= 31


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9)),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9)),
    st.sampled_from(["OneOf", "All"]),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_soaking_is_never_undone_by_waiting(
    verified: dict[str, int], current: dict[str, int], strategy: str, soak: int, later: int
) -> None:
    requests = a_stage(
        stages=["a", "b"], availabilityStrategy=strategy, requiredSoakTime=f"{soak}h"
    ).spec.requested_freight
    record = piece("f", verified=dict(verified), current=dict(current))
    now, then = (availability("prod", requests, record, NOW + timedelta(hours=h)) for h in (0, later))
    assert not now.available or then.available
    assert now.available or now.reason
