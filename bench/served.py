"""A registry and a Git host in a process of their own, so that their processor time is not counted as ours."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.managers import BaseManager
from pathlib import Path

from examples.world.git_server import GitServer, Repository
from examples.world.registry import Registry


class _Servers:
    """What lives in the other process."""

    def __init__(self, directory: Path, page_size: int) -> None:
        self.registry = Registry(page_size=page_size).start()
        self.git = GitServer(directory)
        directory.mkdir(parents=True)
        self.git.__enter__()

    def addresses(self) -> tuple[str, str]:
        return self.registry.host, self.git.url

    def push(self, repository: str, tags: Sequence[tuple[str, datetime]]) -> None:
        for tag, created in tags:
            self.registry.push(repository, tag, created=created)

    def tag_many(self, repository: str, tags: Sequence[str], of: str) -> None:
        self.registry.tag_many(repository, tags, of)

    def create(self, name: str) -> Path:
        return self.git.repository(name).path

    def forget(self) -> None:
        self.registry.forget()
        self.git.requests.clear()
        self.registry.sent = self.git.sent = 0

    def counted(self) -> tuple[int, int]:
        return len(self.registry.requests) + self.git.requests.total(), self.registry.sent + self.git.sent


class _Manager(BaseManager):
    pass


_Manager.register("servers", _Servers)


class Served:
    """The servers, from here."""

    def __init__(self, servers: _Servers) -> None:
        self._servers = servers
        self.registry, self._git = servers.addresses()

    def push(self, repository: str, tags: Sequence[tuple[str, datetime]]) -> None:
        """Put images under these tags, each built at its time."""
        self._servers.push(repository, tags)

    def tag_many(self, repository: str, tags: Sequence[str], of: str) -> None:
        """Point many tags at the image of one tag."""
        self._servers.tag_many(repository, tags, of)

    def repository(self, name: str) -> Repository:
        """A new Git repository."""
        return Repository(self._servers.create(name), f"{self._git}/{name}.git")

    def forget(self) -> None:
        """Begin to count anew."""
        self._servers.forget()

    def counted(self) -> tuple[int, int]:
        """Requests, and bytes of the bodies of their answers."""
        return self._servers.counted()


@contextmanager
def served(directory: Path, *, page_size: int) -> Iterator[Served]:
    """Start the servers; their process ends with the context."""
    with _Manager(ctx=multiprocessing.get_context("spawn")) as manager:
        # The manager's class has the method that `register` gave it.
        yield Served(getattr(manager, "servers")(directory, page_size))  # noqa: B009
