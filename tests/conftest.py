"""Fixtures for all tests."""

from tests.temporal import dev_client, dev_server, time_skipping

__all__ = ["dev_client", "dev_server", "time_skipping"]
