"""Which tags are candidates of a subscription, and in which order (Kargo: pkg/image, pkg/controller/git/commit)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import re2

from model.semver import Constraint, SemverError, Version, parse_constraint, parse_version, sort_versions

#: The longest subject of a commit that is kept.
MAX_SUBJECT = 80


class SelectionError(ValueError):
    """A rule of a subscription can't be read; the message names the rule."""


@dataclass(frozen=True)
class TagRules:
    """Which tags count by their name. Empty `allow`: all. `ignore` wins. RE2, unanchored."""

    allow: Sequence[str] = ()
    ignore: Sequence[str] = ()
    #: Exact names that don't count: the deprecated `ignoreTags`.
    ignore_names: Sequence[str] = ()

    def filter(self, tags: Iterable[str]) -> list[str]:
        """The tags that count, in the order given. Raises SelectionError where a rule isn't a regular expression."""
        allow = [_compiled(pattern, "allowTagsRegexes") for pattern in self.allow]
        ignore = [_compiled(pattern, "ignoreTagsRegexes") for pattern in self.ignore]
        names = set(self.ignore_names)
        return [
            tag
            for tag in tags
            if tag not in names
            and not any(pattern.search(tag) for pattern in ignore)
            and (not allow or any(pattern.search(tag) for pattern in allow))
        ]


def by_version(tags: Iterable[str], *, constraint: str = "", strict: bool = True) -> list[str]:
    """The tags that are semantic versions and satisfy the constraint, highest first.

    `strict`: only tags with all of major, minor and patch; a leading `v` is allowed. Prereleases only count where
    the constraint names one. Without a constraint all versions count. Equal versions: the lexically greater tag
    first. Raises SelectionError.
    """
    wanted: Constraint | None = None
    if constraint:
        try:
            wanted = parse_constraint(constraint)
        except SemverError as error:
            raise SelectionError(str(error)) from error
    versions = (version for tag in tags if (version := tag_version(tag, strict=strict)) is not None)
    return [version.original for version in sort_versions(v for v in versions if wanted is None or wanted.allows(v))]


def lexically(tags: Iterable[str]) -> list[str]:
    """The tags by their characters' code points, greatest first."""
    return sorted(tags, reverse=True)


def chart_versions(versions: Iterable[str], *, constraint: str = "", strict: bool = False) -> list[str]:
    """The versions of a chart that satisfy the constraint, highest first. `strict`: without a leading `v` too.

    Raises SelectionError.
    """
    return by_version(
        (version for version in versions if not strict or not version.startswith("v")),
        constraint=constraint,
        strict=strict,
    )


def tag_version(tag: str, *, strict: bool) -> Version | None:
    """The version that a tag names, None where it names none (Kargo: pkg/controller/semver)."""
    try:
        version = parse_version(tag)
        if strict:
            parse_version(tag.removeprefix("v"), strict=True)
    except SemverError:
        return None
    return version


def platform_parts(platform: str) -> tuple[str, str, str]:
    """`os/arch[/variant]` taken apart; the variant is empty where there is none. Raises SelectionError."""
    parts = platform.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise SelectionError(
            f"platform {platform!r} is not of the form os/arch or os/arch/variant, such as linux/amd64"
        )
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def shortened(subject: str) -> str:
    """A commit's subject, cut at 80 characters with an ellipsis."""
    return subject if len(subject) <= MAX_SUBJECT else subject[: MAX_SUBJECT - 3] + "..."


def _compiled(pattern: str, rule: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise SelectionError(f"{rule}: {pattern!r} is not a regular expression (RE2): {_said(error)}") from error


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
