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

#: How often a Stage's health is looked at while it settles, and later.
WHILE_SETTLING = timedelta(seconds=10)
LATER = timedelta(minutes=5)


class HealthWatch:
    """One activity at a time, that ends only with news; `changed` is called with what is now known."""

    def __init__(self, changed: Callable[[Health], None]) -> None:
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._quick = False

    def watch(self, request: HealthRequest, *, quick: bool, task_queue: str | None) -> None:
        """See that these checks are run, quickly or slowly. `interval` of the request is set here."""
        if self._task is not None and not self._task.done():
            if quick == self._quick:
                return
            self.stop()
        self._quick = quick
        request.interval = WHILE_SETTLING if quick else LATER
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
                retry_policy=RetryPolicy(initial_interval=request.interval, maximum_interval=request.interval),
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
