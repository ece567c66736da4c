"""When Discovery runs begin and end, and what counts as news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.discovery import (
    artifacts_digest,
    failure_digest,
    is_failure,
    next_start,
    schedule_offset,
    schedule_period,
)
from model.resources.warehouse import DiscoveredArtifacts, DiscoveredImageReference, ImageDiscoveryResult

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("interval", "period"),
    [
        (timedelta(minutes=5), HOUR),
        (timedelta(minutes=7), timedelta(minutes=56)),
        (timedelta(minutes=45), timedelta(minutes=45)),
        (timedelta(hours=24), timedelta(hours=24)),
        (timedelta(seconds=1), HOUR),
        (timedelta(0), HOUR),
    ],
)
def test_period_holds_whole_intervals(interval: timedelta, period: timedelta) -> None:
    assert schedule_period(interval) == period


def test_schedules_are_spread_and_each_keeps_its_place() -> None:
    offsets = [schedule_offset(f"discovery/demo/{number}", HOUR) for number in range(600)]

    assert all(timedelta(0) <= offset < HOUR for offset in offsets)
    assert schedule_offset("discovery/demo/1", HOUR) == offsets[1]
    assert all(
        any(timedelta(minutes=minute) <= offset < timedelta(minutes=minute + 1) for offset in offsets)
        for minute in range(60)
    )


@pytest.mark.parametrize(
    ("now", "following"),
    [
        ("2026-01-01T10:10:00", "2026-01-01T10:20:00"),
        ("2026-01-01T10:20:00", "2026-01-01T11:20:00"),
        ("2026-01-01T10:20:01", "2026-01-01T11:20:00"),
    ],
)
def test_next_start(now: str, following: str) -> None:
    found = next_start(datetime.fromisoformat(now).replace(tzinfo=UTC), HOUR, timedelta(minutes=20))

    assert found == datetime.fromisoformat(following).replace(tzinfo=UTC)


def found(digest: str, at: int = 0) -> DiscoveredArtifacts:
    reference = DiscoveredImageReference(tag="1.0.0", digest=digest)
    return DiscoveredArtifacts(
        discovered_at=datetime(2026, 1, 1, 0, at, tzinfo=UTC),
        images=[ImageDiscoveryResult(repo_url="app", references=[reference])],
    )


def test_news_is_what_was_found_not_when() -> None:
    assert artifacts_digest(1, found("a", at=1)) == artifacts_digest(1, found("a", at=2))
    assert artifacts_digest(1, found("a")) != artifacts_digest(1, found("b"))
    assert artifacts_digest(1, found("a")) != artifacts_digest(2, found("a"))
    assert not is_failure(artifacts_digest(1, found("a")))


def test_same_failure_differs_only_in_numbers_and_ids() -> None:
    first = failure_digest(1, "image app", "request 4bf92f35 failed with 503 after 30.1 s")

    assert first == failure_digest(1, "image app", "request 00a067aa failed with 500 after 2.25 s")
    assert first != failure_digest(1, "image other", "request 4bf92f35 failed with 503 after 30.1 s")
    assert first != failure_digest(1, "image app", "no such repository")
    assert is_failure(first)
