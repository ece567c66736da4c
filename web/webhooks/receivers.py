"""Which receiver a path leads to. Nothing is kept but what Projects, ClusterConfig and Secrets say at the moment."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from credentials.directory import ManifestDirectory
from starter.client import Towpath
from starter.errors import NotFound
from starter.receivers import Placed, place, secrets_of

logger = logging.getLogger("towpath.webhooks")

#: Seconds for which a known path is not asked for again: a changed Secret closes the old path within them.
FRESH = 5.0
#: Seconds between two readings, however many unknown paths are tried.
PAUSE = 1.0


class Receivers:
    """All receivers, by their paths."""

    def __init__(
        self, towpath: Towpath, credentials: Path | None, *, fresh: float = FRESH, pause: float = PAUSE
    ) -> None:
        self._towpath = towpath
        self._manifests = ManifestDirectory(credentials) if credentials else None
        self._fresh, self._pause = fresh, pause
        self._placed: dict[str, Placed] = {}
        self._read_at = float("-inf")
        self._problems: set[str] = set()
        self._reading = asyncio.Lock()

    async def find(self, path: str) -> Placed | None:
        """The receiver at `<type>/<hash>`, None where there is none. Raises TowpathError."""
        if self._manifests is None:
            return None
        if not self._known(path):
            async with self._reading:
                if not self._known(path) and time.monotonic() - self._read_at >= self._pause:
                    await self._read(self._manifests)
        return self._placed.get(path)

    def _known(self, path: str) -> bool:
        return path in self._placed and time.monotonic() - self._read_at < self._fresh

    async def _read(self, manifests: ManifestDirectory) -> None:
        # Counted from the beginning: a reading that fails is not begun anew for each request.
        self._read_at = time.monotonic()
        projects = [line.name for line in await self._towpath.project_lines() if line.summary.receivers]
        found = await asyncio.gather(*(self._of(manifests, project) for project in ["", *projects]))
        placed: dict[str, Placed] = {}
        problems = set()
        for receiver in (receiver for of_one in found for receiver in of_one):
            if receiver.path:
                placed.setdefault(receiver.path, receiver)
            else:
                problems.add(f"receiver {receiver.config.name} of {_owner(receiver)}: {receiver.problem}")
        for problem in sorted(problems - self._problems):
            logger.warning("%s", problem)
        self._placed, self._problems = placed, problems

    async def _of(self, manifests: ManifestDirectory, project: str) -> list[Placed]:
        try:
            receivers = await self._towpath.receivers(project)
        except NotFound:
            # Deleted just now.
            return []
        secrets = secrets_of(manifests, project)
        return await asyncio.to_thread(lambda: [place(project, receiver, secrets) for receiver in receivers])


def _owner(receiver: Placed) -> str:
    return f"Project {receiver.project}" if receiver.project else "the ClusterConfig"
