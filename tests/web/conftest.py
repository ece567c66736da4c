"""Fixtures for tests of the web."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.starter.house import Rooms, rooms
from tests.web.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """All workflows on a server of their own, one for all tests of the web: they use Projects of their own."""
    with rooms(tmp_path_factory.mktemp("house")) as built:
        yield built
