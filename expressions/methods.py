"""The methods that expressions may call on dates, durations and time zones (Go: package time)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from expressions.dates import MONTHS, SECOND, UTC_ZONE, WEEKDAYS, YEAR_ONE, Date, Duration, NamedNumber, Zone
from expressions.errors import Fault
from expressions.layouts import format_date

_RFC_3339: Final = "2006-01-02T15:04:05.999999999Z07:00"


@dataclass(frozen=True)
class Method:
    """A method: `call` gets the object first; `arity` counts the arguments after it."""

    call: Callable[..., Any]
    arity: int = 0


def _needs(value: Any, kind: type, name: str) -> Any:
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    expected = {Date: "a date", Duration: "a duration", Zone: "a time zone", str: "a string", int: "an int"}[kind]
    raise Fault(f"{name}() needs {expected}")


def _number(value: Any, name: str, largest: int = 1_000_000) -> int:
    number = int(_needs(value, int, name))
    if abs(number) > largest:
        raise Fault(f"{name}() takes numbers up to {largest}")
    return number


DATE_METHODS: Final[dict[str, Method]] = {
    "Year": Method(lambda date: date.civil()[0]),
    "Month": Method(lambda date: NamedNumber(date.civil()[1], MONTHS[date.civil()[1] - 1])),
    "Day": Method(lambda date: date.civil()[2]),
    "Hour": Method(lambda date: date.clock()[0]),
    "Minute": Method(lambda date: date.clock()[1]),
    "Second": Method(lambda date: date.clock()[2]),
    "Nanosecond": Method(lambda date: date.fraction),
    "Weekday": Method(lambda date: NamedNumber(date.weekday, WEEKDAYS[date.weekday])),
    "YearDay": Method(lambda date: date.year_day),
    "Unix": Method(lambda date: date.nanoseconds // SECOND),
    "UnixMilli": Method(lambda date: date.nanoseconds // 1_000_000),
    "UnixMicro": Method(lambda date: date.nanoseconds // 1000),
    "UnixNano": Method(lambda date: ((date.nanoseconds + 2**63) & (2**64 - 1)) - 2**63),
    # Of a method with several results expr takes the first.
    "Date": Method(lambda date: date.civil()[0]),
    "Clock": Method(lambda date: date.clock()[0]),
    "ISOWeek": Method(lambda date: date.iso_year),
    "Zone": Method(lambda date: date.offset()[1]),
    "IsDST": Method(lambda date: date.zone.summer(date.nanoseconds // SECOND)),
    "MarshalText": Method(lambda date: format_date(date, _RFC_3339).encode()),
    "MarshalJSON": Method(lambda date: f'"{format_date(date, _RFC_3339)}"'.encode()),
    "IsZero": Method(lambda date: date.nanoseconds == YEAR_ONE * SECOND),
    "UTC": Method(lambda date: date.within(UTC_ZONE)),
    "Local": Method(lambda date: date.within(UTC_ZONE)),
    "Location": Method(lambda date: date.zone),
    "String": Method(str),
    "In": Method(lambda date, zone: date.within(_needs(zone, Zone, "In")), 1),
    "Format": Method(lambda date, layout: format_date(date, _needs(layout, str, "Format")), 1),
    "Add": Method(lambda date, duration: date.plus(_needs(duration, Duration, "Add")), 1),
    "Sub": Method(lambda date, other: date.since(_needs(other, Date, "Sub")), 1),
    "AddDate": Method(
        lambda date, *parts: date.plus_date(*(_number(part, "AddDate") for part in parts)),
        3,
    ),
    "Before": Method(lambda date, other: date < _needs(other, Date, "Before"), 1),
    "After": Method(lambda date, other: date > _needs(other, Date, "After"), 1),
    "Equal": Method(lambda date, other: date == _needs(other, Date, "Equal"), 1),
    "Compare": Method(
        lambda date, other: (date > _needs(other, Date, "Compare")) - (date < other),
        1,
    ),
    "Truncate": Method(lambda date, step: date.truncated(_needs(step, Duration, "Truncate")), 1),
    "Round": Method(lambda date, step: date.rounded(_needs(step, Duration, "Round")), 1),
}

DURATION_METHODS: Final[dict[str, Method]] = {
    "Hours": Method(lambda duration: duration.nanoseconds / (3600 * SECOND)),
    "Minutes": Method(lambda duration: duration.nanoseconds / (60 * SECOND)),
    "Seconds": Method(lambda duration: duration.nanoseconds / SECOND),
    "Milliseconds": Method(lambda duration: _towards_zero(duration.nanoseconds, 1_000_000)),
    "Microseconds": Method(lambda duration: _towards_zero(duration.nanoseconds, 1000)),
    "Nanoseconds": Method(lambda duration: duration.nanoseconds),
    "Abs": Method(lambda duration: Duration(min(abs(duration.nanoseconds), 2**63 - 1))),
    "Truncate": Method(lambda duration, step: duration.truncated(_needs(step, Duration, "Truncate")), 1),
    "Round": Method(lambda duration, step: duration.rounded(_needs(step, Duration, "Round")), 1),
    "String": Method(str),
}

ZONE_METHODS: Final[dict[str, Method]] = {"String": Method(str)}

#: Of months and days of the week.
NUMBER_METHODS: Final[dict[str, Method]] = {"String": Method(lambda number: number.name)}

#: The methods of each type, by name.
METHODS: Final[dict[type, dict[str, Method]]] = {
    Date: DATE_METHODS,
    Duration: DURATION_METHODS,
    Zone: ZONE_METHODS,
    NamedNumber: NUMBER_METHODS,
}


def _towards_zero(number: int, unit: int) -> int:
    return number // unit if number >= 0 else -(-number // unit)
