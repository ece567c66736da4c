"""Who may ask a host now: few at once, and no host keeps the worker from asking others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

#: Looks at repositories of one host at the same time, and those that may wait for their turn at it. Who comes when
#: that is full is sent away: a look that waits takes a slot of the worker, which other hosts' looks and steps need too.
AT_ONCE = 8
WAITING = 16
#: Looks at the same time at all hosts together.
ALTOGETHER = 64


class Crowded(Exception):
    """The host is asked by as many as may ask it, and enough of them wait."""


@dataclass
class _Line:
    slots: asyncio.Semaphore
    #: Looks that have a turn or wait for it.
    members: int = field(default=0)


class Turns:
    """Turns at hosts, counted for all who look."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING, altogether: int = ALTOGETHER) -> None:
        self._at_once, self._waiting = at_once, waiting
        self._altogether = asyncio.Semaphore(altogether)
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, host: str, *, patient: bool = False) -> AsyncIterator[None]:
        """Wait for a turn at the host, and have it. `patient`: however many wait there. Raises Crowded."""
        line = self._lines.setdefault(host, _Line(asyncio.Semaphore(self._at_once)))
        if line.members >= self._at_once + self._waiting and not patient:
            raise Crowded
        line.members += 1
        try:
            # The host's turn first: who waits for a slow host must not have what others could use.
            async with line.slots, self._altogether:
                yield
        finally:
            line.members -= 1
            if not line.members:
                self._lines.pop(host, None)
