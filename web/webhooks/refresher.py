"""Acts on what a sender told: Warehouses look, Promotions that wait for a pull request go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from model.base import Json
from model.promotions import PromotionView
from model.pushes import Push
from model.steps import StepStatus
from starter.client import Towpath
from starter.errors import NotFound, TowpathError
from starter.listing import WarehouseLine
from web.webhooks.debounce import Debounce
from web.webhooks.warehouses import Warehouses

logger = logging.getLogger("towpath.webhooks")

#: Seconds in which a Warehouse is made to look once, and a Promotion woken once.
WINDOW = 5.0
#: The steps that wait for a pull request, or until it can be merged.
_WAIT = frozenset({"git-wait-for-pr", "git-merge-pr"})
#: Requests to Temporal at once.
_BREADTH = 16

#: Project and name.
Named = tuple[str, str]


class Refresher:
    """Refreshes what a delivery concerns, and nothing else."""

    def __init__(self, towpath: Towpath, *, window: float = WINDOW, warehouses: Warehouses | None = None) -> None:
        self.warehouses = warehouses or Warehouses(towpath)
        self._towpath = towpath
        self._debounce = Debounce(window)
        self._gate = asyncio.Semaphore(_BREADTH)

    async def push(self, project: str, push: Push) -> tuple[int, int]:
        """Makes the Warehouses look that a push concerns: how many, and how many of them could not be told."""
        concerned = await self.warehouses.concerned(project, push)
        told = await self.refresh_warehouses(concerned)
        return len(told), told.count(False)

    async def pull_request_closed(self, project: str, url: str) -> tuple[int, int]:
        """Wakes the Promotions that wait for a pull request: how many, and how many could not be told."""
        views = [view for view in await self._towpath.running_promotions(project) if waits_for(view, url)]
        told = await self.wake_promotions([(view.project, view.name) for view in views])
        return len(told), told.count(False)

    async def running_promotions(self, project: str) -> list[Named]:
        """The Promotions whose steps run, of one Project or of all."""
        return [(view.project, view.name) for view in await self._towpath.running_promotions(project)]

    async def refresh_warehouses(self, lines: Sequence[WarehouseLine]) -> list[bool]:
        """Makes each look, without waiting for what it finds. False: it could not be told."""
        return await self._each("Warehouse", [(line.project, line.name) for line in lines], self._refresh)

    async def wake_promotions(self, promotions: Sequence[Named]) -> list[bool]:
        """Has the waiting step of each look at once. False: it could not be told."""
        return await self._each("Promotion", promotions, self._towpath.wake_promotion)

    async def close(self) -> None:
        await self._debounce.close()

    async def _refresh(self, project: str, name: str) -> None:
        await self._towpath.refresh_warehouse(project, name)

    async def _each(self, kind: str, named: Sequence[Named], act: Callable[[str, str], Awaitable[None]]) -> list[bool]:
        async def one(project: str, name: str) -> bool:
            async def bounded() -> None:
                async with self._gate:
                    await act(project, name)

            try:
                await self._debounce.run((kind, project, name), bounded)
            except NotFound:
                # Over, or deleted, since it was listed: there is nothing to do, and nothing to try again.
                return True
            except TowpathError as error:
                logger.error("%s %s of Project %s could not be told: %s", kind, name, project, error)
                return False
            return True

        return list(await asyncio.gather(*(one(*entry) for entry in named)))


def waits_for(view: PromotionView, url: str) -> bool:
    """Whether a Promotion's running step may wait for the pull request of that page.

    It does where a step before it opened that one. Where none opened any, the number stands in the manifest, or came
    from elsewhere, and only the step knows: it is woken too, and looks once more than it had to, at worst.
    """
    wanted = _page(url)
    if not wanted or not any(step.uses in _WAIT and step.status is StepStatus.RUNNING for step in view.steps):
        return False
    opened = {page for step in view.steps if step.uses not in _WAIT and (page := _page(_pull_request(step.output)))}
    return not opened or wanted in opened


def _pull_request(output: Json) -> str:
    found = output.get("pr") if isinstance(output, dict) else None
    url = found.get("url") if isinstance(found, dict) else None
    return url if isinstance(url, str) else ""


def _page(url: str) -> str:
    return url.strip().rstrip("/").lower()
