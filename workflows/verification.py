"""One run of a Stage's AnalysisTemplates against its current Freight: metrics side by side, each in its own time.

When a metric is measured, and what its measurements add up to, is decided in `model.analysis`; here it is carried out,
with durable timers between measurements and each measurement an activity.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from model.analysis import (
        ERROR_RETRY_INTERVAL,
        Measurement,
        MetricResult,
        assess_run,
        is_terminating,
        next_measurement_at,
        record_measurement,
        trim_measurements,
    )
    from model.base import Json, format_time
    from model.metrics import MetricSchedule
    from model.names import promotion_id, stage_id, task_queue
    from model.references import VerificationPhase
    from model.verifications import (
        ArgumentContext,
        MeasurementReport,
        MeasurementRequest,
        PreparedAnalysis,
        VerificationFinished,
        VerificationRequest,
        VerificationState,
    )
    from workflows.attributes import phase_update
    from workflows.links import link

#: The run continues as new after about so many events.
MAX_EVENTS = 1000
#: A worker that shows no sign of life for this long is lost, and its measurement is taken elsewhere.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
#: Providers bound their requests themselves; this ends one that doesn't.
LONGEST_MEASUREMENT = timedelta(hours=1)
#: To end what an aborted run has in flight.
LONGEST_TERMINATION = timedelta(minutes=1)
LOST_WORKER = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
#: Seconds between attempts to tell the Stage.
SIGNAL_PAUSES = (1, 5, 30)
#: Cells of the table in the current details are cut at this length.
MAX_CELL = 80


@workflow.defn(name="Verification")
class Verification:
    """Runs one AnalysisRun to its end and tells the Stage."""

    @workflow.init
    def __init__(self, request: VerificationRequest) -> None:
        self._request = request
        self._state = request.state or VerificationState()
        self._prepared = self._state.prepared or PreparedAnalysis()
        self._status = self._state.status
        #: The history is long: no new measurement in this run.
        self._rolling = False

    @workflow.signal
    def abort(self, actor: str = "") -> None:
        """Stop measuring: the run ends Aborted, and names who asked. Without effect on a run that is over."""
        if not self._status.phase.terminal and not self._state.aborted:
            self._state.aborted = True
            self._state.aborted_by = actor

    @workflow.query
    def describe(self) -> dict[str, Json]:
        """The run in the shape of an AnalysisRun of argoproj.io/v1alpha1."""
        request, prepared = self._request, self._prepared
        labels = {"kargo.akuity.io/stage": request.stage, "kargo.akuity.io/freight-collection": request.collection.id}
        promotion = {"kargo.akuity.io/promotion": request.promotion} if request.promotion else {}
        started_at = self._status.started_at
        metadata: dict[str, Json] = {
            "name": request.name,
            "namespace": request.project,
            "labels": request.labels | labels,
            "annotations": request.annotations | promotion,
            "creationTimestamp": format_time(started_at) if started_at else None,
        }
        spec: dict[str, Json] = {
            "metrics": prepared.metrics,
            "args": [argument.shown() for argument in prepared.args],
            "dryRun": prepared.dry_run,
            "measurementRetention": prepared.measurement_retention,
            "terminate": self._state.aborted,
        }
        status = self._status.shown() | {"warnings": [*prepared.warnings, *self._state.notes]}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisRun",
            "metadata": {key: value for key, value in metadata.items() if value},
            "spec": {key: value for key, value in spec.items() if value},
            "status": {key: value for key, value in status.items() if value},
        }

    @workflow.run
    async def run(self, request: VerificationRequest) -> VerificationFinished:
        status = self._status
        if status.started_at is None:
            status.started_at = workflow.now()
            status.phase = VerificationPhase.RUNNING
            self._state.run_id = workflow.info().run_id
        # A cancellation lands here alone, as an abort: nothing keeps the end from being told.
        work = asyncio.create_task(self._work())
        cancelled = False
        try:
            finished = await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled = True
            self.abort()
            finished = await work
        if finished is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(request.model_copy(update={"state": self._state}))
        if cancelled:
            raise asyncio.CancelledError
        return finished

    @property
    def _queue(self) -> str | None:
        """Where the Stage's own workers listen; None: where this workflow does."""
        return task_queue(self._request.shard) if self._request.shard else None

    @property
    def _over(self) -> bool:
        return self._status.phase.terminal

    async def _work(self) -> VerificationFinished | None:
        """Until the run is over or aborted, and the Stage told. None: the history is too long to go on here."""
        analysis = asyncio.create_task(self._analyse())
        await workflow.wait_condition(lambda: analysis.done() or self._over or self._state.aborted)
        # Whatever comes of what still ends, an abort stays one: it was taken only while the run was not over.
        over = self._over and not self._state.aborted
        analysis.cancel()
        outcome = (await asyncio.gather(analysis, return_exceptions=True))[0]
        if isinstance(outcome, BaseException) and not is_cancelled_exception(outcome):
            raise outcome
        return await self._finish(aborted=not over) if over or self._state.aborted else None

    async def _analyse(self) -> None:
        self._show()
        if self._state.prepared is None:
            await self._prepare()
        if not self._over:
            await asyncio.gather(*(self._follow(place) for place in range(len(self._prepared.schedules))))

    async def _prepare(self) -> None:
        request = self._request
        if request.missing_templates:
            missing = ", ".join(request.missing_templates)
            self._fail(f"Stage {request.stage!r} refers to what doesn't exist: {missing}. Apply it, then verify again")
            return
        try:
            self._prepared = await workflow.execute_activity(
                "prepare-analysis",
                request,
                task_queue=self._queue,
                result_type=PreparedAnalysis,
                summary="templates and arguments",
                start_to_close_timeout=LONGEST_MEASUREMENT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=LOST_WORKER,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._fail(f"the analysis could not be prepared: {_reason(error)}")
            return
        self._state.prepared = self._prepared
        if self._prepared.error:
            self._fail(self._prepared.error)

    def _fail(self, message: str) -> None:
        """The run ends in Error without its metrics having a say."""
        self._status.phase, self._status.message = VerificationPhase.ERROR, message
        self._status.completed_at = workflow.now()

    def _stopping(self) -> bool:
        return self._rolling or self._over or is_terminating(self._status, self._state.aborted)

    async def _follow(self, place: int) -> None:
        """Measure one metric until it is complete, or the run comes to its end."""
        metric = self._prepared.schedules[place]
        while True:
            result = self._status.result(metric.name)
            due = next_measurement_at(metric, result, self._status.started_at or workflow.now())
            if due is None or self._over:
                return
            info = workflow.info()
            if info.get_current_history_length() >= MAX_EVENTS or info.is_continue_as_new_suggested():
                self._rolling = True
            if not self._stopping() and due > workflow.now():
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        self._stopping, timeout=due - workflow.now(), timeout_summary=f"next {metric.name}"
                    )
            if not self._stopping():
                await self._measure(place)
            elif not self._rolling and result is not None and result.in_flight:
                await self._measure(place, terminate=True)
            else:
                return

    def _measurement_request(self, place: int, result: MetricResult, terminate: bool) -> MeasurementRequest:
        request, prepared = self._request, self._prepared
        context = None
        if any(argument.template is not None for argument in prepared.args):
            context = ArgumentContext(
                project=request.project,
                stage=request.stage,
                vars=request.vars,
                collection=request.collection,
                origins=request.origins,
            )
        return MeasurementRequest(
            project=request.project,
            stage=request.stage,
            run=request.name,
            metric=prepared.metrics[place],
            name=prepared.schedules[place].name,
            number=result.count + result.error + 1,
            args=prepared.args,
            context=context,
            run_started_at=self._status.started_at,
            in_flight=result.last if result.in_flight else None,
            terminate=terminate,
        )

    async def _measure(self, place: int, terminate: bool = False) -> None:
        metric = self._prepared.schedules[place]
        result = self._status.result(metric.name)
        if result is None:
            result = MetricResult(name=metric.name, phase=VerificationPhase.RUNNING, dry_run=metric.dry_run)
            self._status.metric_results.append(result)
        request = self._measurement_request(place, result, terminate)
        if not result.in_flight:
            begun = Measurement(phase=VerificationPhase.RUNNING, started_at=workflow.now())
            record_measurement(result, begun)
        report = await self._report(request, whole=metric.lasting)
        if report.unresolved:
            if not metric.lasting:  # else it is in flight, and ended by `_finish`
                self._forget(result)
            self._fail(report.unresolved)
            return
        result.metadata |= report.metadata
        measurement = report.measurement or Measurement(phase=VerificationPhase.ERROR, message="no measurement")
        if result.last is not None:
            measurement.started_at = result.last.started_at
        if measurement.phase.terminal:
            measurement.finished_at, measurement.resume_at = workflow.now(), None
            if terminate and measurement.phase is not VerificationPhase.ERROR:
                measurement.message = "Metric Terminated"
        elif measurement.resume_at is None:
            measurement.resume_at = workflow.now() + ERROR_RETRY_INTERVAL
        record_measurement(result, measurement)
        self._assess(metric, result)

    async def _report(self, request: MeasurementRequest, whole: bool) -> MeasurementReport:
        # What a provider is about to start elsewhere can be ended only once that has happened, or surely won't.
        cancellation = workflow.ActivityCancellationType.TRY_CANCEL
        if whole and request.in_flight is None:
            cancellation = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        try:
            report: MeasurementReport = await workflow.execute_activity(
                "measure",
                request,
                task_queue=self._queue,
                result_type=MeasurementReport,
                summary=request.name,
                start_to_close_timeout=LONGEST_MEASUREMENT,
                schedule_to_close_timeout=LONGEST_TERMINATION if request.terminate else None,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=LOST_WORKER,
                cancellation_type=cancellation,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return MeasurementReport(measurement=Measurement(phase=VerificationPhase.ERROR, message=_reason(error)))
        return report

    def _assess(self, metric: MetricSchedule, result: MetricResult) -> None:
        trim_measurements(metric, result)
        # Not even after an abort does a measurement end the run as Run Terminated: `_finish` says Aborted.
        assess_run(self._status, self._prepared.schedules, terminate=False, now=workflow.now())
        self._show()

    def _forget(self, result: MetricResult) -> None:
        """Take back a measurement that was begun and will not be known."""
        del result.measurements[-1:]
        if not result.measurements:
            self._status.metric_results.remove(result)

    async def _finish(self, aborted: bool) -> VerificationFinished:
        status = self._status
        await self._end_in_flight()
        if aborted:
            assess_run(status, self._prepared.schedules, terminate=True, now=workflow.now())
            # Argo Rollouts would call a terminated run Successful, Kargo Failed; it was neither.
            by = f" by {self._state.aborted_by}" if self._state.aborted_by else ""
            status.phase, status.message = VerificationPhase.ABORTED, f"Verification aborted{by}"
            status.completed_at = workflow.now()
        workflow.upsert_search_attributes(phase_update(status.phase.value))
        finished = VerificationFinished(
            name=self._request.name,
            run_id=self._state.run_id,
            phase=status.phase,
            message=status.message,
            started_at=status.started_at,
            finished_at=status.completed_at,
        )
        self._show()
        await self._tell_stage(finished)
        return finished

    async def _end_in_flight(self) -> None:
        """End what providers have in flight elsewhere, or may have; forget what was only being asked."""
        for place, metric in enumerate(self._prepared.schedules):
            result = self._status.result(metric.name)
            if result is None or result.last is None or not result.in_flight:
                continue
            if result.last.resume_at is not None or metric.lasting:
                await self._measure(place, terminate=True)
            else:
                self._forget(result)

    async def _tell_stage(self, finished: VerificationFinished) -> None:
        if not self._request.stage_workflow:
            return
        stage = workflow.get_external_workflow_handle(self._request.stage_workflow)
        reason = ""
        for pause in (0, *SIGNAL_PAUSES):
            if pause:
                await workflow.sleep(pause)
            try:
                await stage.signal("verification_finished", finished)
                return
            except FailureError as error:
                reason = str(error)
        # The Stage looks for itself what has become of its verification; this is for whoever reads the run.
        self._state.notes.append(f"the Stage {self._request.stage_workflow} could not be told: {reason}")
        workflow.logger.warning(self._state.notes[-1])
        self._show()

    def _show(self) -> None:
        """Tell the Temporal UI where the run stands."""
        request, status = self._request, self._status
        lines = [f"**{status.phase}**{f': {_cell(status.message, 400)}' if status.message else ''}", ""]
        lines.append(f"- Stage {link(stage_id(request.project, request.stage))}")
        if request.promotion:
            lines.append(f"- after {link(promotion_id(request.project, request.promotion))}")
        if self._prepared.schedules:
            lines += ["", "| metric | phase | successful | failed | inconclusive | errors | last value |"]
            lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        for metric in self._prepared.schedules:
            result = status.result(metric.name) or MetricResult(name=metric.name)
            last = next((entry for entry in reversed(result.measurements) if entry.phase.terminal), None)
            value = (last.value or last.message) if last else ""
            name = f"{metric.name} (dry run)" if metric.dry_run else metric.name
            counters = result.successful, result.failed, result.inconclusive, result.error
            cells = name, result.phase, *counters, value
            lines.append(f"| {' | '.join(_cell(str(cell)) for cell in cells)} |")
        lines += [f"\n{sentence}" for sentence in (*self._prepared.warnings, *self._state.notes)]
        workflow.set_current_details("\n".join(lines))


def _cell(text: str, length: int = MAX_CELL) -> str:
    line = " ".join(text.replace("|", "\\|").replace("`", "'").split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _reason(error: ActivityError) -> str:
    """What was behind an activity's failure."""
    return str(error.cause or error)
