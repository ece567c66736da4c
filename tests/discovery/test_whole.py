"""Discovery as a whole: Schedule, workflow and looking together, on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.discovery.watch import Watcher
from activities.schedules import Schedules
from examples.world.git_server import GitServer
from examples.world.registry import Registry
from model.discovery import DiscoveryReport, DiscoveryRequest, ScheduleRequest
from tests.discovery.commits import commit
from tests.discovery.fakes import ListeningWarehouse
from tests.patience import PATIENCE
from worker.sandbox import sandbox
from workflows.discovery import Discovery

QUEUE = "test-discovery-whole"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # the condition lies on a server
            await asyncio.sleep(0.02)


async def test_looks_at_nothing_new_leave_no_trace_and_news_arrives_by_itself(
    dev_client: Client, watcher: Watcher, registry: Registry, git_server: GitServer
) -> None:
    repository = git_server.repository("whole")
    commit(repository, "Begin")
    registry.push("akuity/guestbook", "v0.1.0")
    warehouse: WorkflowHandle[ListeningWarehouse, None] = await dev_client.start_workflow(
        ListeningWarehouse.run, id="warehouse/whole/guestbook", task_queue=QUEUE
    )
    wanted = ScheduleRequest(
        request=DiscoveryRequest(
            project="whole",
            warehouse="guestbook",
            generation=1,
            spec={
                "interval": "1s",
                "subscriptions": [
                    {"image": {"repoURL": f"{registry.host}/akuity/guestbook"}},
                    {"git": {"repoURL": repository.url, "branch": "main"}},
                ],
            },
            interval=timedelta(seconds=1),
            warehouse_workflow=warehouse.id,
        ),
        task_queue=QUEUE,
    )
    schedules = Schedules(dev_client)

    async def heard(count: int) -> list[DiscoveryReport]:
        reports: list[DiscoveryReport] = []

        async def often() -> bool:
            reports[:] = await warehouse.query(ListeningWarehouse.heard)
            return len(reports) >= count

        await until(often)
        return reports

    async with Worker(
        dev_client,
        task_queue=QUEUE,
        workflows=[Discovery, ListeningWarehouse],
        activities=[watcher.watch],
        build_id="test",
        workflow_runner=sandbox([Discovery, ListeningWarehouse]),
    ):
        await ActivityEnvironment().run(schedules.ensure, wanted)
        (first,) = await heard(1)
        assert first.artifacts is not None
        (notice,) = await warehouse.query(ListeningWarehouse.watched_by)
        discovery = dev_client.get_workflow_handle(notice.workflow_id)
        registry.forget()
        git_server.requests.clear()

        async def looked(times: int) -> bool:
            return registry.counted("tags") >= times

        await until(lambda: looked(1))
        before = (await discovery.describe()).history_length
        await until(lambda: looked(3))

        assert (await discovery.describe()).history_length == before
        assert {(request.method, request.kind) for request in registry.requests} == {
            ("GET", "tags"),
            ("HEAD", "manifests"),
        }
        assert set(git_server.requests) == {"POST git-upload-pack"}
        assert git_server.requests["POST git-upload-pack"] in {2, 3}

        registry.push("akuity/guestbook", "v0.2.0")
        second = (await heard(2))[1]
        assert second.artifacts is not None
        assert [one.tag for one in second.artifacts.images[0].references] == ["v0.2.0", "v0.1.0"]
        assert second.artifacts.git == first.artifacts.git

        await ActivityEnvironment().run(schedules.delete, wanted)
