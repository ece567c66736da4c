"""Availability, rule by rule: approval, direct, OneOf, All, soak time, control-flow Stages upstream."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from model.availability import availability
from model.freight_status import FreightRecord
from tests.model.policy_world import HOUR, NOW, a_stage, piece

BOTH = {"a": 5.0, "b": 5.0}

CASES: list[tuple[str, dict[str, Any], FreightRecord, bool, str]] = [
    ("approved", {"stages": ["a"]}, piece("f", approved=("prod",)), True, "approved for Stage prod"),
    (
        "approved, soak doesn't matter",
        {"stages": ["a"], "requiredSoakTime": "9h"},
        piece("f", approved=("prod",)),
        True,
        "approved",
    ),
    ("approved elsewhere", {"stages": ["a"]}, piece("f", approved=("qa",)), False, "not verified in Stage a"),
    ("another origin", {"direct": True}, piece("f", "api"), False, "requests no Freight from Warehouse/api"),
    ("direct", {"direct": True}, piece("f"), True, "straight from Warehouse/web"),
    ("direct wins over stages", {"direct": True, "stages": ["a"]}, piece("f"), True, "straight from"),
    ("no sources", {}, piece("f"), False, "neither `direct` nor `stages`"),
    ("OneOf, none", {"stages": ["a", "b"]}, piece("f"), False, "not verified in Stage a and not verified in Stage b"),
    ("OneOf, second", {"stages": ["a", "b"]}, piece("f", verified={"b": 1}), True, "verified in Stage b"),
    (
        "All, one",
        {"stages": ["a", "b"], "availabilityStrategy": "All"},
        piece("f", verified={"b": 1}),
        False,
        "not verified in Stage a",
    ),
    (
        "All, both",
        {"stages": ["a", "b"], "availabilityStrategy": "All"},
        piece("f", verified=BOTH),
        True,
        "verified in a and b",
    ),
    (
        "soak by a finished stay",
        {"stages": ["a"], "requiredSoakTime": "2h"},
        piece("f", verified={"a": 1}, soaked={"a": 2}),
        True,
        "verified",
    ),
    (
        "soak by the present stay, from entering",
        {"stages": ["a"], "requiredSoakTime": "2h"},
        piece("f", verified={"a": 1}, current={"a": 2}),
        True,
        "verified",
    ),
    (
        "stays don't add up",
        {"stages": ["a"], "requiredSoakTime": "3h"},
        piece("f", verified={"a": 9}, soaked={"a": 2}, current={"a": 2}),
        False,
        "soaked 2h0m0s of 3h0m0s in Stage a",
    ),
    (
        "soak elsewhere doesn't count",
        {"stages": ["a", "b"], "requiredSoakTime": "3h"},
        piece("f", verified={"a": 9}, soaked={"c": 9}, current={"b": 9}),
        False,
        "soaked 0s of 3h0m0s in Stage a and not verified in Stage b",
    ),
    (
        "verified but not soaked in one, soaked in the other: OneOf",
        {"stages": ["a", "b"], "requiredSoakTime": "3h"},
        piece("f", verified=BOTH, current={"b": 4}),
        True,
        "verified in Stage b",
    ),
    (
        "verified in both, soaked in one: All",
        {"stages": ["a", "b"], "requiredSoakTime": "3h", "availabilityStrategy": "All"},
        piece("f", verified=BOTH, current={"b": 4}),
        False,
        "soaked 0s of 3h0m0s in Stage a",
    ),
]


@pytest.mark.parametrize(
    ("sources", "record", "available", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_availability(sources: dict[str, Any], record: FreightRecord, available: bool, reason: str) -> None:
    verdict = availability("prod", a_stage(**sources).spec.requested_freight, record, NOW)
    assert verdict.available is available
    assert reason in verdict.reason


def test_behind_a_control_flow_stage_soak_counts_from_verification() -> None:
    requests = a_stage(stages=["gate"], requiredSoakTime="3h").spec.requested_freight
    record = piece("f", verified={"gate": 2})
    assert not availability("prod", requests, record, NOW, {"gate"}).available
    assert availability("prod", requests, record, NOW + HOUR, {"gate"}).available
    assert not availability("prod", requests, record, NOW + HOUR, set()).available


@pytest.mark.parametrize(
    ("strategy", "record", "hours"),
    [
        ("OneOf", piece("f", verified=BOTH, current={"a": 1, "b": 2}), 1),
        ("All", piece("f", verified=BOTH, current={"a": 1, "b": 2}), 2),
        ("All", piece("f", verified={"a": 5}, current={"a": 1}), None),
        ("OneOf", piece("f", verified={"a": 5}), None),
    ],
)
def test_the_moment_a_soak_under_way_is_met(strategy: str, record: FreightRecord, hours: int | None) -> None:
    requests = a_stage(stages=["a", "b"], requiredSoakTime="3h", availabilityStrategy=strategy).spec.requested_freight
    verdict = availability("prod", requests, record, NOW)
    assert verdict.at == (NOW + timedelta(hours=hours) if hours is not None else None)
    if verdict.at is not None:
        assert availability("prod", requests, record, verdict.at).available
        assert not availability("prod", requests, record, verdict.at - timedelta(seconds=1)).available
