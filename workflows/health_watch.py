"""Runs the health checks of a Stage's current Freight, for as long as it is current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from model.health import HealthRequest
    from model.references import Health, HealthState

#: Pauses between two looks while a Stage settles: the first, and the longest.
SETTLING = (timedelta(seconds=5), timedelta(seconds=20))
#: The first pause later, and the longest where nobody says otherwise.
FIRST = timedelta(seconds=30)
LONGEST = timedelta(minutes=5)


class HealthWatch:
    """One activity at a time, that ends only with news; `changed` is called with what is now known.

    Pauses between looks grow while nothing happens; any news begins with short ones again.
    """

    def __init__(self, changed: Callable[[Health], None]) -> None:
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._pauses = (FIRST, LONGEST)

    def watch(
        self, request: HealthRequest, *, settling: bool, longest: timedelta | None, task_queue: str | None
    ) -> None:
        """See that these checks are run: quickly while the Stage settles, later at least every `longest`.

        The pauses of the request are set here.
        """
        longest = longest or LONGEST
        pauses = SETTLING if settling else (min(FIRST, longest), longest)
        if self._task is not None and not self._task.done():
            if pauses == self._pauses:
                return
            self.stop()
        self._pauses = request.first, request.interval = pauses
        self._task = asyncio.create_task(self._run(request, task_queue))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, request: HealthRequest, task_queue: str | None) -> None:
        try:
            health = await workflow.execute_activity(
                "watch-health",
                request,
                task_queue=task_queue,
                result_type=Health,
                start_to_close_timeout=timedelta(minutes=1),
                retry_policy=RetryPolicy(initial_interval=request.first, maximum_interval=request.interval),
                summary="health",
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                return
            health = Health(status=HealthState.UNKNOWN, issues=[f"health can't be looked at: {error}"])
            await asyncio.sleep(request.interval.total_seconds())
        # A watch that was stopped in the very moment of its answer comes here too: what it says is of the past.
        if self._task is asyncio.current_task():
            self._task = None
            self._changed(health)
