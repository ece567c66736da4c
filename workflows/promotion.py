"""One promotion, from the request to the end of its steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from model.base import format_duration
    from model.names import stage_id, task_queue
    from model.outcome import final_phase, has_failures, outputs_of
    from model.promotions import (
        AbortRequest,
        Accepted,
        Admission,
        Enqueue,
        Expired,
        Proceed,
        PromotionFinished,
        PromotionRecord,
        PromotionRequest,
        PromotionSummary,
        PromotionView,
        Refused,
        StepGlance,
        StepRecord,
    )
    from model.questions import Answer, Answered, Question, output_of, refusal, response_to, verdict, waiting
    from model.references import HealthCheckStep
    from model.resources.promotion import PromotionPhase
    from model.steps import (
        ERRORED,
        FAILED,
        WORKSPACE_LOST,
        Effect,
        PlannedStep,
        PromotionPlan,
        StepFailure,
        StepRequest,
        StepResult,
        StepStatus,
    )
    from workflows.attributes import SUMMARY, WAITS, changed, phase_update
    from workflows.links import link

#: A waiting Promotion asks again after this time, then after twice that, … : a Stage may have been recreated.
ASK_AGAIN = timedelta(minutes=5)
ASK_AGAIN_AT_MOST = timedelta(hours=6)
#: A step's activity shows that it is alive at least so often.
HEARTBEAT = timedelta(seconds=5)
#: A host's queue has ample slots: what isn't started there in this time is lost with its host.
START_ON_HOST = timedelta(seconds=10)
#: So much of what a Promotion waits for stands in lists.
WAITS_SHOWN = 300
#: How long all steps that clean up after an abort may take together.
CLEANING_UP = timedelta(minutes=10)
#: The ids of FanOuts begin so.
FANOUT = "fanout/"
#: How many steps, and how much of the message, lists know: memos are kept small.
GLANCED = 40
MESSAGE = 500
#: Bounds a single attempt of a step; liveness is the heartbeat's business.
LONGEST_ATTEMPT = timedelta(hours=6)


class Bound(NamedTuple):
    """A moment at which something has to be done, and what is said where it isn't."""

    until: datetime
    message: str


class Woken(Exception):
    """What the step waits for may have happened: look at once."""


class Lost(Exception):
    """The host of the workspace, or the workspace itself, is gone."""


@workflow.defn
class Promotion:
    """Asks its Stage for the turn, runs the frozen plan step by step, and tells the Stage how it ended."""

    @workflow.init
    def __init__(self, request: PromotionRequest) -> None:
        self.request = request
        self.plan: PromotionPlan | None = None
        self.granted: Proceed | None = None
        self.refusal: str | None = None
        self.expiry: str | None = None
        self.waiting = ""
        #: May become another by the Stage's acceptance, where a Warehouse's candidate is asked for.
        self.freight = request.freight
        self.freight_alias = ""
        self.phase: PromotionPhase | None = None
        self.message = ""
        self.abort_request: AbortRequest | None = None
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.records: list[StepRecord] = []
        self.health_checks: list[HealthCheckStep] = []
        #: How many of the first steps count as done by the Promotion that is repeated.
        self.done = 0
        self.queue = ""
        self.workspaces = 0
        #: When what cleans up after an abort has to be done; None: nothing cleans up.
        self.cleaning_up_until: datetime | None = None
        #: The activity of a step that only looks, until what it waits for is there.
        self.looking: workflow.ActivityHandle[StepResult] | None = None
        self.woken = False
        if request.granted is not None:
            self._proceed(request.granted)

    # Messages

    @workflow.signal
    def accepted(self, message: Accepted) -> None:
        """The Stage has it in its queue."""
        plan = message.plan or (self.request.rerun.plan if self.request.rerun else None)
        if self.plan is None and plan is not None:
            self._freeze(plan)
            self.freight, self.freight_alias = message.freight.name, message.freight_alias
        self.waiting = message.waiting
        self.phase = self.phase or PromotionPhase.PENDING
        self._show()

    @workflow.signal
    def refused(self, message: Refused) -> None:
        """The Stage won't have it."""
        if self.plan is None:
            self.refusal = message.reason

    @workflow.signal
    def proceed(self, message: Proceed) -> None:
        """It has the turn."""
        self._proceed(message)

    @workflow.signal
    def expired(self, message: Expired) -> None:
        """At its turn its Freight was no longer available."""
        if self.granted is None:
            self.expiry = message.reason

    @workflow.signal
    def abort(self, message: AbortRequest) -> None:
        """Names who aborts; the cancellation follows. A second one changes nothing: what cleans up is bounded."""
        self.abort_request = self.abort_request or message

    @workflow.signal
    def wake(self) -> None:
        """What its step waits for may have happened; a step that doesn't just wait takes no notice."""
        if self.looking is not None and not self.woken:
            self.woken = True
            self.looking.cancel()

    @workflow.update
    async def admission(self) -> Admission:
        """Whether the Stage accepted or refused it; answers as soon as that is decided."""
        await workflow.wait_condition(lambda: self.plan is not None or self.refusal is not None)
        refused = self.refusal is not None
        return Admission(accepted=not refused, name=self.request.name, reason=self.refusal or "")

    @workflow.update
    def answer(self, message: Answer) -> Answered:
        """Somebody answers the step that asks; what the validator refuses leaves no trace in the history."""
        record, question = self._asked(message.step)
        record.responses.append(response_to(question, message, workflow.now()))
        self._show_waiting(record, question)
        decided = verdict(question, record.responses) is not None
        return Answered(step=record.alias, waiting="" if decided else record.message)

    @answer.validator
    def check_answer(self, message: Answer) -> None:
        record, question = self._asked(message.step)
        reason = refusal(record.alias, question, record.responses, message)
        if reason:
            raise ApplicationError(reason, non_retryable=True)

    def _asked(self, alias: str) -> tuple[StepRecord, Question]:
        """The step that is answered: the one that asks now, or the one named. Raises ApplicationError."""
        asking = [record for record in self.records if record.question is not None]
        named = [record for record in asking if record.alias == alias] if alias else asking[-1:]
        for record in named:
            assert record.question is not None
            if record.status is StepStatus.RUNNING or verdict(record.question, record.responses) is not None:
                return record, record.question
            status = record.status.value if record.status else ""
            raise ApplicationError(f"step {record.alias} asks no longer: it is {status}", non_retryable=True)
        what = f"step {alias}" if alias else "no step"
        raise ApplicationError(f"{what} of Promotion {self.request.name} asks for anything now", non_retryable=True)

    @workflow.query
    def record(self) -> PromotionRecord:
        """The frozen plan and how far it came, for a rerun."""
        return PromotionRecord(
            phase=self.phase,
            stage=self.request.stage,
            freight=self.freight,
            plan=self.plan,
            steps=self.records,
            health_checks=self.health_checks,
        )

    @workflow.query
    def progress(self) -> PromotionView:
        """The Promotion as it stands."""
        return PromotionView(
            project=self.request.project,
            stage=self.request.stage,
            name=self.request.name,
            freight=self.freight,
            freight_alias=self.freight_alias,
            phase=self.phase,
            message=self.message or self.refusal or "",
            actor=self.request.actor,
            waiting=self.waiting if self.phase is PromotionPhase.PENDING else "",
            created_at=workflow.info().workflow_start_time,
            started_at=self.started_at,
            finished_at=self.finished_at,
            cleaning_up_until=self.cleaning_up_until if self.finished_at is None else None,
            override_window=self.request.override_window,
            steps=self.records,
        )

    # The run

    @workflow.run
    async def run(self, request: PromotionRequest) -> PromotionFinished:
        try:
            if self.granted is None and not await self._wait_for_turn():
                return await self._refuse()
            await self._run_steps()
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            await asyncio.shield(asyncio.ensure_future(self._aborted()))
            raise
        return await self._finish()

    async def _wait_for_turn(self) -> bool:
        """Ask the Stage for the turn and wait for it. False: refused, or no longer possible."""
        pause = ASK_AGAIN
        while True:
            if not await self._tell_stage("enqueue", self._enqueue()):
                self._gone(f"Stage {self.request.stage} does not exist in Project {self.request.project}")
                return False
            try:
                await workflow.wait_condition(
                    lambda: self.granted is not None or self.refusal is not None or self.expiry is not None,
                    timeout=pause,
                )
            except TimeoutError:
                pause = min(pause * 2, ASK_AGAIN_AT_MOST)
                continue
            return self.granted is not None

    def _enqueue(self) -> Enqueue:
        info = workflow.info()
        return Enqueue(
            name=self.request.name,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            freight=self.request.freight,
            actor=self.request.actor,
            created_at=info.workflow_start_time,
            warehouse=self.request.warehouse,
            override_window=self.request.override_window,
            rerun=self.request.rerun is not None,
        )

    def _gone(self, reason: str) -> None:
        """The Stage can't be asked: a request is refused by that, an accepted Promotion expires."""
        if self.plan is None:
            self.refusal = reason
        else:
            self.expiry = reason

    async def _run_steps(self) -> None:
        assert self.plan is not None
        if self.request.granted is None:
            workflow.upsert_search_attributes([*phase_update(PromotionPhase.RUNNING), *changed(workflow.now())])
        for index, step in enumerate(self.plan.steps):
            if index < self.done:
                continue
            if workflow.cancellation_reason() is not None:
                # The step before took no notice of the cancellation; it counts, and nothing runs after it.
                raise asyncio.CancelledError
            if not step.condition and has_failures(self.records[:index]):
                self.records[index].status = StepStatus.SKIPPED
                self.records[index].message = "an earlier step failed"
                continue
            await self._take_step(index, step)

    async def _take_step(self, index: int, step: PlannedStep) -> None:
        record = self.records[index]
        self._show()
        record.started_at, record.status = workflow.now(), StepStatus.RUNNING
        self._show_progress()
        await self._run_step(index, step)
        record.finished_at = workflow.now()

    async def _run_step(self, index: int, step: PlannedStep) -> None:
        """Run one step to its outcome, through as many lost hosts as it takes."""
        record = self.records[index]
        # The first step of a rerun finds no workspace: what had been done before it is made anew.
        repeated, needs_rebuild = False, 0 < index == self.done
        while True:
            try:
                if needs_rebuild:
                    await self._rebuild(index)
                    record.rebuilds += 1
                result = await self._execute(index, step, repeated=repeated)
                self._succeed(record, result)
                if result.question is not None:
                    await self._ask(record, step, result.question)
            except Woken:
                needs_rebuild = False
                continue
            except Lost as lost:
                if workflow.cancellation_reason() is not None and self.cleaning_up_until is None:
                    # An abort came to a host that was gone by then: what it did not stop isn't begun again.
                    raise asyncio.CancelledError from lost
                workflow.logger.info("step %s lost its host: %s", step.alias, lost)
                needs_rebuild, repeated = True, True
                continue
            except ApplicationError as error:
                self._fail(record, error)
            return

    async def _ask(self, record: StepRecord, step: PlannedStep, question: Question) -> None:
        """Wait until people's answers have decided the step, without a worker. Raises ApplicationError at its end."""
        record.question = question
        self._show_waiting(record, question)
        bound = self._bound(record, step, rebuild=False)
        remaining = None if bound is None else max(bound.until - workflow.now(), timedelta(0))
        # An answer may come in the same moment as the timeout: then it counts.
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: verdict(question, record.responses) is not None,
                timeout=remaining,
                timeout_summary=f"{record.alias}: until it times out",
            )
        workflow.upsert_memo({WAITS: None})
        decided = verdict(question, record.responses)
        if decided is None:
            assert bound is not None
            raise _errored(f"{bound.message}: it {waiting(question, record.responses)}")
        record.status = StepStatus.SUCCEEDED if decided.approved else StepStatus.FAILED
        record.message = decided.message

    def _show_waiting(self, record: StepRecord, question: Question) -> None:
        """What a step waits for, where people look: its message and output, the list of Promotions, Temporal's UI."""
        record.output = output_of(question, record.responses)
        if verdict(question, record.responses) is None:
            record.message = waiting(question, record.responses)
            workflow.upsert_memo({WAITS: f"{record.alias} {record.message}"[:WAITS_SHOWN]})
        self._show()

    async def _execute(
        self, index: int, step: PlannedStep, *, repeated: bool = False, rebuild: bool = False
    ) -> StepResult:
        """Schedule the step's activity. Raises Lost, or ApplicationError for Failed and Errored."""
        assert self.granted is not None
        assert self.plan is not None
        record = self.records[index]
        claim = not self.queue
        if claim:
            self.workspaces += 1
        bound = self._bound(record, step, rebuild=rebuild)
        remaining = bound.until - workflow.now() if bound is not None else None
        if bound is not None and bound.until <= workflow.now():
            raise _errored(bound.message)
        several_attempts = step.kind.polls or step.effective_threshold() > 1
        shard = self.granted.context.shard
        shared = task_queue(shard) if shard else workflow.info().task_queue
        on_host = bool(self.queue) and self.queue != shared
        request = StepRequest(
            context=self.granted.context,
            workspace=f"{self.request.name}.{self.workspaces}",
            step=step,
            index=index,
            outputs=outputs_of(self.records[:index]),
            statuses={r.alias: r.status for r in self.records[:index] if r.status is not None},
            failed=has_failures(self.records[:index]),
            aborted=self.cleaning_up_until is not None,
            started_at=record.started_at or workflow.now(),
            claim=claim,
            rebuild=rebuild,
            recorded=record.output if rebuild else None,
            repeated=repeated,
        )
        attempts = workflow.start_activity(
            step.kind.name,
            request,
            result_type=StepResult,
            task_queue=self.queue or shared,
            schedule_to_close_timeout=remaining,
            start_to_close_timeout=LONGEST_ATTEMPT,
            schedule_to_start_timeout=START_ON_HOST if on_host else None,
            heartbeat_timeout=HEARTBEAT,
            # A step that may not poll gets one attempt: a lost one must come back here, to be rebuilt.
            retry_policy=RetryPolicy(maximum_attempts=0 if several_attempts else 1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{step.alias} (rebuild)" if rebuild else step.alias,
        )
        # An attempt that only looks may be broken off; one that acts may not.
        only_looks = step.kind.polls and step.kind.effect is Effect.PURE and not rebuild
        self.looking = attempts if only_looks and self.cleaning_up_until is None else None
        try:
            result: StepResult = await attempts
        except ActivityError as error:
            if self._was_woken(error):
                raise Woken from error
            raise self._cause(error, step, bound) from error
        finally:
            self.looking, self.woken = None, False
        self.queue = result.queue or self.queue
        return result

    def _was_woken(self, error: ActivityError) -> bool:
        """Whether the attempts ended because of `wake`: cancelled, or with a "not yet" that wasn't tried again."""
        broken_off = is_cancelled_exception(error) or error.retry_state is RetryState.CANCEL_REQUESTED
        return self.woken and broken_off and workflow.cancellation_reason() is None

    def _bound(self, record: StepRecord, step: PlannedStep, *, rebuild: bool) -> Bound | None:
        """Until when a step may take: by its own timeout and, after an abort, by what all have together."""
        bounds = []
        timeout = step.effective_timeout()
        if timeout is not None and record.started_at is not None and not rebuild:
            bounds.append(Bound(record.started_at + timeout, f"timed out after {format_duration(timeout)}"))
        if self.cleaning_up_until is not None:
            whole = f"cleaning up after an abort may take {format_duration(CLEANING_UP)} in all"
            bounds.append(Bound(self.cleaning_up_until, f"timed out: {whole}"))
        return min(bounds, default=None)

    def _cause(self, error: ActivityError, step: PlannedStep, bound: Bound | None) -> Exception:
        """What an activity's failure means: the step's own no, a timeout, or a lost host."""
        cause = error.cause
        # Near its end a poll fails early, with the last "not yet" as its cause: only the retry state tells.
        retry_state = error.retry_state.name if error.retry_state else ""
        if bound is not None and (
            retry_state == "TIMEOUT"
            or (isinstance(cause, ActivityTimeout) and cause.type is TimeoutType.SCHEDULE_TO_CLOSE)
        ):
            return _errored(bound.message)
        if isinstance(cause, ActivityTimeout):
            if cause.type is TimeoutType.START_TO_CLOSE:
                return _errored(f"a single attempt took longer than {format_duration(LONGEST_ATTEMPT)}")
            self.queue = ""
            return Lost(f"{step.alias}: {cause}")
        if isinstance(cause, ApplicationError):
            if cause.type == WORKSPACE_LOST:
                self.queue = ""
                return Lost(f"{step.alias}: {cause.message}")
            return cause
        if is_cancelled_exception(error):
            return asyncio.CancelledError()  # type: ignore[return-value] # a BaseException: ends the run as cancelled
        return _errored(str(cause or error))

    async def _rebuild(self, before: int) -> None:
        """Make the workspace anew on another host: run again what had changed it, and compare what comes out."""
        assert self.plan is not None
        self.queue = ""
        for index, step in enumerate(self.plan.steps[:before]):
            record = self.records[index]
            ran = record.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED) and record.started_at is not None
            if not ran or not (step.kind.effect is Effect.WORKSPACE or step.kind.restores):
                continue
            try:
                result = await self._execute(index, step, rebuild=True)
            except ApplicationError as error:
                raise _errored(
                    f"after the loss of its host, step {step.alias} could not be repeated: {error.message}"
                ) from error
            if (result.output or {}) != (record.output or {}):
                raise _errored(f"after the loss of its host, step {step.alias} came out differently")

    # Outcomes

    def _succeed(self, record: StepRecord, result: StepResult) -> None:
        record.status, record.message, record.output = result.status, result.message, result.output
        record.warnings, record.error_count, record.config = result.warnings, result.error_count, result.config
        if result.status is StepStatus.SUCCEEDED:
            self.health_checks += result.health_checks

    def _fail(self, record: StepRecord, error: ApplicationError) -> None:
        record.status = StepStatus.FAILED if error.type == FAILED else StepStatus.ERRORED
        record.message, record.error_count = error.message, max(record.error_count, 1)
        if error.details:
            failure = StepFailure.model_validate(error.details[0])
            record.message, record.output = failure.message, failure.output
            record.warnings, record.error_count, record.config = failure.warnings, failure.error_count, failure.config
            self.queue = failure.queue or self.queue

    async def _refuse(self) -> PromotionFinished:
        if self.expiry is not None:
            self.phase, self.message = PromotionPhase.ERRORED, self.expiry
            return await self._close()
        workflow.upsert_search_attributes([*phase_update(None), *changed(workflow.now())])
        self._show()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result()

    async def _finish(self) -> PromotionFinished:
        self.phase, self.message = final_phase(self.records)
        return await self._close()

    async def _aborted(self) -> None:
        for record in self.records:
            if record.status is StepStatus.RUNNING:
                record.status, record.finished_at = StepStatus.ABORTED, workflow.now()
        who = f" by {self.abort_request.actor}" if self.abort_request and self.abort_request.actor else ""
        why = f": {self.abort_request.reason}" if self.abort_request and self.abort_request.reason else ""
        self.message = f"aborted{who}{why}"
        if self.plan is None and self.refusal is None:
            self.refusal = self.message
        await self._clean_up()
        self.phase = PromotionPhase.ABORTED
        await self._close()

    async def _clean_up(self) -> None:
        """Run what is to run after an abort: the steps still to come whose `if` asks `aborted()`."""
        if self.granted is None or self.plan is None:
            return
        last = max((i for i, record in enumerate(self.records) if record.status is not None), default=-1)
        due = [(i, step) for i, step in enumerate(self.plan.steps) if i > last and step.cleans_up]
        if not due:
            return
        self.cleaning_up_until = workflow.now() + CLEANING_UP
        failed = []
        for index, step in due:
            record = self.records[index]
            try:
                await self._take_step(index, step)
            except asyncio.CancelledError:
                # Its activity was cancelled by something else than this run: the Promotion still has to end.
                record.status, record.message = StepStatus.ABORTED, "its activity was cancelled"
            if record.status not in (StepStatus.SUCCEEDED, StepStatus.SKIPPED):
                failed.append(f"{step.alias} {record.status}: {record.message}")
        if failed:
            self.message += f"; not all was cleaned up: {'; '.join(failed)}"

    async def _close(self) -> PromotionFinished:
        self.finished_at = workflow.now()
        workflow.upsert_search_attributes([*phase_update(self.phase), *changed(workflow.now())])
        self._show_progress()
        self._show()
        result = self._result()
        await self._tell_stage("finished", result)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    def _result(self) -> PromotionFinished:
        context = self.granted.context if self.granted else None
        return PromotionFinished(
            name=self.request.name,
            run_id=workflow.info().run_id,
            stage=self.request.stage,
            freight=context.freight if context else None,
            collection=context.collection if context else None,
            phase=self.phase,
            message=self.message or self.refusal or "",
            actor=self.request.actor,
            started_at=self.started_at,
            finished_at=self.finished_at,
            health_checks=self.health_checks,
        )

    async def _tell_stage(self, signal: str, message: Enqueue | PromotionFinished) -> bool:
        """Signal the Stage. False: there is none."""
        stage = workflow.get_external_workflow_handle(stage_id(self.request.project, self.request.stage))
        try:
            await stage.signal(signal, message)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("stage %s could not be told %s: %s", self.request.stage, signal, error)
            return False
        return True

    def _proceed(self, message: Proceed) -> None:
        if self.granted is not None:
            return
        plan = message.plan or (self.request.rerun.plan if self.request.rerun else None)
        if self.plan is None and plan is not None:
            self._freeze(plan)
        self.granted = message
        self.freight, self.freight_alias = message.context.freight.name, message.context.freight_alias
        self.phase, self.started_at, self.waiting = PromotionPhase.RUNNING, workflow.now(), ""

    def _freeze(self, plan: PromotionPlan) -> None:
        self.plan = plan
        self.records = [
            StepRecord(alias=step.alias, uses=step.kind.name, continue_on_error=step.continue_on_error)
            for step in plan.steps
        ]
        if self.request.rerun is not None:
            self.done = len(self.request.rerun.done)
            self.records[: self.done] = [record.model_copy() for record in self.request.rerun.done]
            self.health_checks = list(self.request.rerun.health_checks)

    def _show_progress(self) -> None:
        """Write the memo that lists are made from: once per step, and at the end."""
        glance = PromotionSummary(
            freight_alias=self.freight_alias,
            actor=self.request.actor,
            message=self.message[:MESSAGE],
            started_at=self.started_at,
            finished_at=self.finished_at,
            steps=[
                StepGlance(
                    alias=record.alias,
                    uses=record.uses,
                    status=record.status,
                    started_at=record.started_at,
                    finished_at=record.finished_at,
                )
                for record in self.records[:GLANCED]
            ],
        )
        workflow.upsert_memo({SUMMARY: glance})

    def _show(self) -> None:
        """What the Temporal UI shows of the run."""
        request, parent = self.request, workflow.info().parent
        phase = self.phase.value if self.phase else "Refused" if self.refusal else "asking"
        reason = self.message or self.refusal or (self.waiting and f"waits: {self.waiting}")
        lines = [
            f"**{phase}**{f': {reason}' if reason else ''}",
            "",
            f"- Freight `{request.freight}` {self.freight_alias}",
            f"- Stage {link(stage_id(request.project, request.stage))}, which names the verification that follows",
        ]
        if parent is not None and parent.workflow_id.startswith(FANOUT):
            lines.append(f"- one of the promotions of {link(parent.workflow_id)}")
        if self.records:
            lines += ["", "| step | uses | outcome | message |", "| --- | --- | --- | --- |"]
        for record in self.records:
            status = record.status.value if record.status else ""
            message = record.message.replace("|", "\\|").replace("\n", " ")[:200]
            lines.append(f"| {record.alias} | {record.uses} | {status} | {message} |")
        workflow.set_current_details("\n".join(lines))


def _errored(message: str) -> ApplicationError:
    return ApplicationError(message, type=ERRORED, non_retryable=True)
