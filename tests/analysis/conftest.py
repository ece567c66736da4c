"""Fixtures for tests of verifications."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.outside import Outside
from tests.analysis.outside import outside_in
from tests.analysis.server import MetricServer, metric_server

#: What must never be seen outside the worker.
TOKEN = "not-a-real-token-4711"


@pytest.fixture
def server() -> Iterator[MetricServer]:
    with metric_server() as running:
        yield running


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return outside_in(tmp_path, api={"token": TOKEN})
