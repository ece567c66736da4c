"""Takes care that a turn comes back whose holder ended without a word, terminated by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from model.stages import HolderReport, HolderRequest, Turn

#: A turn held longer than this is looked after.
LEASE = timedelta(minutes=10)
#: How often its holder is looked at, then.
LOOK = timedelta(minutes=1)


class HolderWatch:
    """Looks at the holder of a turn, by an activity that writes no history while there is nothing to tell.

    `ended` is called with the turn and how its holder ended, in Temporal's words.
    """

    def __init__(self, ended: Callable[[Turn, str], None]) -> None:
        self._ended = ended
        self._task: asyncio.Task[None] | None = None

    def due(self, turn: Turn | None) -> datetime | None:
        """When this turn will have to be looked after; None: nobody has it, or it is looked after already."""
        return turn.since + LEASE if turn is not None and self._task is None else None

    def look_after(self, turn: Turn | None) -> None:
        """Begin to look, once the turn is held for long."""
        if turn is None or workflow.now() < turn.since + LEASE:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(turn))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self, turn: Turn) -> None:
        try:
            report = await workflow.execute_activity(
                "watch-holder",
                HolderRequest(workflow_id=turn.workflow_id, run_id=turn.run_id),
                result_type=HolderReport,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(initial_interval=LOOK, maximum_interval=LOOK),
                summary=turn.name,
            )
        except FailureError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the holder of the turn, %s, can't be watched: %s", turn.name, error)
            return
        self._task = None
        self._ended(turn, report.status)
