"""YAML as Go's yaml.v3 writes it: block style, indented by four, keys sorted, sequences indented within maps."""

from __future__ import annotations

import io
import math
import re
from functools import lru_cache
from typing import Final

import yaml

from expressions.dates import Date, Duration
from expressions.errors import Fault
from expressions.json_text import key_text, shortest
from expressions.layouts import format_date
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.values import Record, Value, type_name

#: Knows which texts need no quotes; it is never made to write.
_ANALYST: Final = yaml.emitter.Emitter(io.StringIO(), allow_unicode=True)
_INDENT: Final = 4
#: Bytes of the longest key that stands before its colon on one line.
_MAX_KEY: Final = 128
_BREAK: Final = re.compile("[\n\r\x85\u2028\u2029]")
#: Plain texts that YAML would read as something else: these are put into double quotes.
_OTHER: Final = re.compile(
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|<<"
    r"|[+-]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?"
    r"|[+-]?0b[01_]+|[+-]?0o?[0-7_]+|[+-]?0x[0-9a-fA-F_]+"
    r"|y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF"
    r"|[+-]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?"
)
_ESCAPES: Final = {
    "\0": "\\0",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_SPECIAL: Final = re.compile('[\x00-\x1f\x7f-\x9f"\\\\\u2028\u2029\ud800-\udfff\ufeff\U00010000-\U0010ffff]')
_HARMLESS: Final = re.compile(r'[\n\t"\\]')


def to_yaml(value: Value, budget: Budget) -> str:
    """The value as a YAML document, ending with a newline. Raises Fault for what YAML can't hold."""
    out: list[str] = []
    _block(value, budget, out, 0, 0, in_sequence=False)
    return "".join(out)


def _aligned(column: int, *, in_sequence: bool) -> int:
    """The column of what is nested: after the dash of a sequence, else the next multiple of four."""
    return column + 2 if in_sequence else column // _INDENT * _INDENT + _INDENT


def _paid(budget: Budget, text: str) -> str:
    budget.grow(len(text) + 1)
    return text


def _opened(value: Value) -> Value:
    """What a record or bytes are made of: bytes are a sequence of numbers here."""
    if isinstance(value, Record):
        return value.shown
    return list(value) if isinstance(value, bytes) else value


def _block(value: Value, budget: Budget, out: list[str], column: int, depth: int, *, in_sequence: bool) -> None:
    """The value from its column on; its first line is indented already."""
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    budget.spend(1)
    value = _opened(value)
    if isinstance(value, dict) and value:
        inner = _aligned(column, in_sequence=True) if in_sequence else column
        _map(value, budget, out, inner, depth)
    elif isinstance(value, list) and value:
        inner = _aligned(column, in_sequence=True) if in_sequence else column
        _sequence(value, budget, out, inner, depth)
    else:
        nested = _aligned(column, in_sequence=in_sequence) if in_sequence or depth else _INDENT
        out.append(_paid(budget, _scalar(value, nested) + "\n"))


def _map(value: dict[Value, Value], budget: Budget, out: list[str], column: int, depth: int) -> None:
    indent = " " * column
    nested = _aligned(column, in_sequence=False)
    pairs = sorted(((key_text(key), item) for key, item in value.items()), key=lambda pair: _natural(pair[0]))
    for index, (key, item) in enumerate(pairs):
        # A key of several lines, or a long one, is written out with a question mark.
        simple = len(key.encode("utf-8", "replace")) <= _MAX_KEY and not _BREAK.search(key)
        written = f"{_text(key, nested)}:" if simple else f"? {_text(key, nested)}\n{indent}:"
        out.append(_paid(budget, f"{indent if index else ''}{written}"))
        item = _opened(item)
        if isinstance(item, dict | list) and item:
            out.append(_paid(budget, "\n" + " " * nested))
            _block(item, budget, out, nested, depth + 1, in_sequence=False)
        else:
            out.append(_paid(budget, f" {_scalar(item, nested)}\n"))


def _sequence(value: list[Value], budget: Budget, out: list[str], column: int, depth: int) -> None:
    for index, item in enumerate(value):
        out.append(_paid(budget, f"{' ' * column if index else ''}- "))
        _block(item, budget, out, column, depth + 1, in_sequence=True)


_DIGITS: Final = re.compile(r"(\d+)")


def _natural(key: str) -> list[tuple[int, int, str]]:
    """Sort key: texts by letters, digits within them by number, as yaml.v3 orders the keys of a map."""
    parts: list[tuple[int, int, str]] = []
    for part in _DIGITS.split(key):
        if part.isdigit() and part.isascii():
            parts.append((0, int(part[:18]), part))
        else:
            # Letters come after everything else.
            parts += [(2 if character.isalpha() else 1, 0, character) for character in part]
    return parts


def _scalar(value: Value, column: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(str(value), column)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list):
        return "[]"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, Date):
        return format_date(value, "2006-01-02T15:04:05.999999999Z07:00")
    if isinstance(value, Duration):
        return str(value)
    raise Fault(f"a {type_name(value)} can't be written as YAML")


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return shortest(value, lowest=-4, highest=6, exponent_digits=2)


def _text(text: str, column: int) -> str:
    """A string; `column` is where the lines of a block literal begin."""
    if "\n" in text and _may_be_literal(text):
        return _literal(text, column)
    if not text or _OTHER.fullmatch(text) or "\n" in text or _SPECIAL.search(text.replace('"', "").replace("\\", "")):
        return _double_quoted(text)
    if _plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=4096)
def _plain(text: str) -> bool:
    return bool(_ANALYST.analyze_scalar(text).allow_block_plain)


def _may_be_literal(text: str) -> bool:
    """A block literal can't hold blanks before a line's end, or what has to be escaped."""
    return not (" \n" in text or text.endswith(" ") or _SPECIAL.search(_HARMLESS.sub("", text)))


def _literal(text: str, column: int) -> str:
    hint = str(_INDENT) if text[0] in " \n" else ""
    chomp = "" if text.endswith("\n") else "-"
    if text.endswith("\n\n") or text == "\n":
        chomp = "+"
    lines = [" " * column + line if line else "" for line in text.removesuffix("\n").split("\n")]
    return f"|{hint}{chomp}\n" + "\n".join(lines)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if code > 0xFFFF:
        return f"\\U{code:08X}"
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}"


def _double_quoted(text: str) -> str:
    return f'"{_SPECIAL.sub(_escape, text)}"'
