"""Whatever happens, in whatever order: what must hold of a Stage, of availability, and of what a Warehouse is told."""

from __future__ import annotations

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
from tests.model.simulated_stage import SimulatedStage

PIECES = st.integers(1, 12).map(lambda number: f"f{number:03}")
EVENTS = st.one_of(
    st.tuples(st.just("discover"), st.just("dev")),
    st.tuples(st.sampled_from(["approve", "withdraw", "request"]), PIECES),
    st.tuples(st.just("finish"), st.sampled_from([phase for phase in PromotionPhase if phase.terminal])),
    st.tuples(st.just("feel"), st.sampled_from(list(HealthState))),
    st.tuples(st.just("verified"), st.sampled_from([phase for phase in VerificationPhase if phase.terminal])),
    st.tuples(st.just("switch"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_to_a_stage(events: list[tuple[str, Any]]) -> None:
    simulated = SimulatedStage(a_stage(stages=["dev"]), a_state())
    state = simulated.state
    for event, argument in events:
        before = len(simulated.entered)
        getattr(simulated, event)(argument)
        simulated.look()
        # No Freight enters for which the Stage isn't available at that moment, by the rule itself.
        for name, _ in simulated.entered[before:]:
            record = next(record for record in state.snapshots["web"].freight if record.name == name)
            requests = simulated.stage.spec.requested_freight
            assert availability("prod", requests, record, simulated.now).available
        # The Stage holds the last success.
        current = state.current()
        assert (current.references()[0].name if current else None) == simulated.last_success
        # One turn at a time, and nothing waits without a reason.
        assert (state.promoting is None) or (state.verifying is None)
        assert not state.queue or why_wait(simulated.stage, state, simulated.now) is not None
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
