"""Discovery: watches a Warehouse's subscriptions for about an hour, then the Schedule starts the next one.

While nothing is new it waits for one activity that looks at the interval, and its history doesn't grow.
What was last observed passes from run to run as the result of the last one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType, ActivityHandle

with workflow.unsafe.imports_passed_through():
    from model.discovery import (
        WATCH,
        DiscoveryReport,
        DiscoveryRequest,
        WatchingNotice,
        WatchRequest,
        next_start,
        schedule_offset,
    )
    from model.names import discovery_id, task_queue
    from workflows.tempo import history_is_long

#: One look, with a first fetch of a large repository in it.
LOOK_TIMEOUT = timedelta(minutes=15)
#: After which a worker that looked is taken for lost.
HEARTBEAT_TIMEOUT = timedelta(seconds=15)
#: A run ends this long before the Schedule starts the next.
MARGIN = timedelta(seconds=2)
#: Pause after the activity failed in a way that it never should.
FAULT_PAUSE = timedelta(minutes=1)


@workflow.defn(name="Discovery")
class Discovery:
    """One run of watching. Its result is the digest of what was last reported."""

    @workflow.init
    def __init__(self, request: DiscoveryRequest) -> None:
        self._request = request
        self._known = request.known
        #: Tokens of those who asked for a look and wait for the answer.
        self._tokens: list[str] = []
        self._rest = timedelta(0)
        #: Counts changes of what is watched.
        self._changes = 0
        self._orphaned = False
        self._told = ""

    @workflow.signal
    def look_now(self, token: str) -> None:
        """Look now, whatever the interval. The report that answers it carries the token."""
        if token not in self._tokens:
            self._tokens.append(token)

    @workflow.signal
    def reconfigure(self, request: DiscoveryRequest) -> None:
        """The Warehouse's spec has changed: watch by the new one from now. An older generation is ignored."""
        if request.generation >= self._request.generation:
            self._request = request
            self._changes += 1

    @workflow.run
    async def run(self, request: DiscoveryRequest) -> str:
        if not self._known and workflow.has_last_completion_result():
            self._known = workflow.get_last_completion_result(str) or ""
        await self._tell(
            "watching",
            WatchingNotice(
                workflow_id=workflow.info().workflow_id,
                run_id=workflow.info().run_id,
                generation=self._request.generation,
            ),
        )
        self._show()
        while not self._orphaned:
            if not await self._watch():
                break
            if history_is_long() and not self._tokens:
                workflow.continue_as_new(self._request.model_copy(update={"known": self._known}))
        return self._known

    async def _watch(self) -> bool:
        """Watch until something is reported, or a signal changes what is wanted. False: the time is over."""
        changes = self._changes
        # A look that somebody asked for ends by itself, soon; who asks meanwhile gets the next one.
        asked = bool(self._tokens)
        look = self._start()
        deadline = self._deadline()
        while True:
            try:
                await workflow.wait_condition(
                    lambda: look.done() or self._changes != changes or bool(self._tokens and not asked),
                    timeout=max(deadline - workflow.now(), timedelta(0)),
                    timeout_summary="until the Schedule starts the next run",
                )
            except TimeoutError:
                if workflow.now() < deadline + MARGIN:
                    self._abandon(look)
                    return False
                # The worker was away when the next run should have begun, and the Schedule left it out: go on.
                deadline = self._deadline()
                continue
            break
        if not look.done():
            self._abandon(look)
            return True
        try:
            report = await look
        except FailureError as error:
            # It reports what fails as news; so this is a fault of the worker, such as one without this activity.
            workflow.logger.warning("the activity watch failed: %s", error.cause or error)
            self._rest = FAULT_PAUSE
            return True
        await self._report(report)
        return True

    def _start(self) -> ActivityHandle[DiscoveryReport]:
        request = self._request
        rest, self._rest = self._rest, timedelta(0)
        return workflow.start_activity(
            WATCH,
            WatchRequest(
                project=request.project,
                warehouse=request.warehouse,
                generation=request.generation,
                spec=request.spec,
                known=self._known,
                token=self._tokens[-1] if self._tokens else "",
                interval=request.interval,
                rest=timedelta(0) if self._tokens else rest,
            ),
            result_type=DiscoveryReport,
            task_queue=task_queue(request.shard) if request.shard else None,
            start_to_close_timeout=LOOK_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=5), maximum_attempts=0
            ),
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary=f"look every {request.interval}",
        )

    def _abandon(self, look: ActivityHandle[DiscoveryReport]) -> None:
        """Cancel the activity without waiting for its end."""
        look.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        look.cancel()

    async def _report(self, report: DiscoveryReport) -> None:
        if report.generation != self._request.generation:
            return
        if report.token:
            # All who asked before that look began are answered by it.
            place = self._tokens.index(report.token) + 1 if report.token in self._tokens else 0
            report.answered, self._tokens = self._tokens[:place], self._tokens[place:]
        self._known = report.observed
        self._rest = report.next_look
        self._told = f"Last report at {report.discovered_at:%Y-%m-%d %H:%M:%S} UTC: " + (
            f"failed — {report.error}" if report.error else "artifacts found"
        )
        self._show()
        await self._tell("discovered", report)

    async def _tell(self, signal: str, message: WatchingNotice | DiscoveryReport) -> None:
        """Signal the Warehouse. Where that is gone, nobody needs this run any more."""
        if not self._request.warehouse_workflow:
            return
        warehouse = workflow.get_external_workflow_handle(self._request.warehouse_workflow)
        try:
            await warehouse.signal(signal, message)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.info("the Warehouse can't be told, so nothing is watched any more: %s", error)
            self._orphaned = True

    def _deadline(self) -> datetime:
        """Just before the Schedule starts the next run; where that is too near, before the one after it."""
        request = self._request
        offset = schedule_offset(discovery_id(request.project, request.warehouse), request.period)
        return next_start(workflow.now() + 2 * MARGIN, request.period, offset) - MARGIN

    def _show(self) -> None:
        request = self._request
        workflow.set_current_details(
            f"Watches Warehouse **{request.warehouse}** of Project **{request.project}** "
            f"(generation {request.generation}) every {request.interval}.\n\n{self._told or 'Nothing reported yet.'}"
        )
