"""Durations and times as providers' fields write them."""

from __future__ import annotations

from datetime import datetime, timedelta

from activities.metrics.registry import MetricError
from expressions.dates import Date
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import evaluate
from expressions.values import type_name
from model.base import parse_duration


def duration(field: str, text: str) -> timedelta:
    """A Go duration longer than nothing. Raises MetricError."""
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise MetricError(f"{field}: {error}") from None
    if length <= timedelta(0):
        raise MetricError(f"{field} must be longer than nothing")
    return length


def moment(field: str, expression: str, now: datetime) -> float:
    """The time that an expression such as `now() - duration("1h")` gives, in seconds since 1970. Raises MetricError."""
    if not expression:
        raise MetricError(f'{field} is missing: an expression that gives a time, like now() - duration("1h")')
    try:
        value = evaluate(expression, {}, now=now)
    except (ExpressionError, Fault) as error:
        raise MetricError(f"{field}: {error}") from None
    if not isinstance(value, Date):
        raise MetricError(f"{field} must give a time, not {type_name(value)}")
    return value.nanoseconds / 1e9
