"""Functions that make dates, durations and time zones (expr-lang: Date Functions)."""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction

from expressions.dates import Date, Duration, Zone, from_datetime
from expressions.dates import zone as named_zone
from expressions.errors import Fault
from expressions.functions.builtin import builtin, text_argument
from expressions.layouts import parse_any_date, parse_date
from expressions.limits import Budget
from expressions.values import Value, check_arity, type_name

_UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> Duration:
    """A duration in Go's notation, exact to the nanosecond (Go: time.ParseDuration). Raises Fault."""
    fault = Fault("the string is not a duration: expected one like 30s, 5m or 1h30m")
    if len(text) > 100:
        raise fault
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return Duration(0)
    if not rest:
        raise fault
    total = Fraction(0)
    while rest:
        match = _PART.match(rest)
        if match is None or not (match[1] or match[2]):
            raise fault
        whole, fraction, unit = match.groups()
        number = Fraction(int(whole or 0)) + Fraction(int(fraction or 0), 10 ** len(fraction or ""))
        total += number * _UNITS[unit]
        rest = rest[match.end() :]
    nanoseconds = -int(total) if sign == "-" else int(total)
    if not -(2**63) <= nanoseconds < 2**63:
        raise Fault("the duration is longer than 292 years")
    return Duration(nanoseconds)


@builtin("now", 0, 1, clock=True)
def now(budget: Budget, moment: datetime | None, where: Value = None) -> Date:
    """The moment that the environment calls now; there is no clock here."""
    if moment is None:
        raise Fault("now() is not available here")
    date = from_datetime(moment)
    if where is None:
        return date
    if isinstance(where, Zone):
        return date.within(where)
    raise Fault(f"cannot use {type_name(where)} as argument (type time zone) to call now")


@builtin("duration", 1)
def duration(budget: Budget, value: Value) -> Duration:
    return parse_duration(text_argument(value, "duration"))


@builtin("date", 1, 4)
def date(budget: Budget, *arguments: Value) -> Date:
    """`date(text[, layout[, zone]])`, or with a time zone before the text."""
    where: Zone | None = None
    if isinstance(arguments[0], Zone):
        where, *rest = arguments
        arguments = tuple(rest)
    check_arity("date", len(arguments), 1, 3)
    text = text_argument(arguments[0], "date")
    if len(arguments) == 1:
        return parse_any_date(text, where)
    layout = text_argument(arguments[1], "date")
    if len(arguments) == 3:
        where = named_zone(text_argument(arguments[2], "date"))
    return parse_date(layout, text, where)


@builtin("timezone", 1)
def timezone(budget: Budget, value: Value) -> Zone:
    return named_zone(text_argument(value, "timezone"))
