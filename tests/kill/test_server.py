"""Temporal's server, or all of `towpath up`, killed while promotions are on their way: they go on where they were."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.kill.gates import ROOT
from tests.kill.scene import PROJECT, scene, until
from tests.patience import PATIENCE
from worker.embedded import free_port
from workflows.record import read_record

#: One Stage for each step, held at its moment.
MOMENTS = {
    "clone": "git-worktree.end",
    "clear": "git-clear.before",
    "image": "kustomize-set-image.after",
    "build": "kustomize-build.during",
    "commit": "git-commit.end",
    "push": "git-push.end",
}


@pytest.mark.kill
async def test_the_temporal_server_is_killed_while_every_step_runs(tmp_path: Path) -> None:
    armed = [f"{stage}.{moment}" for stage, moment in MOMENTS.items()]
    async with scene(tmp_path, ["undisturbed", *MOMENTS]) as here:
        assert here.server is not None
        await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed)
        await here.promote("undisturbed", *MOMENTS)
        await here.gates.reached(armed)
        before = here.server.pid
        os.kill(before, signal.SIGKILL)
        # What the steps have to say, they say while nobody listens.
        here.gates.open()
        await here.all_over()
        assert here.server.pid != before
        assert await here.doubts("undisturbed", rebuilt=False) == []


@pytest.mark.kill
async def test_all_of_towpath_up_is_killed_and_started_again(tmp_path: Path) -> None:
    armed = [f"{stage}.{moment}" for stage, moment in MOMENTS.items()]
    ports = {"TOWPATH_TEMPORAL_PORT": str(free_port(0)), "TOWPATH_TEMPORAL_UI_PORT": str(free_port(0))}
    async with scene(tmp_path, ["undisturbed", *MOMENTS], served=False) as here:
        first = await here.start_worker("machine", "up", ports)
        record = read_record(first.directory)
        assert record is not None
        await here.connect(record.address)
        await here.begin(interval="2s")
        here.gates.arm(armed)
        await here.promote("undisturbed", *MOMENTS)
        await here.gates.reached(armed)
        # All its processes: the worker, Temporal's server, and Git.
        await first.kill(whole_host=True)
        here.gates.open()

        second = await here.start_worker("machine", "up", ports)
        record = read_record(second.directory)
        assert record is not None
        await here.connect(record.address)
        await here.all_over()
        assert await here.doubts("undisturbed") == []

        # The schedule goes on looking.
        here.world.push_image("1.1.0")

        async def newer_freight() -> bool:
            return len(await here.towpath.freight_records(PROJECT)) == 2

        await until(newer_freight)
        # And people find it where it was.
        command = [sys.executable, "-m", "starter", "get", "stages", "-p", PROJECT, "-o", "json"]
        typed = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=here.environment("machine"), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(typed.communicate(), PATIENCE)
        assert typed.returncode == 0
        assert {item["metadata"]["name"] for item in json.loads(output)["items"]} == {"undisturbed", *MOMENTS}
