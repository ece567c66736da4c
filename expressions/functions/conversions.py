"""Functions that turn values into others (expr-lang: Type Conversion Functions)."""

from __future__ import annotations

import base64
import binascii
import math
import re

from expressions.dates import MONTHS, Duration, NamedNumber
from expressions.errors import Fault
from expressions.functions.builtin import builtin, text_argument
from expressions.json_text import from_json, key_text, shortest, to_json
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.numerals import parse_float
from expressions.values import Record, Value, is_number, to_int, type_name

_INTEGER = re.compile(r"[+-]?[0-9]+")


@builtin("type", 1)
def type_(budget: Budget, value: Value) -> str:
    if isinstance(value, bytes):
        return "array"
    if isinstance(value, NamedNumber):
        return "time.Month" if value.name in MONTHS else "time.Weekday"
    return type_name(value)


@builtin("int", 1)
def int_(budget: Budget, value: Value) -> int:
    if is_number(value):
        return to_int(value)
    if isinstance(value, str):
        if len(value) <= 20 and _INTEGER.fullmatch(value) and -(2**63) <= int(value) < 2**63:
            return int(value)
        raise Fault("invalid operation: int(): the string is not a whole number")
    if isinstance(value, Duration):
        return value.nanoseconds
    raise Fault(f"invalid operation: int({type_name(value)})")


@builtin("float", 1)
def float_(budget: Budget, value: Value) -> float:
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        number = parse_float(value)
        if number is not None:
            return number
        raise Fault("invalid operation: float(): the string is not a number")
    raise Fault(f"invalid operation: float({type_name(value)})")


@builtin("string", 1)
def string(budget: Budget, value: Value) -> str:
    return shown(value, budget)


def shown(value: Value, budget: Budget) -> str:
    """The value as Go's fmt prints it with %v: `[1 a <nil>]`, `map[a:1]`, `1e+06` for a float."""
    parts: list[str] = []
    _show(value, budget, parts, 0)
    return "".join(parts)


def _float_text(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return shortest(number, lowest=-4, highest=6, exponent_digits=2)


def _show(value: Value, budget: Budget, out: list[str], depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    if isinstance(value, list | bytes):
        budget.elements(len(value) + 1)
        out.append("[")
        for index, item in enumerate(value):
            out.append(" " if index else "")
            _show(item, budget, out, depth + 1)
        out.append("]")
    elif isinstance(value, dict):
        budget.elements(len(value) + 1)
        out.append("map[")
        pairs = sorted(((key_text(key), item) for key, item in value.items()), key=lambda pair: pair[0])
        for index, (key, item) in enumerate(pairs):
            budget.grow(len(key))
            out.append(f"{' ' if index else ''}{key}:")
            _show(item, budget, out, depth + 1)
        out.append("]")
    else:
        text = _scalar(value, budget)
        budget.grow(len(text) + 1)
        out.append(text)


def _scalar(value: Value, budget: Budget) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, NamedNumber):
        return value.name
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, Record):
        return value.shown if isinstance(value.shown, str) else to_json(value, budget)
    if type_name(value) in ("func", "unknown"):
        raise Fault(f"cannot convert {type_name(value)} to string")
    return str(value)


@builtin("toJSON", 1)
def to_json_(budget: Budget, value: Value) -> str:
    return to_json(value, budget, indent=True)


@builtin("fromJSON", 1)
def from_json_(budget: Budget, value: Value) -> Value:
    text = text_argument(value, "fromJSON")
    budget.grow(len(text))
    budget.scan(text)
    try:
        return from_json(text)
    except ValueError as error:
        position = getattr(error, "pos", None)
        where = "" if position is None else f" (at character {position + 1})"
        raise Fault(f"the string is not JSON{where}") from None


@builtin("toBase64", 1)
def to_base64(budget: Budget, value: Value) -> str:
    data = value if isinstance(value, bytes) else text_argument(value, "toBase64").encode("utf-8", "replace")
    budget.grow(len(data) * 4 // 3 + 4)
    return base64.b64encode(data).decode()


@builtin("fromBase64", 1)
def from_base64(budget: Budget, value: Value) -> str:
    text = text_argument(value, "fromBase64")
    budget.grow(len(text))
    try:
        # Go ignores line ends within base64.
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise Fault("the string is not base64") from None
