"""The same thing, asked for again and again, is done at once, and then once more when it has become quiet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

logger = logging.getLogger("towpath.webhooks")

Action = Callable[[], Awaitable[object]]

#: Beyond so many keys, those that are quiet are forgotten.
_MANY = 10_000


class Debounce:
    """Runs an action per key at most once per window; what comes within a window is done at its end, once.

    So nothing is lost, and a burst, or a delivery that is replayed a thousand times, costs two actions.
    """

    def __init__(self, window: float) -> None:
        """`window` in seconds."""
        self._window = window
        self._last: dict[Hashable, float] = {}
        self._later: dict[Hashable, asyncio.Task[None]] = {}
        self._closing = asyncio.Event()

    async def run(self, key: Hashable, action: Action) -> None:
        """Now, where the window allows, with its errors raised; else at the window's end, with its errors logged."""
        if key in self._later:
            return
        now = time.monotonic()
        remaining = self._last.get(key, float("-inf")) + self._window - now
        if remaining > 0 and not self._closing.is_set():
            self._later[key] = asyncio.create_task(self._delayed(key, action, remaining))
            return
        self._forget(now)
        self._last[key] = now
        try:
            await action()
        except BaseException:
            # The sender tries again: that must not be held back.
            self._last.pop(key, None)
            raise

    async def close(self) -> None:
        """Does at once what was to be done later, and waits for it."""
        self._closing.set()
        await asyncio.gather(*self._later.values(), return_exceptions=True)

    async def _delayed(self, key: Hashable, action: Action, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        # What comes while the action runs is news to it.
        del self._later[key]
        self._last[key] = time.monotonic()
        try:
            await action()
        except Exception as error:
            logger.error("%s: %s", key, error)

    def _forget(self, now: float) -> None:
        if len(self._last) > _MANY:
            self._last = {key: at for key, at in self._last.items() if now - at < self._window}
