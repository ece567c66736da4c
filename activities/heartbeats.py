"""Heartbeats of an activity in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def heartbeats(beat: Callable[[], None], every: float) -> AsyncIterator[None]:
    """Beat now and every so many seconds, so that a lost worker is noticed and a cancellation arrives."""

    async def go_on() -> None:
        while True:
            beat()
            await asyncio.sleep(every)

    beating = asyncio.create_task(go_on())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
