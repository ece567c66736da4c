"""Patterns for names, as policies have them: exact, `glob:…`, `regex:…` or `regexp:…` (Kargo: pkg/pattern)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import re2

from model.globs import BadPattern, glob

#: The longest pattern.
LONGEST = 1000


class BadNamePattern(ValueError):
    """The pattern can't be read; the message names it and says why."""


@lru_cache(maxsize=512)
def name_pattern(pattern: str) -> Callable[[str], bool]:
    """Says of a name whether it fits. Expressions are RE2 and match anywhere in the name. Raises BadNamePattern."""
    if len(pattern) > LONGEST:
        raise BadNamePattern(f"the pattern is longer than {LONGEST} characters")
    if pattern.startswith("glob:"):
        try:
            globbed = glob(pattern.removeprefix("glob:"))
        except BadPattern as error:
            raise BadNamePattern(f"{pattern!r} is not a pattern: {error}") from error
        return lambda name: globbed.fullmatch(name) is not None
    for prefix in ("regex:", "regexp:"):
        if pattern.startswith(prefix):
            compiled = _expression(pattern, pattern.removeprefix(prefix))
            return lambda name: compiled.search(name) is not None
    return lambda name: name == pattern


def _expression(pattern: str, text: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise BadNamePattern(f"{pattern!r} is not a regular expression (RE2): {why}") from error
