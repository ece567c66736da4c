"""Heartbeats of an activity in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def heartbeats(beat: Callable[[], None], every: float, *, first: float = 0.0) -> AsyncIterator[None]:
    """Beat every so many seconds, so that a lost worker is noticed and a cancellation arrives.

    `first`: seconds until the first beat. Where most work is over by then, it saves the server a write each time.
    """

    async def go_on() -> None:
        await asyncio.sleep(first)
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
