"""What a Warehouse decides: what is collected, what reports change, what is downstream."""

from __future__ import annotations

from datetime import timedelta

import pytest

from model.freight_status import FreightRecord
from model.warehouse_rules import collectable, downstream, forget_stage, relevant, take_report
from model.warehouse_state import WarehouseState
from model.warehouses import StageReport, StageSubscription
from tests.model.policy_world import HOUR, NOW, a_stage, piece

DAY = 24.0


def aged(count: int, first: float, **fields: object) -> dict[str, FreightRecord]:
    """Freight f000, f001 …, each a day older than the one before, the first `first` days old."""
    return {f"f{n:03}": piece(f"f{n:03}", age=(first + n) * DAY, **fields) for n in range(count)}  # type: ignore[arg-type] # fields of piece


@pytest.mark.parametrize(
    ("records", "kept"),
    [
        (aged(20, 100), 20),
        # The 20 newest stay, the rest is old enough.
        (aged(25, 100), 20),
        # Of the rest what is younger than 336 hours stays: the five oldest are 13 to 17 days old.
        (aged(25, -7), 21),
    ],
    ids=["up to twenty", "older than the age", "too young"],
)
def test_old_freight_is_collected(records: dict[str, FreightRecord], kept: int) -> None:
    assert len(records) - len(collectable(records, [], NOW)) == kept


def test_what_is_in_a_stage_keeps_all_that_is_newer_and_twenty_older() -> None:
    records = aged(60, 100)
    records["f030"].currently_in["prod"] = NOW
    assert collectable(records, [], NOW) == [f"f{n:03}" for n in range(51, 60)]


def test_one_very_old_piece_in_use_keeps_everything() -> None:
    records = aged(60, 100)
    records["f059"].currently_in["prod"] = NOW
    assert collectable(records, [], NOW) == []


def test_approved_and_queued_freight_is_never_collected() -> None:
    records = aged(25, 100)
    records["f024"].approved_for["prod"] = NOW
    assert collectable(records, ["f023"], NOW) == ["f020", "f021", "f022"]


def test_leaving_a_stage_keeps_the_longest_stay_of_what_was_verified_there() -> None:
    state = WarehouseState(project="shop", name="web")
    state.freight = {name: piece(name) for name in ("a", "b")}
    take_report(state, StageReport(stage="dev", sequence=1, current={"a": NOW}, verified={"a": NOW}))
    take_report(state, StageReport(stage="dev", sequence=2, current={"b": NOW + 5 * HOUR}))
    assert state.freight["a"].currently_in == {}
    assert state.freight["a"].verified_in["dev"].longest_soak == 5 * HOUR
    take_report(state, StageReport(stage="dev", sequence=3, current={"a": NOW + 6 * HOUR}))
    take_report(state, StageReport(stage="dev", sequence=4, current={"b": NOW + 8 * HOUR}))
    assert state.freight["a"].verified_in["dev"].longest_soak == timedelta(hours=5)
    assert state.freight["b"].verified_in == {}


def test_verification_is_never_taken_back_nor_its_time_moved() -> None:
    state = WarehouseState(project="shop", name="web", freight={"a": piece("a")})
    take_report(state, StageReport(stage="dev", sequence=1, verified={"a": NOW}))
    take_report(state, StageReport(stage="dev", sequence=2, verified={"a": NOW + HOUR}))
    take_report(state, StageReport(stage="dev", sequence=3))
    assert state.freight["a"].verified_in["dev"].verified_at == NOW


def test_deleting_a_stage_takes_its_marks_and_approvals() -> None:
    state = WarehouseState(project="shop", name="web")
    state.freight = {"a": piece("a", verified={"dev": 1, "qa": 1}, approved=("dev", "qa"), current={"dev": 1, "qa": 1})}
    forget_stage(state, "dev")
    record = state.freight["a"]
    assert [list(marks) for marks in (record.verified_in, record.approved_for, record.currently_in)] == [["qa"]] * 3


def subscribed(state: WarehouseState, name: str, *, control_flow: bool = False, **sources: object) -> None:
    request = a_stage(name, **sources).spec.requested_freight[0]  # type: ignore[arg-type] # sources of the Stage
    state.subscriptions[name] = StageSubscription(stage=name, revision=1, request=request, control_flow=control_flow)


def test_downstream_are_those_immediately_after_and_each_says_why_not() -> None:
    state = WarehouseState(project="shop", name="web", freight={"a": piece("a", verified={"dev": 1})})
    subscribed(state, "east", stages=["dev"])
    subscribed(state, "west", stages=["dev"], requiredSoakTime="1h")
    subscribed(state, "gate", stages=["dev"], control_flow=True)
    subscribed(state, "beyond", stages=["gate"])
    subscribed(state, "dev", direct=True)
    answer = downstream(state, "dev", "a", NOW)
    assert [(target.stage, target.available, target.control_flow) for target in answer.targets] == [
        ("east", True, False),
        ("gate", True, True),
        ("west", False, False),
    ]
    assert answer.targets[2].reason == "soaked 0s of 1h0m0s in Stage dev"
    assert not downstream(state, "dev", "unknown", NOW).known
    assert downstream(state, "nowhere", "a", NOW).targets == []


def test_a_stage_that_follows_its_upstream_is_told_what_is_there_however_old() -> None:
    state = WarehouseState(project="shop", name="web", freight=aged(60, 0, verified={"dev": 1}))
    state.freight["f059"].currently_in["dev"] = NOW
    options = {"selectionPolicy": "MatchUpstream"}
    subscribed(state, "prod", stages=["dev"], autoPromotionOptions=options)
    assert "f059" in [record.name for record in relevant(state, state.subscriptions["prod"], NOW)]


def test_a_stage_is_told_only_what_concerns_it() -> None:
    marks = {"dev": 1.0, "other": 1.0, "prod": 1.0}
    state = WarehouseState(project="shop", name="web")
    state.freight = {"a": piece("a", verified=marks, current=marks, approved=("prod", "other"))}
    subscribed(state, "prod", stages=["dev"])
    (told,) = relevant(state, state.subscriptions["prod"], NOW)
    assert (sorted(told.verified_in), sorted(told.currently_in)) == (["dev", "prod"], ["dev", "prod"])
    assert list(told.approved_for) == ["prod"]
