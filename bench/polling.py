"""Warehouses that find nothing new: what a poll costs."""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure
from bench.house import PROJECT, Cpu, House, house
from bench.manifests import project, warehouse

WAREHOUSES = 20


async def measure(*, quick: bool) -> list[Figure]:
    """Each polls an image repository and a Git repository every second; what an idle house costs is taken off."""
    window = 10.0 if quick else 30.0
    names = [f"warehouse-{number:02}" for number in range(WAREHOUSES)]
    async with house() as home:
        await home.apply([project(), *(warehouse(name) for name in names)])
        home.world.push_image("1.0.0")
        await asyncio.gather(*(home.towpath.refresh_warehouse(PROJECT, name, wait=True) for name in names))
        await asyncio.sleep(2)
        idle = await _used(home, window / 2)
        await home.apply([project(), *(warehouse(name, "1s") for name in names)])
        await asyncio.sleep(5)
        events = await _events(home)
        looks, requests = _looks(home), len(home.world.registry.requests)
        busy = await _used(home, window)
        looks, requests = _looks(home) - looks, len(home.world.registry.requests) - requests
        events = await _events(home) - events
    server = busy.server - 2 * idle.server
    worker = busy.worker - 2 * idle.worker
    return [
        Figure("events per poll", events / looks, "events", f"of Warehouses and Discoveries, in {looks} polls"),
        Figure("processor time per poll, server", 1000 * server / looks, "ms", "without what it uses when idle"),
        Figure("processor time per poll, worker", 1000 * worker / looks, "ms", "the same"),
        Figure("requests per poll, registry", requests / looks, "requests"),
        Figure("idle house, server", 1000 * idle.server / (window / 2), "ms per s", f"{WAREHOUSES} Warehouses asleep"),
        Figure("idle house, worker", 1000 * idle.worker / (window / 2), "ms per s"),
    ]


async def _used(home: House, seconds: float) -> Cpu:
    before, begun = home.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    used, elapsed = home.cpu().since(before), time.perf_counter() - begun
    return Cpu(used.server * seconds / elapsed, used.worker * seconds / elapsed)


def _looks(home: House) -> int:
    """Polls so far: each asks the Git server once."""
    return home.world.git.requests["POST git-upload-pack"]


async def _events(home: House) -> int:
    total = 0
    query = "WorkflowType IN ('Warehouse', 'Discovery')"
    async for execution in home.towpath.calls.temporal.list_workflows(query):
        total += await home.events(execution.id)
    return total
