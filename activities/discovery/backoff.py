"""How long a host in trouble is left alone, counted for all Warehouses that ask it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

#: The first pause after a failure; each further failure in a row doubles it.
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)


@dataclass
class _Trouble:
    failures: int
    since: float
    until: float
    plight: str
    #: The host itself asked to be left alone.
    asked: bool = False


class Backoff:
    """Pauses of hosts: exponential, or as long as the host itself asked for.

    Requests that were on their way when a pause began don't lengthen it. Kept in memory: a new worker asks once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, random: Random | None = None) -> None:
        self._clock = clock
        self._random = random or Random()  # noqa: S311  # spreads retries, guards nothing
        self._troubles: dict[str, _Trouble] = {}

    def now(self) -> float:
        return self._clock()

    def pause(self, host: str, *, insisting: bool = False) -> tuple[timedelta, str] | None:
        """How long the host is still left alone, and what happened; None: it may be asked.

        `insisting`: a person wants to know now. That counts for more than our own caution, not than the host's word.
        """
        trouble = self._troubles.get(host)
        if trouble is None or (rest := trouble.until - self._clock()) <= 0 or (insisting and not trouble.asked):
            return None
        return timedelta(seconds=rest), trouble.plight

    def failed(
        self, host: str, plight: str, *, began: float, limited: bool = False, retry_after: timedelta | None = None
    ) -> timedelta:
        """Note that a request begun at `began` failed, `limited`: by too many. Returns the pause that follows."""
        now = self._clock()
        trouble = self._troubles.get(host)
        if trouble is None or began >= trouble.until:
            failures = (trouble.failures if trouble else 0) + 1
            pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE).total_seconds()
            pause *= 1 + self._random.random() / 10
            trouble = self._troubles[host] = _Trouble(failures, now, now + pause, plight)
        trouble.asked = trouble.asked or limited or retry_after is not None
        if retry_after is not None:
            trouble.until = max(trouble.until, now + retry_after.total_seconds())
        return timedelta(seconds=trouble.until - now)

    def succeeded(self, host: str, *, began: float) -> None:
        """Note that a request begun at `began` was answered: the host is well, unless it failed meanwhile."""
        trouble = self._troubles.get(host)
        if trouble is not None and began >= trouble.since:
            del self._troubles[host]
