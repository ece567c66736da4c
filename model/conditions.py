"""Conditions of resources, in Kubernetes' shape, and since when they have been as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from model.base import Message, Time, format_time

Condition = dict[str, str]


class Transition(Message):
    """When a condition last became what it is."""

    status: str
    at: Time


def note(conditions: Iterable[Condition], known: Mapping[str, Transition], now: datetime) -> dict[str, Transition]:
    """The transitions by type, once these conditions hold."""
    noted = {}
    for condition in conditions:
        kind, status = condition["type"], condition["status"]
        before = known.get(kind)
        noted[kind] = before if before is not None and before.status == status else Transition(status=status, at=now)
    return noted


def timed(conditions: Iterable[Condition], known: Mapping[str, Transition], since: datetime | None) -> list[Condition]:
    """The conditions with `lastTransitionTime`; `since`: when the resource was made, where nothing else is known."""
    shown = []
    for condition in conditions:
        transition = known.get(condition["type"])
        at = transition.at if transition is not None and transition.status == condition["status"] else since
        shown.append({"lastTransitionTime": format_time(at), **condition} if at is not None else dict(condition))
    return shown
