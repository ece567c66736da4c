"""How fast one host is asked: requests per second and at the same time, counted for all who ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pace:
    """The pace of one host. Requests are spaced evenly; after a quiet while a short burst is free."""

    def __init__(self, requests_per_second: float, concurrency: int, burst: int = 10) -> None:
        self._gap = 1 / requests_per_second if requests_per_second > 0 else 0.0
        self._slack = self._gap * burst
        self._slots = asyncio.Semaphore(max(1, concurrency))
        self._next = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the host may be asked once more, and count as asking it meanwhile."""
        async with self._slots:
            now = asyncio.get_running_loop().time()
            start = max(self._next, now - self._slack)
            self._next = start + self._gap
            if start > now:
                await asyncio.sleep(start - now)
            yield
