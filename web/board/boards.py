"""The boards of all Projects: made when first asked for, kept, and watched by one poller each, whoever watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator

from model.projects import ProjectView
from starter.client import Towpath, check_name
from starter.errors import NotFound, TowpathError
from starter.listing import entities
from starter.shapes import Resource, project_resource
from starter.sightings import PROJECT, Sighting, sighting
from starter.targets import project_target
from web.board.board import BREADTH, Board
from web.board.snapshot import Snapshot

logger = logging.getLogger("towpath.web")

#: Seconds between two looks at a Project that is watched.
PERIOD = 0.4
#: Seconds for which a Snapshot counts, where nobody watches.
FRESH = 0.4
#: Lists of visibility per second, all pollers together: Temporal Cloud allows ten to a namespace.
LISTS = 8.0
#: Lists that one look costs.
_LISTS_PER_LOOK = 2
#: Looks that may fail one after the other before whoever watches is told.
TRIES = 3
#: Projects remembered.
_MANY = 200


class Boards:
    """What Projects look like, for everybody who reads."""

    def __init__(self, towpath: Towpath, *, period: float = PERIOD, fresh: float = FRESH) -> None:
        self._towpath = towpath
        self._period = period
        self._fresh = fresh
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._watches: dict[str, _Watch] = {}
        self._list = _ProjectList(towpath, fresh)

    async def snapshot(self, project: str, *, fresh: bool = False) -> Snapshot:
        """The Project now; `fresh`: no older than this call. Raises NotFound, InvalidInput, TowpathError."""
        board = self._board(project)
        try:
            return await board.look(time.monotonic() - (0.0 if fresh else self._fresh))
        except NotFound:
            self._forget(project)
            raise

    async def changes(self, project: str) -> AsyncIterator[Snapshot]:
        """The present Snapshot, then each newer one, as long as it is listened to; a slow listener gets the latest.

        Raises NotFound when the Project is gone, and TowpathError when it can't be looked at any more: ask again then.
        """
        present = await self.snapshot(project)
        watch = self._watches.get(project)
        if watch is None:
            watch = self._watches[project] = _Watch(self._board(project), self)
        watch.listeners += 1
        try:
            yield present
            while True:
                present = await watch.newer(present.version)
                yield present
        finally:
            watch.listeners -= 1
            if not watch.listeners:
                watch.stop()
                if self._watches.get(project) is watch:
                    del self._watches[project]

    async def promotions(self, project: str) -> tuple[Snapshot, dict[str, Resource]]:
        """The Snapshot, and all Promotions by name: beside its own those that are over, the last thousand.

        One call more, once: those that end from then on are remembered.
        """
        snapshot = await self.snapshot(project)
        return snapshot, {**await self._board(project).past(), **snapshot.promotions}

    async def projects(self) -> list[Resource]:
        """All Projects, by name: one call, and one more for each that has changed."""
        return await self._list.get()

    def wrote(self, project: str, kind: str = "", name: str = "") -> None:
        """Something was just done in a Project, to what is named: whoever reads next must see it.

        `kind`: `Stage`, `Warehouse`, `Promotion`; empty: the Project itself.
        """
        self._list.forget()
        board = self._boards.get(project)
        if board is not None:
            board.wrote(kind or PROJECT, name or project)
            board.looked_at = float("-inf")

    async def close(self) -> None:
        """Ends all pollers."""
        for watch in list(self._watches.values()):
            watch.stop()
        await asyncio.gather(*(watch.task for watch in self._watches.values()), return_exceptions=True)
        self._watches.clear()

    @property
    def pause(self) -> float:
        """Seconds from one look of a poller to its next."""
        return max(self._period, len(self._watches) * _LISTS_PER_LOOK / LISTS)

    def _board(self, project: str) -> Board:
        check_name("Project", project)
        board = self._boards.get(project)
        if board is None:
            board = self._boards[project] = Board(self._towpath, project)
            for name in list(self._boards):
                if len(self._boards) <= _MANY:
                    break
                if name not in self._watches:
                    del self._boards[name]
        self._boards.move_to_end(project)
        return board

    def _forget(self, project: str) -> None:
        self._boards.pop(project, None)
        self._list.forget()


class _Watch:
    """The one poller of a Project, and who listens to it."""

    def __init__(self, board: Board, boards: Boards) -> None:
        self.listeners = 0
        self._board = board
        self._boards = boards
        self._news = asyncio.Event()
        self._failure: TowpathError | None = None
        self.task = asyncio.create_task(self._poll())

    async def newer(self, version: str) -> Snapshot:
        while True:
            news = self._news
            if self._failure is not None:
                raise self._failure
            present = self._board.snapshot
            if present is not None and present.version != version:
                return present
            await news.wait()

    def stop(self) -> None:
        self.task.cancel()
        self._tell()

    async def _poll(self) -> None:
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                await self._board.look(begun)
                failures = 0
            except TowpathError as error:
                failures += 1
                if isinstance(error, NotFound) or failures > TRIES:
                    self._failure = error
                    self._tell()
                    return
                logger.info("Project %s could not be looked at: %s", self._board.project, error)
            self._tell()
            took = time.monotonic() - begun
            await asyncio.sleep(max(self._boards.pause - took, self._boards.pause / 4))

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class _ProjectList:
    """All Projects; each is asked again when it has changed."""

    def __init__(self, towpath: Towpath, fresh: float) -> None:
        self._towpath = towpath
        self._fresh = fresh
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._known: dict[str, tuple[Sighting, Resource]] = {}

    def forget(self) -> None:
        self._looked_at = float("-inf")

    async def get(self) -> list[Resource]:
        async with self._looking:
            begun = time.monotonic()
            if begun - self._looked_at > self._fresh:
                await self._look()
                self._looked_at = begun
            return [shown for _, (_, shown) in sorted(self._known.items())]

    async def _look(self) -> None:
        found = [sighting(execution) for execution in await self._towpath.calls.executions(entities(PROJECT))]
        gate = asyncio.Semaphore(BREADTH)

        async def ask(seen: Sighting) -> tuple[str, tuple[Sighting, Resource]] | None:
            known = self._known.get(seen.name)
            if known is not None and known[0].mark == seen.mark:
                return seen.name, known
            target = project_target(seen.name)
            async with gate:
                try:
                    view = await self._towpath.calls.query(target, "view", ProjectView, open_only=True)
                except NotFound:
                    return None
            return seen.name, (seen, project_resource(view))

        answers = await asyncio.gather(*(ask(seen) for seen in found))
        self._known = dict(answer for answer in answers if answer is not None)
