"""JSON as Go's encoding/json writes and reads it: sorted keys, `<`, `>`, `&` escaped, no Infinity."""

from __future__ import annotations

import base64
import json
import math
import re
from decimal import Decimal
from typing import Final

from expressions.dates import Date, Duration, Zone
from expressions.errors import Fault
from expressions.layouts import format_date
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.values import Record, Value, type_name

_ESCAPED: Final = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
#: What a JSON text can begin with.
_BEGINNINGS: Final = frozenset('{["-0123456789tfn')
#: The longest JSON text that is read.
_MAX_TEXT: Final = 10_000_000
#: The deepest JSON text that is read.
_MAX_OPEN: Final = 200


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if 0xD800 <= ord(character) <= 0xDFFF:
        return "\\ufffd"
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def quote(text: str) -> str:
    """A JSON string."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def shortest(number: float, *, lowest: int, highest: int, exponent_digits: int) -> str:
    """The shortest decimal that reads back as the number; with an exponent outside of 10**lowest … 10**highest."""
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    minus = "-" if sign else ""
    if not number:
        return f"{minus}0"
    text = "".join(map(str, digits))
    scale = len(text) + int(exponent) - 1
    if lowest <= scale < highest:
        return f"{minus}{Decimal(repr(abs(number))).normalize():f}"
    mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{minus}{mantissa}e{'-' if scale < 0 else '+'}{abs(scale):0{exponent_digits}d}"


def number_text(number: float) -> str:
    """A float as Go's encoding/json writes it. Raises Fault for Infinity and NaN."""
    if not math.isfinite(number):
        raise Fault("an infinite number or NaN can't be written as JSON")
    return shortest(number, lowest=-6, highest=21, exponent_digits=1)


def to_json(value: Value, budget: Budget, *, indent: bool = False) -> str:
    """The value as JSON; `indent` as MarshalIndent with two blanks. Raises Fault for what JSON can't hold."""
    parts: list[str] = []
    _write(value, budget, parts, "\n" if indent else "", 0)
    return "".join(parts)


def to_plain(value: Value) -> Value:
    """The value as plain JSON types: what may leave an evaluation, as a step's output. Raises Fault."""
    return from_json(to_json(value, Budget()))


def _write(value: Value, budget: Budget, out: list[str], newline: str, depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    budget.spend(1)
    if isinstance(value, list):
        _write_items(value, budget, out, newline, depth)
    elif isinstance(value, dict):
        _write_map(value, budget, out, newline, depth)
    else:
        text = _scalar(value, budget, out, newline, depth)
        if text is not None:
            budget.grow(len(text))
            out.append(text)


def _scalar(value: Value, budget: Budget, out: list[str], newline: str, depth: int) -> str | None:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    if isinstance(value, Date):
        return quote(format_date(value, "2006-01-02T15:04:05.999999999Z07:00"))
    if isinstance(value, Duration):
        return str(value.nanoseconds)
    if isinstance(value, Zone):
        return "{}"
    if isinstance(value, Record):
        _write(value.shown, budget, out, newline, depth + 1)
        return None
    raise Fault(f"a {type_name(value)} can't be written as JSON")


def _inner(newline: str) -> str:
    return f"{newline}  " if newline else ""


def _write_items(items: list[Value], budget: Budget, out: list[str], newline: str, depth: int) -> None:
    if not items:
        out.append("[]")
        return
    inner = _inner(newline)
    budget.grow((len(inner) + 1) * len(items))
    separator = "["
    for item in items:
        out.append(separator + inner)
        _write(item, budget, out, inner, depth + 1)
        separator = ","
    out.append(newline + "]")


def _write_map(pairs: dict[Value, Value], budget: Budget, out: list[str], newline: str, depth: int) -> None:
    if not pairs:
        out.append("{}")
        return
    inner = _inner(newline)
    budget.grow((len(inner) + 1) * len(pairs))
    separator = "{"
    named = [(key_text(key), value) for key, value in pairs.items()]
    for key, value in sorted(named, key=lambda pair: pair[0]):
        written = quote(key)
        budget.grow(len(written))
        out.append(f"{separator}{inner}{written}:{' ' if newline else ''}")
        _write(value, budget, out, inner, depth + 1)
        separator = ","
    out.append(newline + "}")


def key_text(key: Value) -> str:
    """A map's key as a text: strings as they are, numbers and bools as JSON writes them."""
    if isinstance(key, str):
        return str(key)
    if key is True or key is False:
        return "true" if key else "false"
    if isinstance(key, int):
        return str(int(key))
    if isinstance(key, float):
        return number_text(key)
    return "null"


class _NotJson(ValueError):
    """The text is JSON for Python only."""


def _constant(name: str) -> Value:
    raise _NotJson(name)


def whole(number: float) -> int | float:
    """A float as int when Go would write it without a fraction or exponent, so that 3.0 read from a text is 3."""
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _float(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        raise _NotJson(text)
    return whole(number)


def _int(text: str) -> int | float:
    # Numbers are float64 in Go's JSON: beyond 53 bits they lose digits, and here too.
    return int(text) if len(text) < 16 else _float(text)


_DECODER: Final = json.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=_constant)


def from_json(text: str) -> Value:
    """The value of a JSON text. Raises ValueError when it isn't JSON as Go reads it."""
    if len(text) > _MAX_TEXT:
        raise ValueError("too long")
    stripped = text.strip(" \t\r\n")
    if stripped[:1] not in _BEGINNINGS:
        # Most texts are no JSON: told apart without the decoder's long-winded error.
        raise ValueError("not JSON")
    _check_depth(stripped)
    value, end = _DECODER.raw_decode(stripped)
    if end != len(stripped):
        raise ValueError("there is more after the JSON")
    return value


_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= _MAX_OPEN:
        return
    depth = 0
    for match in _STRUCTURE.finditer(text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth > _MAX_OPEN:
                raise ValueError(f"nested deeper than {_MAX_OPEN} levels")
        elif match[0] in ("]", "}"):
            depth -= 1
