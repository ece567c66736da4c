"""The workflow Discovery on the time-skipping server, with the looking itself faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from model.discovery import DiscoveryReport, DiscoveryRequest, WatchingNotice
from model.names import TASK_QUEUE, task_queue
from tests.discovery.fakes import FakeWatch, ListeningWarehouse
from tests.patience import PATIENCE
from worker.sandbox import sandbox
from workflows.discovery import Discovery

INTERVAL = timedelta(minutes=5)
WAREHOUSE = "warehouse/demo/guestbook"


class World:
    """A Temporal server, a worker, a Warehouse that listens."""

    def __init__(self, environment: WorkflowEnvironment, watch: FakeWatch) -> None:
        self.client = environment.client
        self.environment = environment
        self.watch = watch

    async def warehouse(self) -> WorkflowHandle[ListeningWarehouse, None]:
        return await self.client.start_workflow(ListeningWarehouse.run, id=WAREHOUSE, task_queue=TASK_QUEUE)

    async def start(self, **fields: object) -> WorkflowHandle[Discovery, str]:
        return await self.client.start_workflow(
            Discovery.run, request(**fields), id="discovery/demo/guestbook", task_queue=TASK_QUEUE
        )

    async def heard(self, count: int) -> list[DiscoveryReport]:
        """What the Warehouse was told, once it was told that often."""
        warehouse = self.client.get_workflow_handle_for(ListeningWarehouse.run, WAREHOUSE)
        reports: list[DiscoveryReport] = []

        async def often() -> bool:
            reports[:] = await warehouse.query(ListeningWarehouse.heard)
            return len(reports) >= count

        await self.until_so(often)
        return reports

    async def until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await self.until_so(holds)

    async def until_so(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await condition():  # noqa: ASYNC110  # the condition lies on a server
                await asyncio.sleep(0.01)


def request(**fields: object) -> DiscoveryRequest:
    return DiscoveryRequest.model_validate(
        {
            "project": "demo",
            "warehouse": "guestbook",
            "generation": 1,
            "spec": {"subscriptions": []},
            "interval": INTERVAL,
            "warehouse_workflow": WAREHOUSE,
            **fields,
        }
    )


@pytest.fixture
async def world(time_skipping: WorkflowEnvironment) -> AsyncIterator[World]:
    watch = FakeWatch()
    async with Worker(
        time_skipping.client,
        task_queue=TASK_QUEUE,
        workflows=[Discovery, ListeningWarehouse],
        activities=[watch.watch],
        build_id="test",
        workflow_runner=sandbox([Discovery, ListeningWarehouse]),
    ):
        yield World(time_skipping, watch)


async def test_first_find_is_told_and_then_watched_on(world: World) -> None:
    await world.warehouse()
    discovery = await world.start()

    (report,) = await world.heard(1)
    await world.until(lambda: len(world.watch.requests) == 2)

    assert (report.observed, report.generation) == ("found:one", 1)
    assert (world.watch.requests[0].known, world.watch.requests[0].rest) == ("", timedelta(0))
    assert (world.watch.requests[1].known, world.watch.requests[1].rest) == ("found:one", INTERVAL)
    warehouse = world.client.get_workflow_handle_for(ListeningWarehouse.run, WAREHOUSE)
    assert await warehouse.query(ListeningWarehouse.watched_by) == [
        WatchingNotice(workflow_id=discovery.id, run_id=discovery.first_execution_run_id or "", generation=1)
    ]


async def test_it_ends_before_the_next_run_begins_and_an_hour_of_nothing_leaves_no_trace(world: World) -> None:
    await world.warehouse()
    discovery = await world.start(known="found:one", period=timedelta(hours=10))
    began = (await discovery.describe()).start_time

    assert await discovery.result() == "found:one"

    ended = (await discovery.describe()).close_time
    assert ended is not None
    assert world.watch.looks > 2
    assert ended - began <= timedelta(hours=10)
    events = [event.event_type async for event in discovery.fetch_history_events()]
    assert len(events) < 30
    assert await world.heard(0) == []


async def test_asking_wakes_it_and_is_answered_though_nothing_is_new(world: World) -> None:
    await world.warehouse()
    discovery = await world.start(known="found:one")
    await world.until(lambda: world.watch.looks > 0)

    await discovery.signal(Discovery.look_now, "me")

    (report,) = await world.heard(1)
    assert (report.token, report.answered, report.observed) == ("me", ["me"], "found:one")
    await world.until(lambda: len(world.watch.requests) == 3)
    assert world.watch.requests[2].token == ""


async def test_all_who_asked_are_answered(world: World) -> None:
    await world.warehouse()
    discovery = await world.start(known="found:one")
    await world.until(lambda: world.watch.looks > 0)

    for token in ("me", "you", "me"):
        await discovery.signal(Discovery.look_now, token)

    async def answered() -> bool:
        return {token for report in await world.heard(0) for token in report.answered} == {"me", "you"}

    await world.until_so(answered)


async def test_changed_spec_is_watched_at_once(world: World) -> None:
    await world.warehouse()
    discovery = await world.start(known="found:one")
    await world.until(lambda: world.watch.looks > 0)
    world.watch.observed = "found:two"

    await discovery.signal(Discovery.reconfigure, request(generation=2, spec={"subscriptions": [{}]}))
    await discovery.signal(Discovery.reconfigure, request(generation=1))

    (report,) = await world.heard(1)
    assert (report.generation, report.observed) == (2, "found:two")
    assert world.watch.requests[-1].spec == {"subscriptions": [{}]}


async def test_without_its_warehouse_it_ends(world: World) -> None:
    discovery = await world.start()

    assert await discovery.result() == ""
    assert world.watch.looks == 0


async def test_warehouse_that_vanishes_ends_it_at_the_next_news(world: World) -> None:
    warehouse = await world.warehouse()
    discovery = await world.start(known="found:one")
    await world.until(lambda: world.watch.looks > 0)
    await warehouse.terminate()
    world.watch.observed = "found:two"
    await discovery.signal(Discovery.look_now, "me")

    assert await discovery.result() == "found:two"


async def test_cancelled_it_ends_cancelled(world: World) -> None:
    await world.warehouse()
    discovery = await world.start(known="found:one")
    await world.until(lambda: world.watch.looks > 0)

    await discovery.cancel()

    async def cancelled() -> bool:
        return (await discovery.describe()).status is WorkflowExecutionStatus.CANCELED

    await world.until_so(cancelled)


async def test_much_news_continues_as_new_with_what_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.tempo.EVENTS", 10)
    await world.warehouse()
    discovery = await world.start()
    await world.heard(1)
    await world.until(lambda: world.watch.looks > 0)

    async def continued() -> bool:
        return (await discovery.describe()).run_id != discovery.first_execution_run_id

    await world.until_so(continued)
    await world.until(lambda: len(world.watch.requests) >= 2)
    assert world.watch.requests[-1].known == "found:one"
    assert len(await world.heard(1)) == 1


async def test_looking_is_done_by_the_workers_of_the_shard(world: World) -> None:
    await world.warehouse()
    there = FakeWatch()
    async with Worker(world.client, task_queue=task_queue("east"), activities=[there.watch], build_id="test"):
        await world.start(shard="east")
        (report,) = await world.heard(1)

    assert report.observed == "found:one"
    assert there.looks > 0
    assert world.watch.looks == 0
