"""Which changed files concern a Git subscription: its `includePaths` and `excludePaths` (Kargo: pkg/pattern)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence

import re2

from model.globs import BadPattern, glob
from model.selection import SelectionError

Matcher = Callable[[str], bool]


class PathFilter:
    """Tells whether changed files concern a subscription.

    A pattern is a path, for itself and everything below it; `glob:` and a doublestar pattern; or `regex:` (`regexp:`)
    and a regular expression (RE2, unanchored). Raises SelectionError where one can't be read.
    """

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = [_matcher(pattern, "includePaths") for pattern in include]
        self._exclude = [_matcher(pattern, "excludePaths") for pattern in exclude]

    def matches(self, paths: Iterable[str]) -> bool:
        """Whether any of the paths is included and not excluded. Without includePaths all are included."""
        return any(
            (not self._include or any(included(path) for included in self._include))
            and not any(excluded(path) for excluded in self._exclude)
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
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 8 << 20
        try:
            expression = re2.compile(rest, options)
        except re2.error as error:
            raise SelectionError(f"{field}: {pattern!r} is not a regular expression (RE2)") from error
        return lambda path: expression.search(path) is not None
    base = posixpath.normpath(pattern).lstrip("/")
    return lambda path: base in ("", ".") or path == base or path.startswith(f"{base}/")
