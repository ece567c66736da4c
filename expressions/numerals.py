"""Texts that Go takes for numbers and bools (Go: package strconv)."""

from __future__ import annotations

import math
import re
from typing import Final

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?")
_HEXADECIMAL: Final = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F_]+(?:\.[0-9a-fA-F_]*)?|\.[0-9a-fA-F_]+)[pP][+-]?[0-9_]+")
_INFINITE: Final = re.compile(r"([+-]?)inf(?:inity)?|nan", re.IGNORECASE)
_TRUE: Final = frozenset(["1", "t", "T", "TRUE", "true", "True"])
_FALSE: Final = frozenset(["0", "f", "F", "FALSE", "false", "False"])
#: Longer texts are no numbers.
_MAX_LENGTH: Final = 1000


def _underscores_separate(text: str) -> bool:
    """Whether each `_` stands between digits, or after a prefix such as 0x; without such a prefix none may stand."""
    digits = text.lstrip("+-").lower()
    based = digits.startswith("0x")
    body = digits[2:] if based else digits
    allowed = "0123456789abcdef" if based else "0123456789"
    for index, character in enumerate(body):
        if character != "_":
            continue
        before = body[index - 1] if index else ("0" if based else "")
        after = body[index + 1 : index + 2]
        if not before or before not in allowed or not after or after not in allowed:
            return False
    return True


def parse_float(text: str) -> float | None:
    """The number of a text as `strconv.ParseFloat` reads it, inf and nan included; None when it isn't one.

    What overflows is none: `123e456` stays a text.
    """
    if not text or len(text) > _MAX_LENGTH:
        return None
    infinite = _INFINITE.fullmatch(text)
    if infinite is not None:
        if infinite[0].lower().endswith("nan"):
            return math.nan
        return -math.inf if infinite[1] == "-" else math.inf
    if "_" in text and not _underscores_separate(text):
        return None
    plain = text.replace("_", "")
    if _DECIMAL.fullmatch(text):
        number = float(plain)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            number = float.fromhex(plain)
        except (OverflowError, ValueError):
            return None
    else:
        return None
    return None if math.isinf(number) else number


def parse_bool(text: str) -> bool | None:
    """The bool of a text as `strconv.ParseBool` reads it; None when it isn't one."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None
