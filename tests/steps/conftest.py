"""A Git server on loopback, and a host with workspaces that reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer


@pytest.fixture
def server() -> Iterator[GitServer]:
    with GitServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> ActivitySettings:
    return ActivitySettings(data_directory=tmp_path / "data", allow_credentials_over_http=True)


@pytest.fixture
def outside(settings: ActivitySettings) -> Outside:
    return open_outside(settings)
