"""Fixtures for tests of the client and the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.starter.house import Rooms, rooms


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of the person's own configuration gets into a test, and nothing of a test into it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    for name in ("TOWPATH_PROJECT", "TOWPATH_DEBUG", "TOWPATH_ACTOR", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """All workflows on a server of their own, one for all tests of the command line: they use Projects of their own."""
    with rooms(tmp_path_factory.mktemp("house")) as built:
        yield built
