"""Which Warehouses there are, what they subscribe to, and what they are, remembered for as long as it is so."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from model.base import Json
from model.pushes import Push, concerns, subscribed_urls
from model.resources.warehouse import WarehouseSpec
from model.selection import SelectionError
from starter.client import Towpath
from starter.errors import NotFound
from starter.listing import WarehouseLine

#: Seconds for which a list counts, so that a burst of deliveries costs one.
FRESH = 1.0
#: Specs remembered.
_MANY = 5000
#: Warehouses asked at once.
_BREADTH = 16


@dataclass(frozen=True)
class Known:
    """What a delivery is measured by."""

    spec: WarehouseSpec
    labels: dict[str, str]


class Warehouses:
    """The Warehouses of a Project, or of all, as visibility and their owners know them."""

    def __init__(self, towpath: Towpath, fresh: float = FRESH) -> None:
        self._towpath = towpath
        self._fresh = fresh
        self._lines: dict[str, tuple[float, list[WarehouseLine]]] = {}
        self._known: OrderedDict[tuple[str, int], Known] = OrderedDict()
        self._gate = asyncio.Semaphore(_BREADTH)

    async def lines(self, project: str) -> list[WarehouseLine]:
        """The Warehouses of a Project; of all Projects where none is named. Raises TowpathError."""
        at, lines = self._lines.get(project, (float("-inf"), []))
        now = time.monotonic()
        if now - at < self._fresh:
            return lines
        if project:
            lines = await self._towpath.warehouse_lines(project)
        else:
            lines = await self._towpath.every_warehouse()
        self._lines = {key: entry for key, entry in self._lines.items() if now - entry[0] < self._fresh}
        self._lines[project] = (now, lines)
        return lines

    async def known(self, line: WarehouseLine) -> Known | None:
        """A Warehouse's spec and labels; None: it is gone."""
        key = (line.run_id, line.summary.generation)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        async with self._gate:
            try:
                shown = await self._towpath.get_warehouse(line.project, line.name)
            except NotFound:
                return None
        metadata: dict[str, Json] = shown.get("metadata", {})
        known = Known(WarehouseSpec.model_validate(shown["spec"]), metadata.get("labels", {}))
        self._known[key] = known
        if len(self._known) > _MANY:
            self._known.popitem(last=False)
        return known

    async def urls(self, line: WarehouseLine) -> list[str]:
        """What a Warehouse subscribes to, normalised."""
        if line.summary.subscribes is not None:
            return line.summary.subscribes
        known = await self.known(line)
        return subscribed_urls(known.spec) if known else []

    async def concerned(self, project: str, push: Push) -> list[WarehouseLine]:
        """The Warehouses that may find something new after a push."""
        lines = await self.lines(project)
        verdicts = await asyncio.gather(*(self._concerned(line, push) for line in lines))
        return [line for line, concerned in zip(lines, verdicts, strict=True) if concerned]

    async def _concerned(self, line: WarehouseLine, push: Push) -> bool:
        if not push.repositories.intersection(await self.urls(line)):
            return False
        if not push.qualifiers:
            return True
        known = await self.known(line)
        try:
            return known is not None and concerns(push, known.spec)
        except SelectionError:
            # Its own look says what is wrong with its rules; the others must not wait for that.
            return True
