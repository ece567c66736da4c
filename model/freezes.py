"""Freezes: someone stopped the line, for a Stage, a Project or everything. Who, when and why is kept."""

from __future__ import annotations

from datetime import datetime

from model.base import Json, Message, Time, format_time

#: How many freezes, the present one included, are remembered.
REMEMBERED = 10


class Freeze(Message):
    """Nothing new starts from `since` until it is thawed; what runs goes on to its end."""

    #: What is frozen, in words: `everything`, `Project shop`, `Stage dev`.
    scope: str
    actor: str = ""
    reason: str = ""
    since: Time
    thawed_at: Time | None = None
    thawed_by: str = ""

    def sentence(self) -> str:
        """Who froze what, when and why."""
        who = f" by {self.actor}" if self.actor else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.scope} is frozen{who} since {format_time(self.since)}{why}"


class FreezeRequest(Message):
    """Argument of the update `freeze` of Cluster, Project and Stage."""

    reason: str
    actor: str = ""


class ThawRequest(Message):
    """Argument of the update `thaw` of Cluster, Project and Stage."""

    actor: str = ""


def active(log: list[Freeze]) -> list[Freeze]:
    """The freeze that is in force, of what one owner has frozen: at most one."""
    return [freeze for freeze in log if freeze.thawed_at is None]


def frozen(log: list[Freeze], scope: str, request: FreezeRequest, now: datetime) -> list[Freeze]:
    """The log with one freeze more. One that is in force already ends there: the newer reason counts."""
    return [
        *thawed(log, ThawRequest(actor=request.actor), now),
        Freeze(scope=scope, actor=request.actor, reason=request.reason, since=now),
    ][-REMEMBERED:]


def thawed(log: list[Freeze], request: ThawRequest, now: datetime) -> list[Freeze]:
    """The log with the freeze in force ended."""
    return [
        freeze.model_copy(update={"thawed_at": now, "thawed_by": request.actor}) if freeze.thawed_at is None else freeze
        for freeze in log
    ]


def shown(log: list[Freeze]) -> list[dict[str, Json]]:
    """Freezes for people, the newest first."""
    return [freeze.model_dump(mode="json", by_alias=True, exclude_none=True) for freeze in reversed(log)]
