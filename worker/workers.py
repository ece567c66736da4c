"""Temporal workers with the settings that were found by measurement, and how they are run and stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from worker.host import Host
from worker.sandbox import sandbox
from worker.settings import WorkerSettings

log = logging.getLogger("towpath.worker")

Activity = Callable[..., Any]

#: A worker that is gone keeps its workflows' tasks for this long, not for the SDK's 10 s.
STICKY_TIMEOUT = timedelta(seconds=3)
_POLLERS = PollerBehaviorAutoscaling(minimum=2, maximum=20, initial=5)
#: Steps aren't cancelled when the worker stops: a cancelled step has failed, one that vanished is taken up again.
_NEVER_CANCELLED = timedelta(hours=24)


def _installed() -> bool:
    try:
        version("towpath")
    except PackageNotFoundError:
        return False
    return True


def build_workers(
    client: Client, settings: WorkerSettings, host: Host, workflows: Sequence[type], activities: Sequence[Activity]
) -> list[Worker]:
    """One worker for the shared task queue and, unless there is one host only, one for the host's own queue."""
    # Given, because the SDK would else hash every module that is loaded: seconds at each start.
    build = f"towpath-{version('towpath')}" if _installed() else "towpath"
    shared = Worker(
        client,
        build_id=build,
        task_queue=host.task_queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=sandbox(workflows),
        identity=host.identity,
        max_cached_workflows=settings.workflow_cache,
        max_concurrent_activities=settings.host_slots,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        workflow_task_poller_behavior=_POLLERS,
        activity_task_poller_behavior=_POLLERS,
        graceful_shutdown_timeout=_NEVER_CANCELLED,
        max_eager_activity_reservations_per_workflow_task=3,
    )
    if host.single:
        return [shared]
    own = Worker(
        client,
        build_id=build,
        task_queue=host.queue,
        activities=activities,
        identity=host.identity,
        max_concurrent_activities=settings.host_slots,
        activity_task_poller_behavior=_POLLERS,
        graceful_shutdown_timeout=_NEVER_CANCELLED,
    )
    return [shared, own]


class Workers:
    """Workers at work; `failed` is done when one of them can't go on."""

    def __init__(self, workers: Sequence[Worker], grace: float) -> None:
        self._workers = workers
        self._grace = grace
        self._runs: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._runs = [asyncio.create_task(worker.run()) for worker in self._workers]

    async def failed(self) -> None:
        """Wait for a worker to end. Raises what ended it."""
        done, _ = await asyncio.wait(self._runs, return_when=asyncio.FIRST_COMPLETED)
        for run in done:
            run.result()

    async def stop(self) -> None:
        """Take nothing new on, and let what runs end within the grace.

        Steps that haven't ended then still run: leave the process (workflows.leaving) for good.
        """
        ends = [asyncio.create_task(worker.shutdown()) for worker in self._workers]
        if not ends:
            return
        _, late = await asyncio.wait([*ends, *self._runs], timeout=self._grace)
        if late:
            log.warning("some steps still run after %g seconds; they are taken up again later", self._grace)
