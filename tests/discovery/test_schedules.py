"""The Schedules of Discovery on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.schedules import Schedules
from model.discovery import DiscoveryRequest, ScheduleRequest, schedule_offset
from tests.discovery.fakes import FakeWatch, ListeningWarehouse
from tests.patience import PATIENCE
from workflows.discovery import Discovery

QUEUE = "test-schedules"


@pytest.fixture
async def watch(dev_client: Client) -> AsyncIterator[FakeWatch]:
    watch = FakeWatch()
    async with Worker(
        dev_client,
        task_queue=QUEUE,
        workflows=[Discovery, ListeningWarehouse],
        activities=[watch.watch],
        build_id="test",
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield watch


def wanted(project: str, generation: int = 1) -> ScheduleRequest:
    return ScheduleRequest(
        request=DiscoveryRequest(
            project=project,
            warehouse="guestbook",
            generation=generation,
            spec={"subscriptions": []},
            warehouse_workflow=f"warehouse/{project}/guestbook",
        ),
        task_queue=QUEUE,
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # the condition lies on a server
            await asyncio.sleep(0.02)


async def runs(client: Client, project: str) -> list[str]:
    """Ids of the runs that the Schedule has started, oldest first."""
    info = (await client.get_schedule_handle(f"discovery/{project}/guestbook").describe()).info
    return [action.action.workflow_id for action in info.recent_actions]  # type: ignore[union-attr]  # starts workflows


async def test_schedule_is_made_once_and_starts_at_once(dev_client: Client, watch: FakeWatch) -> None:
    schedules, run = Schedules(dev_client), ActivityEnvironment().run
    await dev_client.start_workflow(ListeningWarehouse.run, id="warehouse/once/guestbook", task_queue=QUEUE)

    await run(schedules.ensure, wanted("once"))
    await run(schedules.ensure, wanted("once"))

    async def reported() -> bool:
        return len(watch.requests) == 2

    await until(reported)
    description = await dev_client.get_schedule_handle("discovery/once/guestbook").describe()
    (interval,) = description.schedule.spec.intervals
    assert interval.every == timedelta(hours=1)
    assert interval.offset == schedule_offset("discovery/once/guestbook", timedelta(hours=1))
    (identity,) = await runs(dev_client, "once")
    found = [
        execution.id
        async for execution in dev_client.list_workflows(
            "TowpathProject = 'once' AND TowpathWarehouse = 'guestbook' AND WorkflowType = 'Discovery'"
        )
    ]
    assert found == [identity]
    await run(schedules.delete, wanted("once"))


async def test_next_run_goes_on_with_what_the_last_one_knew(dev_client: Client, watch: FakeWatch) -> None:
    schedules, run = Schedules(dev_client), ActivityEnvironment().run
    warehouse = await dev_client.start_workflow(
        ListeningWarehouse.run, id="warehouse/relay/guestbook", task_queue=QUEUE
    )
    await run(schedules.ensure, wanted("relay"))

    async def first_told() -> bool:
        return len(watch.requests) == 2

    await until(first_told)
    first = (await runs(dev_client, "relay"))[0]
    await warehouse.terminate()
    await dev_client.get_workflow_handle(first).signal("look_now", "me")
    assert await dev_client.get_workflow_handle(first).result() == "found:one"
    await dev_client.start_workflow(ListeningWarehouse.run, id="warehouse/relay/guestbook", task_queue=QUEUE)
    watch.requests.clear()

    async def second_watches() -> bool:
        await run(schedules.trigger, wanted("relay"))
        return bool(watch.requests)

    await until(second_watches)
    assert watch.requests[0].known == "found:one"
    await run(schedules.delete, wanted("relay"))


async def test_changed_generation_changes_the_schedule(dev_client: Client, watch: FakeWatch) -> None:
    schedules, run = Schedules(dev_client), ActivityEnvironment().run
    handle = dev_client.get_schedule_handle("discovery/change/guestbook")
    await run(schedules.ensure, wanted("change"))
    before = (await handle.describe()).schedule.state.note
    await handle.pause(note=before)

    await run(schedules.ensure, wanted("change", generation=2))

    state = (await handle.describe()).schedule.state
    assert before is not None
    assert before.startswith("generation 1 ")
    assert state.note is not None
    assert state.note.startswith("generation 2 ")
    assert state.paused
    await run(schedules.delete, wanted("change"))


async def test_deleting_ends_the_run_and_may_be_repeated(dev_client: Client, watch: FakeWatch) -> None:
    schedules, run = Schedules(dev_client), ActivityEnvironment().run
    await dev_client.start_workflow(ListeningWarehouse.run, id="warehouse/end/guestbook", task_queue=QUEUE)
    await run(schedules.ensure, wanted("end"))

    async def watching() -> bool:
        return len(watch.requests) == 2

    await until(watching)
    (identity,) = await runs(dev_client, "end")

    await run(schedules.delete, wanted("end"))
    await run(schedules.delete, wanted("end"))

    async def ended() -> bool:
        status = (await dev_client.get_workflow_handle(identity).describe()).status
        return status is WorkflowExecutionStatus.CANCELED

    await until(ended)
    with pytest.raises(RPCError) as caught:
        await dev_client.get_schedule_handle("discovery/end/guestbook").describe()
    assert caught.value.status is RPCStatusCode.NOT_FOUND


async def test_trigger_makes_a_schedule_that_is_missing(dev_client: Client, watch: FakeWatch) -> None:
    schedules, run = Schedules(dev_client), ActivityEnvironment().run

    await run(schedules.trigger, wanted("anew"))

    async def started() -> bool:
        return bool(await runs(dev_client, "anew"))

    await until(started)
    await run(schedules.delete, wanted("anew"))
