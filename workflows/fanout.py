"""Promote one piece of Freight to all Stages immediately downstream: parent of one Promotion per Stage."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from model.names import new_ulid, promotion_id, run_name, stage_id, warehouse_id
    from model.promotions import (
        AbortRequest,
        Admission,
        FanOutAnswer,
        FanOutInquiry,
        FanOutRequest,
        FanOutResult,
        PromotionFinished,
        PromotionRequest,
    )
    from model.resources.promotion import PromotionPhase
    from workflows.attributes import FREIGHT, PHASE, PROJECT, STAGE, SUMMARY, WAREHOUSE, attributes, phase_update
    from workflows.links import link

#: How long the Warehouse is waited for.
ANSWER = timedelta(seconds=30)


@workflow.defn
class FanOut:
    """All targets are checked first; one that can't have the Freight refuses the whole."""

    @workflow.init
    def __init__(self, request: FanOutRequest) -> None:
        self.request = request
        self.reply: FanOutAnswer | None = None
        self.result = FanOutResult(name=request.name)
        self.decided = False
        self.abort_request = AbortRequest()
        #: What is shown is to be written anew.
        self.stale = False

    # Messages

    @workflow.signal
    def answer(self, message: FanOutAnswer) -> None:
        """The Warehouse knows the targets."""
        self.reply = self.reply or message

    @workflow.signal
    async def abort(self, message: AbortRequest) -> None:
        """Names who aborts, to each Promotion too; the cancellation follows."""
        self.abort_request = message
        for stage in sorted(self.result.names):
            if stage in self.result.promotions:
                continue
            handle = workflow.get_external_workflow_handle(promotion_id(self.request.project, self.result.names[stage]))
            try:
                await handle.signal("abort", message)
            except FailureError as error:
                workflow.logger.info("promotion to %s was over already: %s", stage, error)

    @workflow.update
    async def admission(self) -> Admission:
        """Whether it was refused, or which Promotions are started."""
        await workflow.wait_condition(lambda: self.decided)
        return Admission(
            accepted=not self.result.refused,
            name=self.request.name,
            reason=self.result.refused,
            promotions=[self.result.names[stage] for stage in sorted(self.result.names)],
            notes=self.result.notes,
        )

    @workflow.query
    def progress(self) -> FanOutResult:
        """What has become of each Promotion so far."""
        return self.result

    # The run

    @workflow.run
    async def run(self, request: FanOutRequest) -> FanOutResult:
        self.result.refused = await self._choose_targets()
        if self.result.refused:
            self.decided = True
            workflow.upsert_search_attributes(phase_update(None))
            workflow.set_current_details(f"Refused: {self.result.refused}")
            await workflow.wait_condition(workflow.all_handlers_finished)
            return self.result
        workflow.upsert_search_attributes(phase_update(PromotionPhase.RUNNING))
        self._show()
        try:
            stages = sorted(self.result.names)
            children = await asyncio.gather(*(self._start(stage) for stage in stages))
            # Only now: whoever asked looks at the Promotions next.
            self.decided = True
            await asyncio.gather(
                *(self._outcome(stage, child) for stage, child in zip(stages, children, strict=True) if child)
            )
        except BaseException as error:
            if is_cancelled_exception(error):
                workflow.upsert_search_attributes(phase_update(PromotionPhase.ABORTED))
                self._show()
            raise
        workflow.upsert_search_attributes(phase_update(self._phase()))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.result

    async def _choose_targets(self) -> str:
        """Ask the Warehouse and choose. Returns why nothing is started; empty: something is."""
        inquiry = FanOutInquiry(
            workflow_id=workflow.info().workflow_id, stage=self.request.stage, freight=self.request.freight
        )
        warehouse = workflow.get_external_workflow_handle(warehouse_id(self.request.project, self.request.warehouse))
        try:
            await warehouse.signal("inquire", inquiry)
            await workflow.wait_condition(lambda: self.reply is not None, timeout=ANSWER)
        except TimeoutError:
            return f"Warehouse {self.request.warehouse} did not answer in {ANSWER.total_seconds():.0f} s"
        except FailureError:
            return f"Warehouse {self.request.warehouse} does not exist in Project {self.request.project}"
        reply = self.reply or FanOutAnswer(known=False)
        if not reply.known:
            return f"Freight {self.request.freight} does not exist in Warehouse {self.request.warehouse}"
        if not reply.targets:
            return f"no Stage is downstream of Stage {self.request.stage}"
        targets = [target for target in reply.targets if not target.control_flow]
        self.result.notes = [
            f"control-flow Stage {target.stage} was skipped" for target in reply.targets if target.control_flow
        ]
        if not targets:
            return f"all Stages downstream of Stage {self.request.stage} are control-flow Stages"
        missing = [target for target in targets if not target.available]
        if missing:
            reasons = "; ".join(f"Stage {target.stage}: {target.reason}" for target in missing)
            return f"Freight {self.request.freight} is not available to all of them: {reasons}"
        ulid = new_ulid(workflow.now(), workflow.random())
        self.result.names = {target.stage: run_name(target.stage, ulid, self.request.freight) for target in targets}
        return ""

    async def _start(self, stage: str) -> ChildWorkflowHandle[Any, PromotionFinished] | None:
        """Start one child; that it can't be started is its own failure."""
        name = self.result.names[stage]
        values = {
            PROJECT: self.request.project,
            STAGE: stage,
            WAREHOUSE: self.request.warehouse,
            FREIGHT: self.request.freight,
            PHASE: PromotionPhase.PENDING.value,
        }
        try:
            return await workflow.start_child_workflow(
                "Promotion",
                PromotionRequest(
                    project=self.request.project,
                    stage=stage,
                    name=name,
                    freight=self.request.freight,
                    actor=self.request.actor,
                ),
                id=promotion_id(self.request.project, name),
                result_type=PromotionFinished,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                search_attributes=attributes(values),
                memo={SUMMARY: {"freightAlias": "", "actor": self.request.actor}},
                static_summary=f"promote {self.request.freight[:7]} to {stage}",
                static_details=f"fan-out: workflow `{workflow.info().workflow_id}`",
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            self.result.promotions[stage] = PromotionFinished(
                name=name, stage=stage, phase=PromotionPhase.ERRORED, message=f"it could not be started: {error}"
            )
            return None

    async def _outcome(self, stage: str, child: ChildWorkflowHandle[Any, PromotionFinished]) -> None:
        """Await one child; its failure is its own."""
        name = self.result.names[stage]
        try:
            outcome = await child
        except ChildWorkflowError as error:
            aborted = is_cancelled_exception(error)
            phase = PromotionPhase.ABORTED if aborted else PromotionPhase.ERRORED
            message = "aborted" if aborted else str(error.cause or error)
            self.result.promotions[stage] = PromotionFinished(name=name, stage=stage, phase=phase, message=message)
            if aborted and workflow.cancellation_reason() is not None:
                raise
        else:
            self.result.promotions[stage] = outcome
        self._show_soon()

    def _phase(self) -> PromotionPhase:
        """Worst of the Promotions; a refused one counts as Errored."""
        order = (PromotionPhase.SUCCEEDED, PromotionPhase.ABORTED, PromotionPhase.FAILED, PromotionPhase.ERRORED)
        phases = [outcome.phase or PromotionPhase.ERRORED for outcome in self.result.promotions.values()]
        return max(phases, key=order.index)

    def _show_soon(self) -> None:
        """Once for all that end at the same moment: a hundred tables of a hundred rows are no workflow's work."""
        if not self.stale:
            self.stale = True
            asyncio.get_running_loop().call_soon(self._show)

    def _show(self) -> None:
        self.stale = False
        lines = [
            f"**{self.request.freight[:7]}** to all Stages downstream of {self.request.stage}",
            "",
            f"- Stage {link(stage_id(self.request.project, self.request.stage))}",
            f"- Freight `{self.request.freight}` of {link(warehouse_id(self.request.project, self.request.warehouse))}",
            "",
            "| Stage | Promotion | phase | message |",
            "| --- | --- | --- | --- |",
        ]
        for stage in sorted(self.result.names):
            outcome = self.result.promotions.get(stage)
            phase = (outcome.phase.value if outcome.phase else "refused") if outcome else "under way"
            lines.append(
                f"| {stage} | {link(promotion_id(self.request.project, self.result.names[stage]))} | {phase} "
                f"| {_cell(outcome.message) if outcome else ''} |"
            )
        workflow.set_current_details("\n".join([*lines, "", *self.result.notes]))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]
