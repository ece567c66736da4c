"""Fixtures for tests of whole pipelines: one running Towpath for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.installation import Installation, installation
from tests.pipeline.pipeline import Pipeline


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of the person's own configuration gets into a test, and nothing of a test into it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    for name in ("TOWPATH_PROJECT", "TOWPATH_DEBUG", "TOWPATH_ACTOR", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def towpath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`towpath up` with its world, for all tests of this directory."""
    with installation(tmp_path_factory.mktemp("towpath")) as built:
        yield built


@pytest.fixture
def pipeline(towpath: Installation) -> Pipeline:
    """A Project of this test's own in the shape of kargo-advanced, applied, with one piece of Freight to promote."""
    built = Pipeline.create(towpath)
    built.apply()
    return built
