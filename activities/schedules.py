"""The Temporal Schedules that start Discovery runs: made, changed, triggered and deleted for a Warehouse."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from model.discovery import (
    DELETE_SCHEDULE,
    ENSURE_SCHEDULE,
    TRIGGER_SCHEDULE,
    ScheduleRequest,
    schedule_offset,
)
from model.names import TASK_QUEUE

#: Name of the workflow that the Schedules start.
DISCOVERY = "Discovery"
#: A start that was missed for longer is left out: the next one looks just the same.
CATCHUP = timedelta(seconds=60)

PROJECT = SearchAttributeKey.for_keyword("TowpathProject")
WAREHOUSE = SearchAttributeKey.for_keyword("TowpathWarehouse")


@dataclass
class Schedules:
    """The activities on Schedules. All may be repeated: they bring about a state."""

    client: Client

    @activity.defn(name=ENSURE_SCHEDULE)
    async def ensure(self, request: ScheduleRequest) -> None:
        """Have the Warehouse's Schedule be as the request says. A new or changed one starts a run at once."""
        schedule = _schedule(request)
        try:
            await self.client.create_schedule(
                request.schedule_id,
                schedule,
                trigger_immediately=True,
                search_attributes=_search_attributes(request),
            )
        except ScheduleAlreadyRunningError:
            await self._update(request, schedule)

    @activity.defn(name=TRIGGER_SCHEDULE)
    async def trigger(self, request: ScheduleRequest) -> None:
        """Start a run now, if none runs. A Schedule that is missing is made."""
        try:
            await self.client.get_schedule_handle(request.schedule_id).trigger(overlap=ScheduleOverlapPolicy.SKIP)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await self.ensure(request)

    @activity.defn(name=DELETE_SCHEDULE)
    async def delete(self, request: ScheduleRequest) -> None:
        """Delete the Warehouse's Schedule and end its run. One that is missing is deleted already."""
        handle = self.client.get_schedule_handle(request.schedule_id)
        try:
            running = (await handle.describe()).info.running_actions
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        for action in running:
            if isinstance(action, ScheduleActionExecutionStartWorkflow):
                await self._cancel(action)

    async def _cancel(self, action: ScheduleActionExecutionStartWorkflow) -> None:
        try:
            await self.client.get_workflow_handle(
                action.workflow_id, first_execution_run_id=action.first_execution_run_id
            ).cancel()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _update(self, request: ScheduleRequest, schedule: Schedule) -> None:
        """Bring an existing Schedule to the request's state; nothing happens where it is there already."""
        handle = self.client.get_schedule_handle(request.schedule_id)
        if _mark(await handle.describe()) == schedule.state.note:
            return

        def changed(current: ScheduleUpdateInput) -> ScheduleUpdate:
            # What an operator paused stays paused.
            schedule.state.paused = current.description.schedule.state.paused
            return ScheduleUpdate(schedule=schedule)

        await handle.update(changed)
        await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)


def _mark(description: ScheduleDescription) -> str:
    return description.schedule.state.note or ""


def _schedule(request: ScheduleRequest) -> Schedule:
    wanted = request.request
    digest = hashlib.sha256(request.model_dump_json(by_alias=True).encode()).hexdigest()[:16]
    return Schedule(
        action=ScheduleActionStartWorkflow(
            DISCOVERY,
            wanted,
            id=request.schedule_id,
            task_queue=request.task_queue or TASK_QUEUE,
            typed_search_attributes=_search_attributes(request),
            static_summary=f"watches Warehouse {wanted.project}/{wanted.warehouse}",
            static_details=(
                f"Looks every {wanted.interval} for new artifacts of Warehouse `{wanted.warehouse}` in Project "
                f"`{wanted.project}`, and tells `{wanted.warehouse_workflow}`."
            ),
        ),
        spec=ScheduleSpec(
            intervals=[
                ScheduleIntervalSpec(every=wanted.period, offset=schedule_offset(request.schedule_id, wanted.period))
            ]
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCHUP),
        state=ScheduleState(note=f"generation {wanted.generation} ({digest})"),
    )


def _search_attributes(request: ScheduleRequest) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(PROJECT, request.request.project),
            SearchAttributePair(WAREHOUSE, request.request.warehouse),
        ]
    )
