"""A whole Towpath to measure: `towpath up` in processes of its own, and a world on loopback for it to reach."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.processes import cpu_seconds
from examples.world.guestbook import GuestbookWorld
from model.promotions import PromotionFinished
from model.resources.promotion import PromotionPhase
from starter.client import Towpath
from starter.files import ManifestFile
from starter.targets import promotion_target
from workflows.connection import connect_to
from workflows.record import ServerRecord, running_server
from workflows.settings import ClientSettings

PROJECT = "bench"
#: Seconds within which something must have happened.
PATIENCE = 120.0


class BenchFailed(Exception):
    """Something was not done, so that there is nothing to measure."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of processor time used so far: by Temporal's server, and by the worker with the programs it runs."""

    server: float
    worker: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.server - before.server, self.worker - before.worker)


@dataclass(frozen=True)
class House:
    """A running Towpath, as a client reaches it."""

    world: GuestbookWorld
    towpath: Towpath
    record: ServerRecord

    def cpu(self) -> Cpu:
        return Cpu(cpu_seconds(self.record.server_pid), cpu_seconds(self.record.pid))

    async def apply(self, manifests: Sequence[dict[str, Any]]) -> None:
        text = yaml.safe_dump_all(manifests, sort_keys=False)
        await self.towpath.apply([ManifestFile("bench.yaml", text)], project=PROJECT)

    async def freight(self, *tags: str) -> list[str]:
        """Push these image tags one after the other, and return the names of the Freight that was made of them."""
        names = []
        for tag in tags:
            self.world.push_image(tag)
            await self.towpath.refresh_warehouse(PROJECT, "guestbook", wait=True)
            records = await self.towpath.freight_records(PROJECT)
            names += [r.name for r in records if any(image.tag == tag for image in r.reference.images)]
        if len(names) != len(tags):
            raise BenchFailed(f"of the tags {', '.join(tags)} only {len(names)} became Freight")
        return names

    async def available(self, stages: Sequence[str], freight: str) -> None:
        """Wait until every one of these Stages knows of this Freight."""
        async with asyncio.timeout(PATIENCE):
            for stage in stages:
                # What is waited for happens in another process.
                while freight not in await self._known(stage):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)

    async def _known(self, stage: str) -> set[str]:
        handle = self.towpath.calls.temporal.get_workflow_handle(f"stage/{PROJECT}/{stage}")
        state = await handle.query("export")
        return {record["reference"]["name"] for s in state["snapshots"].values() for record in s["freight"]}

    async def promote(self, stage: str, freight: str) -> str:
        """Promote, from the request to its end, and return the Promotion's name."""
        admission = await self.towpath.promote(PROJECT, stage, freight=freight)
        if not admission.accepted:
            raise BenchFailed(admission.reason)
        handle = self.towpath.calls.handle(promotion_target(PROJECT, admission.name))
        finished = PromotionFinished.model_validate(await handle.result())
        if finished.phase is not PromotionPhase.SUCCEEDED:
            raise BenchFailed(f"{admission.name}: {finished.phase}: {finished.message}")
        return admission.name

    async def events(self, workflow_id: str) -> int:
        """Events in the history of a workflow's latest run."""
        described = await self.towpath.calls.temporal.get_workflow_handle(workflow_id).describe()
        return described.history_length


@asynccontextmanager
async def house(more: Mapping[str, str] | None = None) -> AsyncIterator[House]:
    """Start everything, on a directory of its own; when the context is left, all of it has been stopped and removed.

    `more`: environment variables of `towpath up`, in place of those it is given here.
    """
    directory = Path(tempfile.mkdtemp(prefix="towpath-bench-"))
    process: subprocess.Popen[str] | None = None
    try:
        with GuestbookWorld(directory / "world") as world:
            process = _start(directory, world, more or {})
            try:
                await asyncio.wait_for(asyncio.to_thread(_await_up, process), PATIENCE)
                settings = ClientSettings(data_directory=directory / "data")
                record = running_server(settings.data_directory)
                if record is None:
                    raise BenchFailed("`towpath up` left no record of its server")
                client = await connect_to({"target_host": record.address, "namespace": record.namespace}, settings)
                yield House(world, Towpath(client, "subject:bench"), record)
            finally:
                await asyncio.to_thread(_stop, process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path, world: GuestbookWorld, settings: Mapping[str, str]) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
    more = {
        **world.settings(),
        "TOWPATH_DATA_DIRECTORY": str(directory / "data"),
        "TOWPATH_LOG_LEVEL": "ERROR",
        "TOWPATH_REGISTRY_REQUESTS_PER_SECOND": "1000",
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "starter", "up"],
        env={**own, **more},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _await_up(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ctrl-C"):
            return
    raise BenchFailed(f"`towpath up` ended with {process.wait()}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        # Its own session, so its own process group: nobody else's processes are in it.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
