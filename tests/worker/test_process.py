"""`towpath up` and `towpath worker` as processes: they start, find each other, stop, are killed, and go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client

from tests.patience import PATIENCE
from tests.worker.pipeline import Soak, Tow, carry
from worker import process
from worker.catalog import Catalog
from worker.embedded import EmbeddedServer, free_port
from worker.settings import WorkerSettings
from workflows.connection import connect, connect_to
from workflows.record import read_record, running_server
from workflows.settings import ClientSettings

ROOT = Path(__file__).parents[2]
FAKES = Catalog([Tow, Soak], [carry])

_UP = """
import asyncio, sys
from tests.worker.pipeline import Tow, Soak, carry
from worker import process
from worker.catalog import Catalog
from worker.settings import worker_settings

async def main():
    process.everything = lambda outside, client: Catalog([Tow, Soak], [carry])
    await process.run_up(worker_settings(), lambda running: print(running.address, flush=True))
    print("stopped", flush=True)
    return 0

process.run_to_the_end(main)
"""


@asynccontextmanager
async def towpath_up(directory: Path) -> AsyncIterator[Process]:
    """A process of its own that runs everything; killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
    environment |= {
        "TOWPATH_DATA_DIRECTORY": str(directory),
        "TOWPATH_TEMPORAL_PORT": str(free_port(0)),
        "TOWPATH_TEMPORAL_UI_PORT": str(free_port(0)),
        "PYTHONPATH": str(ROOT),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _UP, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def client_of(child: Process, directory: Path) -> Client:
    """A client of what the process runs, once it says that it is ready."""
    assert child.stdout is not None
    line = await asyncio.wait_for(child.stdout.readline(), PATIENCE)
    if not line:
        _, errors = await child.communicate()
        raise AssertionError(errors.decode())
    return await connect_to({"target_host": line.decode().strip()}, ClientSettings(data_directory=directory))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with towpath_up(tmp_path) as child:
        client = await client_of(child, tmp_path)
        handle = await client.start_workflow(Tow.run, "gravel", id="tow", task_queue="towpath")
        await handle.signal(Tow.release)
        assert await asyncio.wait_for(handle.result(), PATIENCE) == "gravel is there"
        child.send_signal(number)
        output, errors = await asyncio.wait_for(child.communicate(), PATIENCE)
        assert (child.returncode, output) == (0, b"stopped\n"), errors.decode()
    assert running_server(tmp_path) is None
    assert read_record(tmp_path) is None


@pytest.mark.kill
async def test_after_everything_was_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async with towpath_up(tmp_path) as child:
        client = await client_of(child, tmp_path)
        handle = await client.start_workflow(Tow.run, "coal", id="tow", task_queue="towpath")
        assert await handle.query(Tow.waits, rpc_timeout=None)
        record = read_record(tmp_path)
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it may have been quicker
            os.kill(record.server_pid, signal.SIGKILL)
    async with towpath_up(tmp_path) as child:
        client = await client_of(child, tmp_path)
        resumed = client.get_workflow_handle_for(Tow.run, "tow")
        await resumed.signal(Tow.release)
        assert await asyncio.wait_for(resumed.result(), PATIENCE) == "coal is there"


@pytest.mark.kill
async def test_the_worker_outlives_its_server(tmp_path: Path) -> None:
    async with towpath_up(tmp_path) as child:
        client = await client_of(child, tmp_path)
        handle = await client.start_workflow(Tow.run, "sand", id="tow", task_queue="towpath")
        before = read_record(tmp_path)
        assert before is not None
        os.kill(before.server_pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while (now := read_record(tmp_path)) is None or now.server_pid == before.server_pid:  # noqa: ASYNC110  # a file tells
                await asyncio.sleep(0.05)
        assert now.address == before.address
        await handle.signal(Tow.release)
        assert await asyncio.wait_for(handle.result(), PATIENCE) == "sand is there"
        assert child.returncode is None


async def test_a_second_one_is_refused(tmp_path: Path) -> None:
    async with towpath_up(tmp_path) as first:
        await client_of(first, tmp_path)
        async with towpath_up(tmp_path) as second:
            _, errors = await asyncio.wait_for(second.communicate(), PATIENCE)
        assert second.returncode != 0
        assert f"another `towpath up` (process {first.pid}) runs on {tmp_path}" in errors.decode()
        assert first.returncode is None


async def test_a_worker_serves_the_shared_queue_and_its_hosts_own(
    dev_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", dev_server.address)
    settings = WorkerSettings(data_directory=tmp_path)
    async with process.worker(settings, FAKES) as running:
        assert running.address == dev_server.address
        client = running.client
        own = f"towpath-host-{(settings.workspace_directory / '.host-id').read_text().strip()}"
        async with asyncio.timeout(PATIENCE):
            queues: set[str] = set()
            while not {"towpath", own} <= queues:
                await asyncio.sleep(0.05)
                answer = await client.workflow_service.list_workers(ListWorkersRequest(namespace="default"))
                queues = {found.worker_heartbeat.task_queue for found in answer.workers_info}
        handle = await client.start_workflow(Tow.run, "clay", id=f"tow-{tmp_path.name}", task_queue="towpath")
        await handle.signal(Tow.release)
        assert await asyncio.wait_for(handle.result(), PATIENCE) == "clay is there"


async def test_a_client_finds_what_towpath_up_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    settings = WorkerSettings(data_directory=tmp_path, temporal_port=free_port(0), temporal_ui_port=free_port(0))
    async with process.up(settings, FAKES) as running:
        client = await connect(ClientSettings(data_directory=tmp_path))
        assert client.service_client.config.target_host == running.address
        record = running_server(tmp_path)
        assert record is not None
        assert (record.ui, record.codec) == (running.ui, running.codec)
