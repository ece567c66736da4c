"""Promotion windows: spans, recurrence, time zones, and when they open or close next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from model.resources.project_config import PromotionWindow
from model.windows import BadWindow, recurrence, window_status


def window(kind: str, dtstart: str, dtend: str, rrule: str = "", name: str = "w") -> PromotionWindow:
    return PromotionWindow.model_validate(
        {"name": name, "kind": kind, "rrule": rrule, "dtstart": dtstart, "dtend": dtend}
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


OFFICE = window(
    "Allow",
    "TZID=America/New_York:20200101T090000",
    "TZID=America/New_York:20200101T170000",
    "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "office",
)
NIGHT = window("Deny", "20200101T220000Z", "20200102T060000Z", "FREQ=DAILY", "night")
ONCE = window("Deny", "20260310T000000Z", "20260312T000000Z", name="sale")

CASES = [
    # New York is 5 hours behind UTC in winter, 4 in summer: 09:00 there stays 09:00.
    ("office open", [OFFICE], "2026-03-02T14:00", False, "2026-03-02T22:00"),
    ("office not yet", [OFFICE], "2026-03-02T13:59", True, "2026-03-02T14:00"),
    ("office over", [OFFICE], "2026-03-02T22:00", True, "2026-03-03T14:00"),
    ("office at the weekend, clocks change", [OFFICE], "2026-03-07T12:00", True, "2026-03-09T13:00"),
    ("office in summer", [OFFICE], "2026-07-06T13:30", False, "2026-07-06T21:00"),
    ("night", [NIGHT], "2026-03-02T23:00", True, "2026-03-03T06:00"),
    ("night over at its very end", [NIGHT], "2026-03-03T06:00", False, "2026-03-03T22:00"),
    ("once before", [ONCE], "2026-03-09T00:00", False, "2026-03-10T00:00"),
    ("once during", [ONCE], "2026-03-11T00:00", True, "2026-03-12T00:00"),
    ("once over", [ONCE], "2026-03-12T00:00", False, None),
    ("deny wins over allow", [OFFICE, ONCE], "2026-03-10T15:00", True, "2026-03-12T13:00"),
    ("allow closes before deny", [OFFICE, NIGHT], "2026-03-02T15:00", False, "2026-03-02T22:00"),
]


@pytest.mark.parametrize(("windows", "now", "closed", "change"), [c[1:] for c in CASES], ids=[str(c[0]) for c in CASES])
def test_open_or_closed_and_until_when(
    windows: list[PromotionWindow], now: str, closed: bool, change: str | None
) -> None:
    status = window_status(windows, at(now))
    assert status.closed is closed
    assert (status.next_open if closed else status.next_close) == (at(change) if change else None)
    assert bool(status.reason) is closed


def test_an_allow_window_that_is_over_never_opens_again() -> None:
    status = window_status([window("Allow", "20260101T000000Z", "20260102T000000Z", name="launch")], at("2026-02-01"))
    assert status.closed
    assert status.next_open is None
    assert status.reason == "no Allow window is active (there is launch)"


def test_count_until_and_interval() -> None:
    counted = window("Deny", "20260101T000000Z", "20260101T010000Z", "FREQ=DAILY;COUNT=3")
    assert window_status([counted], at("2026-01-03T00:30")).closed
    assert not window_status([counted], at("2026-01-04T00:30")).closed
    until = window("Deny", "20260101T000000Z", "20260101T010000Z", "FREQ=DAILY;UNTIL=20260103T000000Z")
    assert window_status([until], at("2026-01-03T00:30")).closed
    assert not window_status([until], at("2026-01-04T00:30")).closed
    second = window("Deny", "20260101T000000Z", "20260101T010000Z", "FREQ=DAILY;INTERVAL=2")
    assert [window_status([second], at(f"2027-01-0{day}T00:30")).closed for day in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize(
    ("start", "end", "rrule", "problem"),
    [
        ("", "20260101T000000Z", "", "dtstart: '' is not a moment"),
        ("2026-01-01", "20260101T000000Z", "", "dtstart: '2026-01-01' is not a moment"),
        ("20261301T000000Z", "20260101T000000Z", "", "dtstart: '20261301T000000Z' is not a moment"),
        ("TZID=Mars/Base:20260101T000000", "20260101T000000Z", "", "there is no time zone 'Mars/Base'"),
        ("TZID=../../etc/passwd:20260101T000000", "20260101T000000Z", "", "dtstart"),
        ("20260102T000000Z", "20260101T000000Z", "", "dtend: must be after dtstart"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=SOMETIMES", "is not a recurrence rule"),
        ("20260101T000000Z", "20260102T000000Z", "often", "is not a recurrence rule"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=SECONDLY", "HOURLY or longer"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=DAILY;COUNT=99999", "COUNT"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=DAILY;BYDAY=XX", "is not a recurrence rule"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never comes true"),
        ("20260101T000000Z", "20260102T000000Z", "FREQ=HOURLY;BYMONTHDAY=30", "HOURLY goes with"),
    ],
)
def test_windows_that_cannot_be_read_say_so_and_close(start: str, end: str, rrule: str, problem: str) -> None:
    bad = window("Deny", start, end, rrule)
    with pytest.raises(BadWindow, match=problem.replace("(", r"\(")):
        recurrence(bad)
    status = window_status([bad], at("2026-01-01"))
    assert status.closed
    assert "can't be read" in status.reason
