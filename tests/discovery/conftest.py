"""A registry and a Git host on loopback, and a watcher that may speak to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from activities.discovery.watch import Watcher, open_watcher
from activities.outside import open_outside
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer
from examples.world.registry import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture
def git_server() -> Iterator[GitServer]:
    with GitServer() as server:
        yield server


@pytest.fixture
async def watcher(tmp_path: Path) -> AsyncIterator[Watcher]:
    watcher = open_watcher(
        open_outside(
            ActivitySettings(
                data_directory=tmp_path / "data",
                plain_http_registries=["127.0.0.1"],
                registry_requests_per_second=100_000,
                credentials_directory=tmp_path / "credentials",
                allow_credentials_over_http=True,
            )
        )
    )
    yield watcher
    await watcher.aclose()
