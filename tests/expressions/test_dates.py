"""Dates, durations and zones behave like those of Go's time package."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressions.dates import civil_from_days, days_from_civil, from_datetime
from expressions.errors import ExpressionError
from expressions.evaluator import evaluate
from expressions.functions.moments import parse_duration
from expressions.layouts import format_date, parse_date

NOW = datetime(2024, 2, 29, 23, 59, 58, 500_000, tzinfo=UTC)


def run(source: str) -> Any:
    return evaluate(source, now=NOW)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("now().Year()", 2024),
        ("string(now())", "2024-02-29 23:59:58.5 +0000 UTC"),
        ("now(timezone('Asia/Kolkata')).Hour()", 5),
        ("date('2024-02-29').Month()", 2),
        ("string(date('2024-02-29').Month())", "February"),
        ("string(date('2024-02-29').Weekday())", "Thursday"),
        ("date('2024-02-29').Weekday() == 4", True),
        ("date('2024-12-31').YearDay()", 366),
        ("date('2024-02-29 10:11:12').Minute()", 11),
        ("date('15:04:05').Year()", 0),
        ("date('2024-01-01T00:00:00.25Z').Nanosecond()", 250_000_000),
        ("date('2024-01-01').Unix()", 1704067200),
        ("date('2024-01-01T01:00:00+01:00') == date('2024-01-01')", True),
        ("date('2024-01-02') > date('2024-01-01')", True),
        ("string(date('2024-01-02') - date('2024-01-01'))", "24h0m0s"),
        ("string(date('2024-01-01') + duration('36h'))", "2024-01-02 12:00:00 +0000 UTC"),
        ("date('2024-01-31').AddDate(0, 1, 0).Format('2006-01-02')", "2024-03-02"),
        ("date('2024-03-31 02:30:00', '2006-01-02 15:04:05', 'Europe/Zurich').Format('15:04 MST')", "03:30 CEST"),
        (
            "date('2023-08-14').In(timezone('Europe/Zurich')).Format('2006-01-02T15:04:05Z07:00')",
            "2023-08-14T02:00:00+02:00",
        ),
        ("date(timezone('America/New_York'), '2024-01-01').UTC().Hour()", 5),
        ("date('3 Feb 06', '2 Jan 06').Format('Monday, January _2 2006')", "Friday, February  3 2006"),
        ("date('2024-060', '2006-002').Format('01/02')", "02/29"),
        ("date('2024-01-01 9:05PM', '2006-01-02 3:04PM').Hour()", 21),
        ("toJSON(date('2024-01-01'))", '"2024-01-01T00:00:00Z"'),
        ("toJSON(duration('1s'))", "1000000000"),
        ("string(duration('1h') + duration('1.5s'))", "1h0m1.5s"),
        ("string(duration('1h') * 2)", "2h0m0s"),
        ("string(-duration('90m'))", "-1h30m0s"),
        ("string(duration('1500us'))", "1.5ms"),
        ("string(duration('0'))", "0s"),
        ("string(sum([duration('1h'), duration('2h')]))", "3h0m0s"),
        ("duration('-1500ms').Milliseconds()", -1500),
        ("duration('1m31s').Round(duration('1m')).Minutes()", 2.0),
        ("duration('1m31s').Truncate(duration('1m')) == duration('60s')", True),
        ("now() - date('2024-02-29') < duration('24h')", True),
        ("date('2024-02-29').Month().String()", "February"),
        ("date('2024-02-29').Weekday().String()", "Thursday"),
        # Of several results the first, as Go's expr gives it.
        ("date('2024-02-29T13:04:05Z').Date()", 2024),
        ("date('2024-02-29T13:04:05Z').Clock()", 13),
        ("date('2024-12-30').ISOWeek()", 2025),
        ("date('2023-01-01').ISOWeek()", 2022),
        ("date('2024-07-01T00:00:00Z').In(timezone('Europe/Berlin')).Zone()", "CEST"),
        ("date('2024-07-01T00:00:00Z').In(timezone('Europe/Berlin')).IsDST()", True),
        ("date('2024-01-01T00:00:00Z').In(timezone('Europe/Berlin')).IsDST()", False),
        ("date('2024-02-29').MarshalJSON()", b'"2024-02-29T00:00:00Z"'),
        ("date('2024-02-29T01:02:03.5Z').MarshalText()", b"2024-02-29T01:02:03.5Z"),
        ("type(now())", "time.Time"),
        ("type(now().Month())", "time.Month"),
        ("type(now().Weekday())", "time.Weekday"),
        ("type(now().MarshalText())", "array"),
        ("type(duration('1s'))", "time.Duration"),
        ("[date('2024-01-02'), date('2024-01-01')] | sort() | first() | string()", "2024-01-01 00:00:00 +0000 UTC"),
    ],
)
def test_dates_and_durations(source: str, expected: object) -> None:
    assert run(source) == expected


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02", "2024-02-30"),
        ("2006-01-02", "2024-2-3"),
        ("2006-01-02", "2024-01-01 "),
        ("15:04", "24:00"),
        ("15:04", "23:60"),
        ("05.000", "05.12"),
        ("3:04PM", "13:04PM"),
        ("2006-002", "2023-366"),
        ("Mon 2006", "Nix 2024"),
    ],
)
def test_texts_of_another_layout_are_no_dates(layout: str, text: str) -> None:
    with pytest.raises(ExpressionError, match="not a date"):
        evaluate("date(text, layout)", {"text": text, "layout": layout})


@pytest.mark.parametrize(
    "source",
    [
        "duration('1h') / 2",
        "duration('1h') + 1",
        "now() + 1",
        "now() + now()",
        "now().Nope()",
        "now().Year(1)",
        "now().Add(1)",
    ],
)
def test_what_has_no_meaning_with_dates_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        run(source)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
def test_a_date_reads_back_from_its_text_and_agrees_with_python(moment: datetime) -> None:
    date = from_datetime(moment)
    assert date.civil() == (moment.year, moment.month, moment.day)
    assert date.clock() == (moment.hour, moment.minute, moment.second)
    assert date.year_day == moment.timetuple().tm_yday
    assert date.weekday == moment.isoweekday() % 7
    layout = "2006-01-02T15:04:05.999999999Z07:00"
    assert parse_date(layout, format_date(date, layout)) == date


@given(st.integers(-4_000_000, 4_000_000))
def test_days_and_calendar_dates_are_inverses(days: int) -> None:
    assert days_from_civil(*civil_from_days(days)) == days


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_duration_reads_back_from_its_text(nanoseconds: int) -> None:
    from expressions.dates import Duration

    assert parse_duration(str(Duration(nanoseconds))).nanoseconds == nanoseconds
