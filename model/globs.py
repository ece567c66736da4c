"""Doublestar patterns: `*` within a name, `**` across directories, `?`, `[a-z]`, `{a,b}`."""

from __future__ import annotations

from functools import lru_cache

import re2

#: The longest pattern.
MAX_PATTERN = 1000
#: The deepest nesting of braces.
MAX_BRACES = 10


class BadPattern(ValueError):
    """The pattern can't be read; the message says why."""


@lru_cache(maxsize=256)
def glob(pattern: str) -> re2._Regexp:
    """The pattern as a regular expression for whole paths, matched in linear time. Raises BadPattern."""
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"the pattern is longer than {MAX_PATTERN} characters")
    out, place, braces = "", 0, 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "*" and pattern.startswith("*", place) and _alone(pattern, place - 1):
            # `a/**/b` is also `a/b`, and `a/**` is `a` and all below.
            place += 1
            if pattern.startswith("/", place):
                out, place = out + "(?:[^/]+/)*", place + 1
            elif out.endswith("/"):
                out = out[:-1] + "(?:/.*)?"
            else:
                out += ".*"
        elif character == "*":
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "[":
            text, place = _character_class(pattern, place)
            out += text
        elif character == "{":
            braces += 1
            if braces > MAX_BRACES:
                raise BadPattern(f"more than {MAX_BRACES} braces within each other")
            out += "(?:"
        elif character == "}" and braces:
            braces -= 1
            out += ")"
        elif character == "," and braces:
            out += "|"
        elif character == "\\":
            if place == len(pattern):
                raise BadPattern("the pattern ends with a backslash")
            out += re2.escape(pattern[place])
            place += 1
        else:
            out += re2.escape(character) if character != "/" else "/"
    if braces:
        raise BadPattern("a brace is not closed")
    try:
        return re2.compile(f"(?s:{out})")
    except re2.error as error:
        raise BadPattern(str(error)) from error


def _alone(pattern: str, place: int) -> bool:
    """Whether the `**` at a place is a whole part of the path: elsewhere it is two `*`."""
    before = pattern[place - 1] if place else "/"
    after = pattern[place + 2] if place + 2 < len(pattern) else "/"
    return before in "/{," and after in "/},"


def _character_class(pattern: str, place: int) -> tuple[str, int]:
    end = place + 1 if pattern.startswith(("!", "^"), place) else place
    end = pattern.find("]", end + 1)
    if end < 0:
        raise BadPattern("a bracket is not closed")
    inner = pattern[place:end]
    negated = inner[:1] in ("!", "^")
    inner = inner[1:] if negated else inner
    escaped = "".join("\\" + c if c in "\\[]^&~|" else c for c in inner)
    return f"[{'^/' if negated else ''}{escaped}]", end + 1
