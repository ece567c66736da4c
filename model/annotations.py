"""Settings of Towpath's own that Kargo's fields have no place for: annotations, so that manifests stay Kargo's too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum

from model.base import Duration, Message, format_duration, parse_duration

#: All of Towpath's annotations begin so.
PREFIX = "towpath/"
#: The longest pause between two looks at a Stage's health, as a duration: of a Stage, else of its ProjectConfig, else
#: of the ClusterConfig.
HEALTH_INTERVAL = f"{PREFIX}health-interval"
#: What may pass through the closed promotion windows of this ProjectConfig or ClusterConfig.
CLOSED_WINDOWS = f"{PREFIX}closed-windows"

SHORTEST_INTERVAL = timedelta(seconds=10)
LONGEST_INTERVAL = timedelta(hours=24)


class ClosedWindows(StrEnum):
    """What may pass through a closed promotion window."""

    #: What a person asks for with a reason (`--override-window`).
    MANUAL = "manual"
    NOTHING = "nothing"


class BadAnnotation(ValueError):
    """An annotation can't be read; the message says what was expected."""


class Settings(Message):
    """What annotations of a ProjectConfig, the ClusterConfig or a Stage set."""

    closed_windows: ClosedWindows = ClosedWindows.MANUAL
    #: None: not said here.
    health_interval: Duration | None = None


def _health_interval(text: str) -> timedelta:
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise BadAnnotation(str(error)) from None
    if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        bounds = f"{format_duration(SHORTEST_INTERVAL)} to {format_duration(LONGEST_INTERVAL)}"
        raise BadAnnotation(f"{text!r} is out of bounds: expected {bounds}")
    return interval


def _closed_windows(text: str) -> ClosedWindows:
    try:
        return ClosedWindows(text)
    except ValueError:
        known = " or ".join(ClosedWindows)
        raise BadAnnotation(f"{text!r} is not known: expected {known}") from None


_READERS: dict[str, tuple[frozenset[str], Callable[[str], object]]] = {
    HEALTH_INTERVAL: (frozenset({"Stage", "ProjectConfig", "ClusterConfig"}), _health_interval),
    CLOSED_WINDOWS: (frozenset({"ProjectConfig", "ClusterConfig"}), _closed_windows),
}


def annotations_for(kind: str) -> list[str]:
    """The annotations that a kind of resource may carry, of Towpath's own."""
    return sorted(name for name, (kinds, _) in _READERS.items() if kind in kinds)


def check_annotation(kind: str, name: str, value: str) -> None:
    """Raises BadAnnotation, where one of Towpath's own is not known for this kind, or its value can't be read."""
    kinds, reader = _READERS.get(name, (frozenset[str](), str))
    if kind not in kinds:
        known = ", ".join(annotations_for(kind)) or "none"
        raise BadAnnotation(f"a {kind} has no such setting of Towpath's; it has {known}")
    reader(value)


def read_settings(annotations: Mapping[str, str] | None) -> Settings:
    """The settings that annotations give. What can't be read, in manifests older than its check, is not given."""
    found = Settings()
    given = annotations or {}
    try:
        if HEALTH_INTERVAL in given:
            found.health_interval = _health_interval(given[HEALTH_INTERVAL])
        if CLOSED_WINDOWS in given:
            found.closed_windows = _closed_windows(given[CLOSED_WINDOWS])
    except BadAnnotation:
        return found
    return found
