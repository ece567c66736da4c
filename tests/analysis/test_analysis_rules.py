"""Argo Rollouts' rules for measurements, metrics and runs, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.analysis import (
    AnalysisRunStatus,
    Measurement,
    MetricResult,
    assess_measurement,
    assess_run,
    limit_exceeded,
    metric_phase,
    next_measurement_at,
    record_measurement,
    run_phase,
    trim_measurements,
)
from model.base import Json
from model.metrics import MetricSchedule
from model.references import VerificationPhase as Phase

START = datetime(2026, 1, 1, tzinfo=UTC)
LETTERS = {"S": Phase.SUCCESSFUL, "F": Phase.FAILED, "I": Phase.INCONCLUSIVE, "E": Phase.ERROR, "R": Phase.RUNNING}


def schedule(name: str = "m", **fields: Json) -> MetricSchedule:
    return MetricSchedule.model_validate({"name": name, "provider": "web", **fields})


def measured(letters: str, name: str = "m", **fields: Json) -> MetricResult:
    """A result after measurements given as letters: S, F, I, E, and R for one in flight."""
    result = MetricResult(name=name, phase=Phase.RUNNING, **fields)
    for place, letter in enumerate(letters):
        at = START + timedelta(seconds=10 * place)
        finished = None if letter == "R" else at
        record_measurement(result, Measurement(phase=LETTERS[letter], started_at=at, finished_at=finished))
    return result


@pytest.mark.parametrize(
    ("success", "failure", "phase"),
    [
        (None, None, Phase.SUCCESSFUL),
        (True, None, Phase.SUCCESSFUL),
        (False, None, Phase.FAILED),
        (None, False, Phase.SUCCESSFUL),
        (None, True, Phase.FAILED),
        (True, False, Phase.SUCCESSFUL),
        (True, True, Phase.FAILED),
        (False, True, Phase.FAILED),
        (False, False, Phase.INCONCLUSIVE),
    ],
)
def test_conditions_decide_a_measurement(success: bool | None, failure: bool | None, phase: Phase) -> None:
    assert assess_measurement(success, failure) is phase


@pytest.mark.parametrize(
    ("letters", "counters"),
    [
        ("S", (1, 1, 0, 0, 0, 1, 0)),
        ("SS", (2, 2, 0, 0, 0, 2, 0)),
        ("SSF", (3, 2, 1, 0, 0, 0, 0)),
        ("SI", (2, 1, 0, 1, 0, 0, 0)),
        ("SE", (1, 1, 0, 0, 1, 0, 1)),
        ("EE", (0, 0, 0, 0, 2, 0, 2)),
        ("EES", (1, 1, 0, 0, 2, 1, 0)),
        ("EEF", (1, 0, 1, 0, 2, 0, 0)),
        ("EEI", (1, 0, 0, 1, 2, 0, 0)),
        ("SR", (1, 1, 0, 0, 0, 1, 0)),
    ],
)
def test_counters(letters: str, counters: tuple[int, ...]) -> None:
    result = measured(letters)
    assert (
        result.count,
        result.successful,
        result.failed,
        result.inconclusive,
        result.error,
        result.consecutive_success,
        result.consecutive_error,
    ) == counters


def test_measurement_in_flight_is_replaced_by_what_became_of_it() -> None:
    result = measured("SR")
    record_measurement(result, Measurement(phase=Phase.FAILED))
    assert [measurement.phase for measurement in result.measurements] == [Phase.SUCCESSFUL, Phase.FAILED]


UNLIMITED: dict[str, Json] = {"interval": "5s"}


@pytest.mark.parametrize(
    ("row", "fields", "letters", "terminating", "phase"),
    [
        ("2 none yet", {}, "", False, Phase.PENDING),
        ("2 none yet, terminating", {}, "", True, Phase.SUCCESSFUL),
        ("3 in flight", {"count": 1}, "R", False, Phase.RUNNING),
        ("3 in flight, limit passed before", {"count": 5, "failure_limit": 0}, "FR", False, Phase.RUNNING),
        ("4 fourth error in a row", UNLIMITED, "EEEE", False, Phase.RUNNING),
        ("4 fifth error in a row", UNLIMITED, "EEEEE", False, Phase.ERROR),
        ("4 errors not in a row", UNLIMITED, "EEEESEEEE", False, Phase.RUNNING),
        ("4 own error limit", {"consecutive_error_limit": 0}, "E", False, Phase.ERROR),
        ("4 inconclusive by default", UNLIMITED, "I", False, Phase.INCONCLUSIVE),
        ("4 inconclusive within limit", UNLIMITED | {"inconclusive_limit": 1}, "I", False, Phase.RUNNING),
        ("4 inconclusive over limit", UNLIMITED | {"inconclusive_limit": 1}, "II", False, Phase.INCONCLUSIVE),
        ("4 failed by default", UNLIMITED, "F", False, Phase.FAILED),
        ("4 failed within limit", UNLIMITED | {"failure_limit": 3}, "FFF", False, Phase.RUNNING),
        ("4 failed over limit", UNLIMITED | {"failure_limit": 3}, "FFFF", False, Phase.FAILED),
        ("4 failures switched off", UNLIMITED | {"failure_limit": -1}, "FFFF", False, Phase.RUNNING),
        ("4 error beats inconclusive and failed", {"consecutive_error_limit": 0}, "FIE", False, Phase.ERROR),
        ("4 inconclusive beats failed", UNLIMITED, "FI", False, Phase.INCONCLUSIVE),
        ("5 successes in a row", UNLIMITED | {"consecutive_success_limit": 2}, "SS", False, Phase.SUCCESSFUL),
        (
            "5 successes interrupted",
            UNLIMITED | {"consecutive_success_limit": 2, "failure_limit": 5},
            "SFS",
            False,
            Phase.RUNNING,
        ),
        (
            "6 count without the successes",
            {"count": 3, "interval": "5s", "consecutive_success_limit": 2, "failure_limit": 1},
            "SFS",
            False,
            Phase.INCONCLUSIVE,
        ),
        (
            "6 count without the successes, failures off",
            {"count": 3, "interval": "5s", "consecutive_success_limit": 2, "failure_limit": -1},
            "SFS",
            False,
            Phase.FAILED,
        ),
        ("6 count reached", {"count": 3, "interval": "5s", "failure_limit": 1}, "SFS", False, Phase.SUCCESSFUL),
        ("6 errors don't count", {"count": 2, "interval": "5s"}, "SE", False, Phase.RUNNING),
        ("6 single measurement", {}, "S", False, Phase.SUCCESSFUL),
        ("6 zero count is none", {"count": 0}, "S", False, Phase.SUCCESSFUL),
        ("7 terminating", UNLIMITED, "S", True, Phase.SUCCESSFUL),
        ("7 terminating after failures within limit", UNLIMITED | {"failure_limit": 2}, "F", True, Phase.SUCCESSFUL),
        ("8 goes on", UNLIMITED, "SSSS", False, Phase.RUNNING),
    ],
)
def test_metric_phase(row: str, fields: dict[str, Json], letters: str, terminating: bool, phase: Phase) -> None:
    assert metric_phase(schedule(**fields), measured(letters), terminating) is phase, row


@pytest.mark.parametrize("phase", [Phase.SUCCESSFUL, Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE])
def test_complete_metric_never_changes(phase: Phase) -> None:
    result = measured("FFFFF")
    result.phase = phase
    assert metric_phase(schedule(), result, terminating=False) is phase
    assert metric_phase(schedule(), result, terminating=True) is phase


def test_five_measurements_with_failure_limit_three_fail_at_the_fourth() -> None:
    metric = schedule(count=5, interval="5s", failure_limit=3)
    phases = [metric_phase(metric, measured("F" * failures), terminating=False) for failures in range(1, 5)]
    assert phases == [Phase.RUNNING, Phase.RUNNING, Phase.RUNNING, Phase.FAILED]


@pytest.mark.parametrize(
    ("fields", "letters", "message"),
    [
        ({"failure_limit": 3}, "FFFF", "failed (4) > failureLimit (3)"),
        ({}, "I", "inconclusive (1) > inconclusiveLimit (0)"),
        ({}, "EEEEE", "consecutiveErrors (5) > consecutiveErrorLimit (4)"),
    ],
)
def test_exceeded_limit_is_named(fields: dict[str, Json], letters: str, message: str) -> None:
    exceeded = limit_exceeded(schedule(**fields), measured(letters))
    assert exceeded is not None
    assert exceeded[1] == message


@pytest.mark.parametrize(
    ("fields", "letters", "seconds"),
    [
        ({}, "", 0),
        ({"initial_delay": "1m"}, "", 60),
        ({"count": 3, "interval": "30s"}, "S", 30),
        ({"count": 3, "interval": "30s"}, "SF", 40),
        ({"count": 3, "interval": "30s"}, "SFS", None),
        ({"interval": "1h"}, "E", 10),
        ({"interval": "1s"}, "SE", 20),
        ({}, "E", 10),
        ({}, "S", None),
        ({"interval": "1ms"}, "S", 1),
    ],
)
def test_time_of_the_next_measurement(fields: dict[str, Json], letters: str, seconds: int | None) -> None:
    due = next_measurement_at(schedule(**fields), measured(letters) if letters else None, START)
    assert due == (None if seconds is None else START + timedelta(seconds=seconds))


def test_interval_counts_from_the_end_of_a_measurement() -> None:
    result = MetricResult(name="m", phase=Phase.RUNNING)
    finished = START + timedelta(seconds=7)
    record_measurement(result, Measurement(phase=Phase.SUCCESSFUL, started_at=START, finished_at=finished))
    assert next_measurement_at(schedule(interval="30s"), result, START) == finished + timedelta(seconds=30)


def test_measurement_in_flight_is_looked_at_again_when_its_provider_says() -> None:
    resume_at = START + timedelta(seconds=3)
    result = MetricResult(name="m", measurements=[Measurement(phase=Phase.RUNNING, resume_at=resume_at)])
    assert next_measurement_at(schedule(), result, START) == resume_at


def run_of(*results: MetricResult) -> AnalysisRunStatus:
    return AnalysisRunStatus(phase=Phase.RUNNING, started_at=START, metric_results=list(results))


@pytest.mark.parametrize(
    ("row", "phases", "terminate", "expected"),
    [
        ("all successful", "SS", False, Phase.SUCCESSFUL),
        ("one still running", "SR", False, Phase.RUNNING),
        ("failed beats error at run level", "FE", False, Phase.FAILED),
        ("error beats inconclusive", "IE", False, Phase.ERROR),
        ("inconclusive beats successful", "SI", False, Phase.INCONCLUSIVE),
        ("terminated before anything", "", True, Phase.SUCCESSFUL),
        ("terminated with a failure", "F", True, Phase.FAILED),
    ],
)
def test_run_phase(row: str, phases: str, terminate: bool, expected: Phase) -> None:
    metrics = [schedule(str(place)) for place in range(2)]
    results = [MetricResult(name=str(place), phase=LETTERS[letter]) for place, letter in enumerate(phases)]
    assert run_phase(run_of(*results), metrics, terminate)[0] is expected, row


def test_failed_metric_stops_its_siblings_and_is_named_in_the_message() -> None:
    metrics = [schedule("bad"), schedule("good", interval="5s"), schedule("late", interval="5s", initial_delay="1h")]
    bad = measured("F", name="bad")
    bad.measurements[-1].message = "too slow"
    status = run_of(bad, measured("SS", name="good"))
    assess_run(status, metrics, terminate=False, now=START)
    assert status.phase is Phase.FAILED
    assert status.message == (
        'Metric "bad" assessed Failed due to failed (1) > failureLimit (0): "Error Message: too slow"'
    )
    assert [result.phase for result in status.metric_results] == [Phase.FAILED, Phase.SUCCESSFUL]
    assert status.run_summary.model_dump() == {
        "count": 3,
        "successful": 1,
        "failed": 1,
        "inconclusive": 0,
        "error": 0,
    }
    assert status.completed_at == START


def test_run_waits_for_a_measurement_in_flight_before_it_ends() -> None:
    metrics = [schedule("bad"), schedule("slow", interval="5s")]
    status = run_of(measured("F", name="bad"), measured("R", name="slow"))
    assess_run(status, metrics, terminate=False, now=START)
    assert status.phase is Phase.RUNNING
    slow = status.result("slow")
    assert slow is not None
    record_measurement(slow, Measurement(phase=Phase.SUCCESSFUL, finished_at=START))
    assess_run(status, metrics, terminate=False, now=START)
    assert status.phase is Phase.FAILED
    assert slow.phase is Phase.SUCCESSFUL


def test_dry_run_metric_is_shown_but_decides_nothing() -> None:
    metrics = [schedule("dry", dry_run=True, interval="5s"), schedule("real", count=2, interval="5s")]
    status = run_of(measured("F", name="dry", dry_run=True), measured("S", name="real"))
    assess_run(status, metrics, terminate=False, now=START)
    assert status.phase is Phase.RUNNING
    dry = status.result("dry")
    assert dry is not None
    assert dry.phase is Phase.FAILED
    assert dry.message == "Metric assessed Failed due to failed (1) > failureLimit (0)"
    status.metric_results[1] = measured("SS", name="real")
    assess_run(status, metrics, terminate=False, now=START)
    assert status.phase is Phase.SUCCESSFUL
    assert status.dry_run_summary.failed == 1
    assert status.run_summary.failed == 0


def test_run_of_dry_metrics_alone_is_successful() -> None:
    status = run_of(measured("F", name="dry", dry_run=True))
    assess_run(status, [schedule("dry", dry_run=True)], terminate=False, now=START)
    assert status.phase is Phase.SUCCESSFUL


def test_terminated_run_says_so() -> None:
    status = run_of(measured("S"))
    assess_run(status, [schedule(interval="5s")], terminate=True, now=START)
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "Run Terminated")


def test_old_measurements_go_but_counters_stay() -> None:
    result = measured("S" * 25)
    trim_measurements(schedule(), result)
    assert len(result.measurements) == 10
    assert result.count == 25
    trim_measurements(schedule(retention=3), result)
    assert len(result.measurements) == 3
    assert result.measurements[-1].started_at == START + timedelta(seconds=240)


def test_run_is_shown_as_kubernetes_would() -> None:
    status = run_of(measured("SE"))
    assert status.shown() == {
        "phase": "Running",
        "startedAt": "2026-01-01T00:00:00Z",
        "metricResults": [
            {
                "name": "m",
                "phase": "Running",
                "count": 1,
                "successful": 1,
                "error": 1,
                "consecutiveError": 1,
                "measurements": [
                    {
                        "phase": "Successful",
                        "startedAt": "2026-01-01T00:00:00Z",
                        "finishedAt": "2026-01-01T00:00:00Z",
                    },
                    {"phase": "Error", "startedAt": "2026-01-01T00:00:10Z", "finishedAt": "2026-01-01T00:00:10Z"},
                ],
            }
        ],
    }
