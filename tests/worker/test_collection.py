"""Workspaces go when their promotions are over, and not before."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client

from activities.workspace import Workspaces
from tests.patience import PATIENCE
from worker.collection import collect, running_promotions

RUNNING = "dev.01jd0000000000000000000001.abcdef1"
OVER = "dev.01jd0000000000000000000002.abcdef1"


@workflow.defn
class Promotion:
    """Has the real one's name, and never ends by itself."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


async def test_only_workspaces_of_closed_promotions_are_removed(dev_client: Client, tmp_path: Path) -> None:
    runs = {
        name: await dev_client.start_workflow(Promotion.run, id=f"promotion/canal/{name}", task_queue="nobody")
        for name in (RUNNING, OVER)
    }
    await runs[OVER].terminate()
    async with asyncio.timeout(PATIENCE):
        while await running_promotions(dev_client) & {RUNNING, OVER} != {RUNNING}:  # noqa: ASYNC110  # visibility lags
            await asyncio.sleep(0.05)
    workspaces = Workspaces(tmp_path)
    for name in (f"{RUNNING}.1", f"{OVER}.1", f"{OVER}.2", "stage.01jd0000000000000000000003.abcdef1.1"):
        workspaces.claim(name)
    old = time.time() - 3600
    for name in (f"{RUNNING}.1", f"{OVER}.1", f"{OVER}.2"):
        os.utime(tmp_path / name, (old, old))
    assert await collect(dev_client, workspaces) == [f"{OVER}.1", f"{OVER}.2"]
    assert workspaces.names() == [f"{RUNNING}.1", "stage.01jd0000000000000000000003.abcdef1.1"]
    await runs[RUNNING].terminate()
