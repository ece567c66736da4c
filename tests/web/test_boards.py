"""The board on a real Temporal server: what is so is shown soon, for as many calls as there are changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from starter.client import Towpath
from starter.errors import NotFound
from tests.patience import PATIENCE
from tests.starter.house import Rooms, in_project, manifests
from tests.workflows.house import project, stage, warehouse
from web.board.boards import Boards
from web.board.snapshot import Snapshot


class Counted:
    """Counts the calls to Temporal of a client."""

    def __init__(self, towpath: Towpath) -> None:
        self.lists: list[str] = []
        self.queries: list[str] = []
        calls = towpath.calls
        executions, query = calls.executions, calls.query

        async def listed(text: str, limit: int | None = None) -> Any:
            self.lists.append(text)
            return await executions(text, limit)

        async def asked(target: Any, name: str, *arguments: Any, **options: Any) -> Any:
            self.queries.append(f"{target.workflow_id} {name}")
            return await query(target, name, *arguments, **options)

        calls.executions, calls.query = listed, asked  # type: ignore[method-assign,assignment]  # counted on the way

    def forget(self) -> None:
        self.lists.clear()
        self.queries.clear()


def apply(house: Rooms, *stages: dict[str, Any]) -> str:
    name = house.project()
    house.house.project = name
    text = manifests(*in_project(name, [*stages, warehouse()]), project(name))
    result = house.run("apply", "-f", "-", stdin=text)
    assert result.exit_code == 0, result.output
    return name


@asynccontextmanager
async def watching(boards: Boards, name: str) -> AsyncIterator[Callable[[Callable[[Snapshot], bool]], Any]]:
    """Gives a function that waits for a Snapshot of which something is true."""
    changes = boards.changes(name)
    latest = None

    async def until(true: Callable[[Snapshot], bool]) -> Snapshot:
        nonlocal latest
        async with asyncio.timeout(PATIENCE):
            while latest is None or not true(latest):
                latest = await anext(changes)
        return latest

    try:
        yield until
    finally:
        await changes.aclose()  # type: ignore[attr-defined]  # it is a generator


def phase(snapshot: Snapshot, stage: str) -> str:
    found = [shown for shown in snapshot.promotions.values() if shown["spec"]["stage"] == stage]
    return found[-1]["status"]["phase"] if found else ""


async def test_a_promotion_is_shown_from_its_request_to_the_verified_freight(house: Rooms) -> None:
    name = await asyncio.to_thread(apply, house, stage("dev"), stage("prod", "dev"))
    towpath = await house.connect()
    boards = Boards(towpath, period=0.1)
    go_on = threading.Event()

    async def wait(_: object) -> dict[str, Any]:
        await asyncio.to_thread(go_on.wait, PATIENCE)
        return {}

    house.house.plays["work"] = wait
    try:
        async with watching(boards, name) as until:
            first = await until(lambda seen: bool(seen.stages))
            assert (list(first.stages), list(first.warehouses), first.freight) == (["dev", "prod"], ["web"], {})
            freight = await asyncio.to_thread(house.wait, house.house.discover("1.0.0"))
            await until(lambda seen: freight.name in seen.freight)
            await towpath.promote(name, "dev", freight=freight.name)
            await until(lambda seen: phase(seen, "dev") == "Running" and _step(seen) == "step-1")
            running = await until(lambda seen: "currentPromotion" in seen.stages["dev"]["status"])
            assert running.stages["dev"]["status"]["currentPromotion"]["name"] in running.promotions
            go_on.set()
            await until(lambda seen: "dev" in seen.freight[freight.name]["status"].get("verifiedIn", {}))
            done = await until(lambda seen: phase(seen, "dev") == "Succeeded")
            assert done.stages["dev"]["status"]["freightHistory"][0]["items"]["Warehouse/web"]["name"] == freight.name
            assert done.version != running.version
    finally:
        go_on.set()
        house.house.plays.pop("work")
        await boards.close()


def _step(snapshot: Snapshot) -> str:
    for shown in snapshot.promotions.values():
        for step in shown["status"].get("stepExecutionMetadata", []):
            if step["status"] == "Running":
                return str(step["alias"])
    return ""


async def test_looking_again_costs_two_calls_and_one_for_each_that_changed(house: Rooms) -> None:
    stages = [stage(f"stage-{number}") for number in range(12)]
    name = await asyncio.to_thread(apply, house, *stages)
    towpath = await house.connect()
    counted = Counted(towpath)
    boards = Boards(towpath, fresh=0)
    before = None
    async with asyncio.timeout(PATIENCE):
        # Stages tell and are told; then they rest.
        while True:
            counted.forget()
            snapshot = await boards.snapshot(name, fresh=True)
            if before is not None and snapshot.version == before.version and not counted.queries:
                break
            before = snapshot
    assert len(counted.lists) == 2
    counted.forget()
    await towpath.freeze("a holiday", name, "stage-3")
    async with asyncio.timeout(PATIENCE):
        while (await boards.snapshot(name, fresh=True)).version == before.version:
            pass
    assert counted.queries == [f"stage/{name}/stage-3 describe"]
    again = await boards.snapshot(name)
    assert again.stages["stage-3"]["status"]["freezes"][0]["reason"] == "a holiday"
    assert again.stages["stage-4"] is before.stages["stage-4"]


async def test_one_poller_serves_all_who_watch_and_ends_with_the_last(house: Rooms) -> None:
    name = await asyncio.to_thread(apply, house, stage("dev"))
    boards = Boards(await house.connect(), period=0.1)
    async with watching(boards, name) as one, watching(boards, name) as other:
        await asyncio.gather(one(lambda _: True), other(lambda _: True))
        assert len(_pollers()) == 1
        await boards._towpath.freeze("closed", name)
        await asyncio.gather(*(until(lambda seen: "freezes" in seen.stages["dev"]["status"]) for until in (one, other)))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*_pollers(), return_exceptions=True)
    assert not _pollers()
    await boards.close()


def _pollers() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if "_Watch._poll" in str(task.get_coro())]


async def test_what_is_deleted_is_gone_and_what_was_just_written_is_there(house: Rooms) -> None:
    name = await asyncio.to_thread(apply, house, stage("dev"), stage("qa"))
    boards = Boards(await house.connect())
    assert list((await boards.snapshot(name)).stages) == ["dev", "qa"]
    deleted = await asyncio.to_thread(house.run, "delete", "stage", "qa", "-p", name)
    assert deleted.exit_code == 0, deleted.output
    boards.wrote(name)
    assert list((await boards.snapshot(name)).stages) == ["dev"]
    await boards._towpath.freeze("closed", name, "dev")
    boards.wrote(name, "Stage", "dev")
    assert (await boards.snapshot(name)).stages["dev"]["status"]["freezes"]
    assert name in [shown["metadata"]["name"] for shown in await boards.projects()]
    gone = await asyncio.to_thread(house.run, "delete", "project", name)
    assert gone.exit_code == 0, gone.output
    with pytest.raises(NotFound):
        await boards.snapshot(name, fresh=True)
    boards.wrote(name)
    assert name not in [shown["metadata"]["name"] for shown in await boards.projects()]
