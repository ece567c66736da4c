"""Which changes of files count: `includePaths` and `excludePaths` of a Git subscription (Kargo: pkg/pattern)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence

import re2

from model.globs import BadPattern, glob
from model.selection import SelectionError

Matcher = Callable[[str], bool]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20


class PathFilter:
    """Tells whether changed files concern a subscription.

    Each pattern is a path, which stands for itself and everything below it; `glob:` with a doublestar pattern; or
    `regex:` (also `regexp:`) with a regular expression (RE2, unanchored). Raises SelectionError.
    """

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = [_matcher(pattern, "includePaths") for pattern in include]
        self._exclude = [_matcher(pattern, "excludePaths") for pattern in exclude]

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self._include or self._exclude)

    def matches(self, paths: Iterable[str]) -> bool:
        """Whether any of the paths is included, and not excluded. Without includePaths all are included."""
        return any(
            (not self._include or any(includes(path) for includes in self._include))
            and not any(excludes(path) for excludes in self._exclude)
            for path in paths
        )


def _matcher(pattern: str, field: str) -> Matcher:
    kind, colon, rest = pattern.partition(":")
    if colon and kind == "glob":
        try:
            compiled = glob(rest)
        except BadPattern as error:
            raise SelectionError(f"{field}: {pattern!r} is no glob pattern: {error}") from error
        return lambda path: compiled.fullmatch(path) is not None
    if colon and kind in {"regex", "regexp"}:
        try:
            expression = re2.compile(rest, _OPTIONS)
        except re2.error as error:
            raise SelectionError(f"{field}: {pattern!r} is not a regular expression (RE2)") from error
        return lambda path: expression.search(path) is not None
    base = posixpath.normpath(pattern)
    return lambda path: base == "." or path == base or path.startswith(f"{base}/")
