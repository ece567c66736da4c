"""Fixtures for all tests."""

import pytest

from tests.temporal import dev_client, dev_server, time_skipping

__all__ = ["dev_client", "dev_server", "time_skipping"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start and kill whole programs, and those that are slow, may take longer than pyproject.toml says."""
    for item in items:
        if item.get_closest_marker("kill") or item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(300))
