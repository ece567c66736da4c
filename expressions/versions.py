"""`semverParse()` and `semverDiff()`: semantic versions in expressions (Kargo: UtilityOperations)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from expressions.errors import Fault
from expressions.functions.builtin import text_argument
from expressions.values import Function, Record, Value, type_name
from model.semver import SemverError, Version, difference, parse_version

_TYPE: Final = "semver.Version"


def version_record(version: Version) -> Record:
    """A version as expressions see it: methods as Masterminds' type has them; its JSON is its text."""

    def method(name: str, call: Callable[[], Value]) -> tuple[str, Function]:
        return name, Function(name, call)

    def successor(name: str, following: Callable[[], Version]) -> tuple[str, Function]:
        return method(name, lambda: version_record(_checked(following)))

    def relation(name: str, holds: Callable[[Version, Version], Value]) -> tuple[str, Function]:
        return name, Function(name, lambda other: holds(version, _version(other, name)), 1, 1)

    return Record(
        _TYPE,
        {},
        str(version),
        dict(
            [
                method("Major", lambda: version.major),
                method("Minor", lambda: version.minor),
                method("Patch", lambda: version.patch),
                method("Prerelease", lambda: version.prerelease),
                method("Metadata", lambda: version.metadata),
                method("Original", lambda: version.original),
                method("String", lambda: str(version)),
                successor("IncMajor", version.next_major),
                successor("IncMinor", version.next_minor),
                successor("IncPatch", version.next_patch),
                relation("LessThan", lambda one, other: one < other),
                relation("LessThanEqual", lambda one, other: one <= other),
                relation("GreaterThan", lambda one, other: one > other),
                relation("GreaterThanEqual", lambda one, other: one >= other),
                relation("Equal", lambda one, other: one == other),
                relation("Compare", lambda one, other: (one > other) - (one < other)),
            ]
        ),
    )


def _checked(following: Callable[[], Version]) -> Version:
    try:
        return following()
    except SemverError as error:
        raise Fault(str(error)) from None


def _version(value: Value, name: str) -> Version:
    if isinstance(value, Record) and value.type == _TYPE:
        return parse_version(str(value.shown))
    raise Fault(f"{name}() needs a version from semverParse(), not {type_name(value)}")


def _parse(text: Value) -> Record:
    try:
        return version_record(parse_version(text_argument(text, "semverParse")))
    except SemverError:
        raise Fault("invalid semantic version") from None


def _difference(first: Value, second: Value) -> str:
    return difference(text_argument(first, "semverDiff"), text_argument(second, "semverDiff"))


#: The functions on semantic versions.
VERSION_FUNCTIONS: Final[dict[str, Function]] = {
    "semverParse": Function("semverParse", _parse, 1, 1),
    "semverDiff": Function("semverDiff", _difference, 2, 2),
}
