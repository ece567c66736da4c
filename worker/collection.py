"""Removes the workspaces of promotions that are over, so that no promotion has to spend a step on it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from activities.workspace import Workspaces, collect_workspaces

log = logging.getLogger("towpath.collection")

#: A workspace younger than this, in seconds, is left alone: its promotion may not be listed yet.
YOUNGEST = 60.0
_TIMEOUT = timedelta(seconds=30)


async def running_promotions(client: Client) -> set[str]:
    """Names of all promotions and previews that are not over. Raises RPCError."""
    query = "WorkflowType IN ('Promotion', 'Preview') AND ExecutionStatus = 'Running'"
    names = set()
    async for run in client.list_workflows(query, rpc_timeout=_TIMEOUT):
        kind, _, rest = run.id.partition("/")
        name = rest.rpartition("/")[2]
        names.add(f"preview.{name}" if kind == "preview" else name)
    return names


def _promotion(workspace: str) -> str:
    """Whose workspace it is: a Promotion's first is named `<promotion>.1`, its next `<promotion>.2`; a preview's has
    `preview.` before it.
    """
    return workspace.rpartition(".")[0]


async def collect(client: Client, workspaces: Workspaces, youngest: float = YOUNGEST) -> list[str]:
    """Remove the workspaces of closed promotions; their names. Raises RPCError, OSError."""

    def old(names: list[str]) -> list[str]:
        before = time.time() - youngest
        return [name for name in names if (workspaces.root / name).stat().st_mtime < before]

    async def closed(names: list[str]) -> Iterable[str]:
        candidates = await asyncio.to_thread(old, names)
        if not candidates:
            return []
        running = await running_promotions(client)
        return [name for name in candidates if _promotion(name) not in running]

    return await collect_workspaces(workspaces, closed)


async def collect_forever(client: Client, workspaces: Workspaces, interval: float) -> None:
    """Collect every `interval` seconds. What goes wrong is logged, and tried again next time."""
    while True:
        try:
            removed = await collect(client, workspaces)
        except (RPCError, OSError) as error:
            log.warning("workspaces of closed promotions can't be collected now: %s", error)
        else:
            if removed:
                log.info("removed the workspaces of %d closed promotions", len(removed))
        await asyncio.sleep(interval)
