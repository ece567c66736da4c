"""The embedded server: quick, durable, alone on its directory, gone with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.patience import PATIENCE
from tests.worker.pipeline import Soak, Tow, carry
from worker import lock
from worker.embedded import EmbeddedServer, ServerFailed, free_port
from worker.lock import DirectoryTaken
from worker.namespace import RETENTION, SEARCH_ATTRIBUTES
from workflows.connection import connect
from workflows.record import read_record, running_server
from workflows.settings import ClientSettings

ROOT = Path(__file__).parents[2]


def embedded(directory: Path, **options: bool) -> EmbeddedServer:
    return EmbeddedServer(
        ClientSettings(data_directory=directory), port=free_port(0), ui_port=free_port(0), **{"ui": False, **options}
    )


async def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # another process has no Event to set
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie is gone too: its parent has not looked yet.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[None]:
    async with Worker(client, task_queue="tow", workflows=[Tow], activities=[carry], build_id="test"):
        yield


async def test_the_namespace_is_as_towpath_needs_it(dev_client: Client) -> None:
    found = await dev_client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert set(SEARCH_ATTRIBUTES) <= set(found.custom_attributes)
    namespace = await dev_client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert namespace.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION


async def test_the_database_is_written_ahead(dev_server: EmbeddedServer) -> None:
    with sqlite3.connect(f"file:{dev_server.database}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_time_is_skipped(time_skipping: WorkflowEnvironment) -> None:
    async with Worker(time_skipping.client, task_queue="tow", workflows=[Soak], build_id="test"):
        assert await time_skipping.client.execute_workflow(Soak.run, id="soak", task_queue="tow") == "soaked"


async def test_a_running_workflow_survives_kill_and_restart(tmp_path: Path) -> None:
    server = embedded(tmp_path)
    client = await server.start()
    try:
        handle = await client.start_workflow(Tow.run, "gravel", id="tow", task_queue="tow")
        os.kill(server.pid, signal.SIGKILL)
        restarted = asyncio.Event()

        async def note(_client: Client) -> None:
            restarted.set()

        address = server.address
        supervision = asyncio.create_task(server.supervise(note))
        await asyncio.wait_for(restarted.wait(), PATIENCE)
        assert server.address == address
        async with working(client):
            await handle.signal(Tow.release)
            assert await asyncio.wait_for(handle.result(), PATIENCE) == "gravel is there"
    finally:
        await server.stop()
    await asyncio.wait_for(supervision, PATIENCE)


async def test_a_workflow_goes_on_after_a_clean_stop(tmp_path: Path) -> None:
    first = embedded(tmp_path)
    client = await first.start()
    await client.start_workflow(Tow.run, "sand", id="tow", task_queue="tow")
    await first.stop()
    assert running_server(tmp_path) is None
    assert read_record(tmp_path) is None
    async with embedded(tmp_path):
        client = await connect(ClientSettings(data_directory=tmp_path))
        handle = client.get_workflow_handle_for(Tow.run, "tow")
        async with working(client):
            await handle.signal(Tow.release)
            assert await asyncio.wait_for(handle.result(), PATIENCE) == "sand is there"


_PARENT = """
import asyncio, sys
from pathlib import Path
from worker.embedded import EmbeddedServer, free_port
from workflows.settings import ClientSettings

async def main():
    server = EmbeddedServer(ClientSettings(data_directory=Path(sys.argv[1])), port=free_port(0), ui=False)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.kill
async def test_the_server_dies_with_a_parent_that_is_killed_and_a_new_one_takes_over(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        server_pid = int(await parent.stdout.readline())
        client = await connect(ClientSettings(data_directory=tmp_path))
        await client.start_workflow(Tow.run, "coal", id="tow", task_queue="tow")
    finally:
        parent.kill()
        await parent.wait()
    await eventually(lambda: gone(server_pid))
    assert read_record(tmp_path) is not None, "the record of the killed one is left behind"
    async with embedded(tmp_path):
        client = await connect(ClientSettings(data_directory=tmp_path))
        handle = client.get_workflow_handle_for(Tow.run, "tow")
        async with working(client):
            await handle.signal(Tow.release)
            assert await asyncio.wait_for(handle.result(), PATIENCE) == "coal is there"


async def test_a_second_one_on_the_same_directory_is_refused(
    dev_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.6)
    directory = dev_server.database.parent
    with pytest.raises(DirectoryTaken, match=rf"process {os.getpid()}.*{directory}.*TOWPATH_DATA_DIRECTORY"):
        await embedded(directory).start()
    assert running_server(directory) is not None, "the one that runs is not disturbed"


async def test_ports_that_are_taken_are_evaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        taken = {first.getsockname()[1], second.getsockname()[1]}
        server = EmbeddedServer(
            ClientSettings(data_directory=tmp_path), port=first.getsockname()[1], ui_port=second.getsockname()[1]
        )
        async with server:
            assert not taken & {server.port, server.ui_port}
            record = running_server(tmp_path)
            assert record is not None
            assert (record.address, record.ui) == (server.address, f"http://127.0.0.1:{server.ui_port}")


async def test_a_server_that_cannot_start_says_why_and_frees_the_directory(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_text("this is no database" * 100)
    with pytest.raises(ServerFailed, match=r"exit code 1; its log, .*temporal\.log, ends with: "):
        await embedded(tmp_path).start()
    assert running_server(tmp_path) is None
