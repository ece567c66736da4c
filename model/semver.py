"""Semantic versions and constraints with the semantics of Masterminds/semver v3, which Kargo relies on.

Everything in the house that compares versions goes through this module: discovery, charts, `semverParse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from typing import Final, Literal

_MAX_SEGMENT: Final = 2**64 - 1
#: Longer texts are no versions: bounds the work done for a hostile tag.
_MAX_LENGTH: Final = 1024

_IDENTIFIERS = r"[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*"
_LOOSE = re.compile(
    rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?",
)
_STRICT = re.compile(
    rf"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?",
)

#: How far two versions are apart, as `semverDiff` names it.
Difference = Literal["Major", "Minor", "Patch", "Metadata", "None", "Incomparable"]


class SemverError(ValueError):
    """A text is not a semantic version or not a constraint; says which and why."""


def _segment(digits: str | None) -> int:
    number = int(digits) if digits else 0
    if number > _MAX_SEGMENT:
        raise SemverError("a segment of the version is larger than 64 bits")
    return number


def _prerelease_key(prerelease: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of the dotted identifiers: numbers before words, numbers by value, fewer identifiers first."""
    return tuple(
        (0, int(part), "") if part.isdigit() and int(part) <= _MAX_SEGMENT else (1, 0, part)
        for part in prerelease.split(".")
    )


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """One semantic version. Ordering and equality ignore build metadata, as the specification says."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    metadata: str = ""
    #: The text as it was written, `v` and missing segments included.
    original: str = ""

    def _key(self) -> tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]:
        prerelease = _prerelease_key(self.prerelease) if self.prerelease else ()
        return (self.major, self.minor, self.patch, not self.prerelease, prerelease)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        """Normalised: without a leading `v`, always three segments."""
        prerelease = f"-{self.prerelease}" if self.prerelease else ""
        metadata = f"+{self.metadata}" if self.metadata else ""
        return f"{self.major}.{self.minor}.{self.patch}{prerelease}{metadata}"

    def _successor(self, major: int, minor: int, patch: int) -> Version:
        if max(major, minor, patch) > _MAX_SEGMENT:
            raise SemverError("the next version's segment would be larger than 64 bits")
        prefix = "v" if self.original.startswith("v") else ""
        return Version(major, minor, patch, original=f"{prefix}{major}.{minor}.{patch}")

    def next_major(self) -> Version:
        """The next major version: 1.2.3-rc.1 → 2.0.0."""
        return self._successor(self.major + 1, 0, 0)

    def next_minor(self) -> Version:
        """The next minor version: 1.2.3-rc.1 → 1.3.0."""
        return self._successor(self.major, self.minor + 1, 0)

    def next_patch(self) -> Version:
        """The next patch version: 1.2.3 → 1.2.4, but 1.2.3-rc.1 → 1.2.3."""
        return self._successor(self.major, self.minor, self.patch if self.prerelease else self.patch + 1)


def parse_version(text: str, *, strict: bool = False) -> Version:
    """A version from text.

    Loose (default), as `semver.NewVersion`: a leading `v`, one or two segments and leading zeros are allowed.
    Strict, as `semver.StrictNewVersion`: exactly X.Y.Z[-prerelease][+metadata].
    Raises SemverError.
    """
    match = (_STRICT if strict else _LOOSE).fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise SemverError(f"{text[:80]!r} is not a {'strict ' if strict else ''}semantic version")
    major, minor, patch, prerelease, metadata = match.groups()
    for part in (prerelease or "").split("."):
        if part.isdigit() and len(part) > 1 and part.startswith("0"):
            raise SemverError(f"{text[:80]!r} is not a semantic version: prerelease number {part} begins with 0")
    return Version(_segment(major), _segment(minor), _segment(patch), prerelease or "", metadata or "", text)


def sort_versions(versions: Iterable[Version]) -> list[Version]:
    """Newest first; versions that are equal (they differ in metadata or spelling) by original text, descending."""
    return sorted(versions, key=lambda version: (version, version.original), reverse=True)


def difference(first: str, second: str) -> Difference:
    """How far two versions are apart (Kargo: `semverDiff`).

    A difference in the prerelease alone is None; texts that are no versions are Incomparable.
    """
    try:
        one, other = parse_version(first), parse_version(second)
    except SemverError:
        return "Incomparable"
    if one.major != other.major:
        return "Major"
    if one.minor != other.minor:
        return "Minor"
    if one.patch != other.patch:
        return "Patch"
    return "Metadata" if one.metadata != other.metadata else "None"


_PART = r"[0-9|xX*]+"
_WRITTEN = rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(-{_IDENTIFIERS})?(\+{_IDENTIFIERS})?"
_PLAIN = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?"
# Longest first: Go's alternation is leftmost-first too, but retries, and so do we.
_OPERATORS = r"!=|>=|=>|<=|=<|~>|=|>|<|~|\^|"
_RANGE = re.compile(rf"\s*({_PLAIN})\s+-\s+({_PLAIN})\s*")
_TERM = re.compile(rf"({_OPERATORS})\s*{_WRITTEN}")
_SEPARATOR = re.compile(r"\s*,\s*|\s+")


@dataclass(frozen=True)
class _Term:
    """One comparison. A segment written as x, or left out, makes the term loose from that segment on."""

    operator: str
    version: Version
    #: The first segment that was not a number: "major", "minor", "patch" or "".
    loose: Literal["major", "minor", "patch", ""]

    def allows(self, version: Version) -> bool:
        match self.operator:
            case "" | "=":
                return self._tilde(version) if self.loose else version == self.version
            case "!=":
                return self._differs(version)
            case ">":
                return self._greater(version)
            case "<":
                return version < self.version
            case ">=" | "=>":
                return version >= self.version
            case "<=" | "=<":
                return self._at_most(version)
            case "~" | "~>":
                return self._tilde(version)
            case _:
                return self._caret(version)

    def _differs(self, version: Version) -> bool:
        bound = self.version
        if not self.loose:
            return version != bound
        if version.major != bound.major:
            return True
        if self.loose == "minor":
            return False
        if version.minor != bound.minor:
            return True
        if self.loose == "patch":
            return version.prerelease != bound.prerelease
        return version != bound

    def _greater(self, version: Version) -> bool:
        bound = self.version
        if self.loose == "minor":
            return version.major > bound.major
        if self.loose == "patch":
            return (version.major, version.minor) > (bound.major, bound.minor)
        return version > bound

    def _at_most(self, version: Version) -> bool:
        bound = self.version
        if not self.loose:
            return version <= bound
        if version.major != bound.major:
            return version.major < bound.major
        return self.loose == "minor" or version.minor <= bound.minor

    def _tilde(self, version: Version) -> bool:
        bound = self.version
        if version < bound:
            return False
        # ~0.0.0, and every wildcard in the first place, takes all.
        if not (bound.major or bound.minor or bound.patch) and self.loose not in ("minor", "patch"):
            return True
        return version.major == bound.major and (self.loose == "minor" or version.minor == bound.minor)

    def _caret(self, version: Version) -> bool:
        bound = self.version
        if version < bound:
            return False
        if bound.major > 0 or self.loose == "minor":
            return version.major == bound.major
        if version.major > 0:
            return False
        if bound.minor > 0 or self.loose == "patch":
            return version.minor == bound.minor
        return version.minor == 0 and version.patch == bound.patch


def _wild(part: str | None) -> bool:
    return part in (None, "x", "X", "*")


def _term(match: re.Match[str], text: str) -> _Term:
    operator, major, minor, patch, prerelease, _ = match.groups()
    loose: Literal["major", "minor", "patch", ""] = ""
    if _wild(major):
        loose, major, minor, patch = "major", "0", "0", "0"
    elif _wild(minor):
        loose, minor, patch = "minor", "0", "0"
    elif _wild(patch):
        loose, patch = "patch", "0"
    try:
        version = parse_version(f"{major}.{minor}.{patch}{prerelease or ''}")
    except SemverError as error:
        raise SemverError(f"{text[:80]!r} is not a version constraint") from error
    return _Term(operator, version, loose)


@dataclass(frozen=True)
class Constraint:
    """A version constraint: alternatives (`||`) of comparisons that hold together (`,` or blank).

    Prereleases are taken only by an alternative that itself names a prerelease.
    """

    text: str
    alternatives: tuple[tuple[_Term, ...], ...]

    def allows(self, version: Version) -> bool:
        """Whether the version satisfies the constraint."""
        return any(
            (not version.prerelease or any(term.version.prerelease for term in terms))
            and all(term.allows(version) for term in terms)
            for terms in self.alternatives
        )


def _alternative(part: str, text: str) -> tuple[_Term, ...]:
    terms: list[_Term] = []
    rest = part.strip()
    while True:
        match = _TERM.match(rest)
        if match is None:
            raise SemverError(f"{text[:80]!r} is not a version constraint: expected one like ^1.2 or >=1.0, <2.0")
        terms.append(_term(match, text))
        rest = rest[match.end() :]
        if not rest:
            return tuple(terms)
        separator = _SEPARATOR.match(rest)
        if separator is None:
            raise SemverError(f"{text[:80]!r} is not a version constraint: unexpected {rest[:20]!r}")
        rest = rest[separator.end() :]


@lru_cache(maxsize=256)
def parse_constraint(text: str) -> Constraint:
    """A constraint from text: `^ ~ x`, hyphen ranges, comparisons, `||`. Raises SemverError."""
    if len(text) > _MAX_LENGTH:
        raise SemverError("a version constraint is longer than 1024 characters")
    plain = _RANGE.sub(lambda match: f">={match[1]}, <={match[2]} ", text)
    return Constraint(text, tuple(_alternative(part, text) for part in plain.split("||")))
