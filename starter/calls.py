"""Calls to workflows: each bounded in time, each failure turned into an error that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecution,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    QueryRejectCondition,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from model.names import TASK_QUEUE
from starter.errors import NotFound, Refused, ServerSilent, TowpathError, WorkerSilent

T = TypeVar("T")

#: How long a worker may take to answer a query.
QUERY_TIMEOUT = timedelta(seconds=5)
#: How long an entity may take to carry out an update.
UPDATE_TIMEOUT = timedelta(seconds=30)
#: How long the server may take to answer a call that no worker is needed for.
SERVER_TIMEOUT = timedelta(seconds=10)

#: The code by which a worker says that it didn't come to it in time: no answer, rather than a no.
_OVERLOADED = "TMPRL1101"

_SILENT = {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}


@dataclass(frozen=True)
class Target:
    """A workflow that is called, and what it stands for in words: `Stage dev in Project guestbook`."""

    workflow_id: str
    words: str
    #: Where to look for what there is instead.
    hint: str = ""

    def missing(self) -> NotFound:
        return NotFound(f"{self.words} not found{f'; {self.hint}' if self.hint else ''}")


@dataclass(frozen=True)
class Start:
    """How to start a workflow that is not there yet."""

    workflow: str
    arg: object
    search_attributes: TypedSearchAttributes | None = None
    memo: Mapping[str, Any] | None = None
    summary: str | None = None
    details: str | None = None


class Calls:
    """Queries, updates, signals and lists through one connection."""

    def __init__(self, temporal: Client, task_queue: str = TASK_QUEUE) -> None:
        self.temporal = temporal
        #: Where workflows that are started here find their workers.
        self.task_queue = task_queue

    def handle(self, target: Target) -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle(target.workflow_id)

    async def query(self, target: Target, name: str, result: type[T], *args: object, open_only: bool = False) -> T:
        """The answer of a query. `open_only`: what has ended counts as not found, as for entities that were deleted."""
        reject = QueryRejectCondition.NOT_OPEN if open_only else QueryRejectCondition.NONE
        async with self.explained(target):
            answer: T = await self.handle(target).query(
                name, args=args, result_type=result, reject_condition=reject, rpc_timeout=QUERY_TIMEOUT
            )
        return answer

    async def update(
        self, target: Target, name: str, result: type[T], arg: object, timeout: timedelta | None = UPDATE_TIMEOUT
    ) -> T:
        """The answer of an update of a running workflow. `timeout` None: waits as long as it takes."""
        async with self.explained(target):
            answer: T = await self.handle(target).execute_update(name, arg, result_type=result, rpc_timeout=timeout)
        return answer

    async def update_with_start(
        self,
        target: Target,
        start: Start,
        name: str,
        result: type[T],
        *args: object,
        fresh: bool = False,
        timeout: timedelta | None = None,
    ) -> T:
        """Updates the workflow, starting it where it doesn't run. `fresh`: it must not run yet."""
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            start.workflow,
            args=[start.arg],
            id=target.workflow_id,
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL if fresh else WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=start.search_attributes,
            memo=start.memo,
            static_summary=start.summary,
            static_details=start.details,
        )
        async with self.explained(target):
            try:
                answer: T = await self.temporal.execute_update_with_start_workflow(
                    name,
                    args=args,
                    start_workflow_operation=operation,
                    result_type=result,
                    rpc_timeout=timeout or UPDATE_TIMEOUT,
                )
            except Exception:
                # The operation holds the same error: unless it is taken there too, asyncio complains at exit.
                with suppress(Exception):
                    await asyncio.wait_for(operation.workflow_handle(), 1)
                raise
        return answer

    async def start(self, target: Target, start: Start, *, replace: bool = False) -> None:
        """Starts a workflow that must not run yet; `replace`: one that runs is terminated."""
        async with self.explained(target):
            await self.temporal.start_workflow(
                start.workflow,
                args=[start.arg],
                id=target.workflow_id,
                task_queue=self.task_queue,
                id_conflict_policy=(
                    WorkflowIDConflictPolicy.TERMINATE_EXISTING if replace else WorkflowIDConflictPolicy.FAIL
                ),
                search_attributes=start.search_attributes,
                memo=start.memo,
                static_summary=start.summary,
                static_details=start.details,
                rpc_timeout=SERVER_TIMEOUT,
            )

    async def execute(self, target: Target, start: Start, result: type[T], bound: timedelta) -> T:
        """The result of a run that is started now; after `bound` it is given up, and the run with it."""
        async with self.explained(target):
            try:
                answer: T = await self.temporal.execute_workflow(
                    start.workflow,
                    args=[start.arg],
                    id=target.workflow_id,
                    task_queue=self.task_queue,
                    result_type=result,
                    execution_timeout=bound,
                    search_attributes=start.search_attributes,
                    static_summary=start.summary,
                    static_details=start.details,
                )
            except WorkflowFailureError as error:
                raise Refused(f"{target.words}: {innermost(error.cause)}") from error
        return answer

    async def signal(self, target: Target, name: str, *args: object) -> None:
        async with self.explained(target):
            await self.handle(target).signal(name, args=args, rpc_timeout=SERVER_TIMEOUT)

    async def cancel(self, target: Target) -> None:
        async with self.explained(target):
            await self.handle(target).cancel(rpc_timeout=SERVER_TIMEOUT)

    async def closed(self, target: Target, bound: timedelta = UPDATE_TIMEOUT) -> bool:
        """Waits until the workflow is over, however it ends; False: it still runs after that time."""
        try:
            async with asyncio.timeout(bound.total_seconds()), self.explained(target):
                await self.handle(target).result()
        except TimeoutError:
            return False
        except WorkflowFailureError:
            return True
        return True

    async def exists(self, target: Target) -> bool:
        """Whether there is such a workflow, running or over; asks no worker."""
        try:
            async with self.explained(target):
                await self.handle(target).describe(rpc_timeout=SERVER_TIMEOUT)
        except NotFound:
            return False
        return True

    async def running(self, target: Target) -> bool:
        """Whether the workflow runs now; asks no worker."""
        try:
            async with self.explained(target):
                description = await self.handle(target).describe(rpc_timeout=SERVER_TIMEOUT)
        except NotFound:
            return False
        return description.close_time is None

    async def executions(self, query: str, limit: int | None = None) -> list[WorkflowExecution]:
        """What visibility finds, one call per thousand. The latest changes may be missing for some milliseconds."""
        async with self.explained(Target("", "the list of workflows")):
            return [
                execution
                async for execution in self.temporal.list_workflows(
                    query, limit=limit, page_size=min(limit or 1000, 1000), rpc_timeout=SERVER_TIMEOUT
                )
            ]

    async def last_poll(self) -> datetime | None:
        """When a worker last asked for tasks of workflows; None: not for minutes."""
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace,
            task_queue=TaskQueue(name=self.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        async with self.explained(Target("", "the workers")):
            found = await self.temporal.workflow_service.describe_task_queue(request, timeout=SERVER_TIMEOUT)
        seen = [poller.last_access_time.ToDatetime(UTC) for poller in found.pollers]
        return max(seen, default=None)

    @property
    def address(self) -> str:
        return self.temporal.service_client.config.target_host

    @asynccontextmanager
    async def explained(self, target: Target) -> AsyncIterator[None]:
        """Turns the errors of Temporal's client into ours."""
        try:
            yield
        except WorkflowQueryRejectedError as error:
            raise target.missing() from error
        except WorkflowQueryFailedError as error:
            if _OVERLOADED in str(error):
                raise self._silent_worker(target) from error
            raise Refused(f"{target.words}: {error}") from error
        except WorkflowUpdateFailedError as error:
            raise Refused(f"{target.words}: {innermost(error)}") from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise self._silent_worker(target) from error
        except WorkflowAlreadyStartedError as error:
            raise Refused(f"{target.words} exists already") from error
        except RPCError as error:
            raise self._explain(target, error) from error

    def _explain(self, target: Target, error: RPCError) -> TowpathError:
        if error.status == RPCStatusCode.NOT_FOUND:
            if "namespace" in error.message.lower() and "not found" in error.message.lower():
                return ServerSilent(
                    f"the Temporal server at {self.address} has no namespace {self.temporal.namespace!r};"
                    " set TEMPORAL_NAMESPACE"
                )
            return target.missing()
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return Refused(f"{target.words} exists already")
        if error.status == RPCStatusCode.UNAVAILABLE:
            return ServerSilent(
                f"the Temporal server at {self.address} does not answer ({error.message}); is it running?"
                " `towpath up` starts one, TEMPORAL_ADDRESS names another"
            )
        if error.status in _SILENT or "no poller" in error.message.lower():
            return self._silent_worker(target)
        return TowpathError(f"{target.words}: the Temporal server at {self.address} said: {error.message}")

    def _silent_worker(self, target: Target) -> WorkerSilent:
        return WorkerSilent(
            f"{target.words}: the Temporal server at {self.address} is there, but no Towpath worker answered in time;"
            " start one with `towpath worker` (or `towpath up`)"
        )


def innermost(error: BaseException) -> str:
    """The message at the bottom of a chain of Temporal failures: of the error that the workflow raised."""
    while isinstance(error, FailureError | WorkflowUpdateFailedError) and error.cause is not None:
        error = error.cause
    return error.message if isinstance(error, ApplicationError) else str(error)
