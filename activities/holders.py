"""Whether the workflow that holds a Stage's turn still runs: one that was terminated by hand says no word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from model.stages import HolderReport, HolderRequest
from model.steps import NOT_YET

_TIMEOUT = timedelta(seconds=10)


@dataclass
class Holders:
    """The activity on holders of turns."""

    client: Client

    @activity.defn(name="watch-holder")
    async def watch(self, request: HolderRequest) -> HolderReport:
        """How the holder ended, once it has.

        Until then each look ends this attempt with a benign error, to be retried: no slot is held and no history
        written meanwhile.
        """
        status = await self._status(request.workflow_id, request.run_id)
        if status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
            status = await self._status(request.workflow_id)
        if status is WorkflowExecutionStatus.RUNNING:
            raise ApplicationError(
                f"{request.workflow_id} is still running", type=NOT_YET, category=ApplicationErrorCategory.BENIGN
            )
        return HolderReport(
            status="NotFound" if status is None else status.name.replace("_", " ").title().replace(" ", "")
        )

    async def _status(self, workflow_id: str, run_id: str = "") -> WorkflowExecutionStatus | None:
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            return (await handle.describe(rpc_timeout=_TIMEOUT)).status
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
