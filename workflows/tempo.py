"""How long entities live before they continue as new, and how they sleep without a trail of cancelled timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from temporalio import workflow

#: Events after which an entity continues as new: a cold query replays them all.
EVENTS = 1000


def history_is_long() -> bool:
    """Whether an entity should continue as new at its next quiet moment."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() >= EVENTS


class Alarm:
    """Wakes an entity at the earliest moment asked for, with at most a few timers in its history.

    A later wish leaves the earlier timer alone: a needless wake-up is cheaper than a cancelled timer each time.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, at: datetime | None) -> None:
        """Ring at that moment, or when the one set before comes, whichever is earlier."""
        if at is None or (self._at is not None and self._at <= at):
            return
        if self._task is not None:
            self._task.cancel()
        self._at = at
        self._task = asyncio.create_task(self._sleep(at))

    async def _sleep(self, at: datetime) -> None:
        await asyncio.sleep(max((at - workflow.now()).total_seconds(), 0))
        self._at, self._task = None, None
        self._ring()
