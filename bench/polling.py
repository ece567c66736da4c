"""Warehouses that find nothing new: what a poll costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from bench.figures import Figure
from bench.house import PROJECT, Cpu, House, house
from bench.manifests import project, warehouse

#: Builds of the image: what the naive way reads each time.
TAGS = 20
#: The naive way must cost so many times as much.
REACH = 0.5


async def measure(*, quick: bool) -> list[Figure]:
    """Each polls an image repository and a Git repository every second; what an idle house costs is taken off."""
    window, count = (10.0, 20) if quick else (30.0, 60)
    names = [f"warehouse-{number:02}" for number in range(count)]
    async with house() as home:
        for number in range(TAGS):
            home.world.push_image(f"1.0.{number}")
        await home.apply([project(), *(warehouse(name) for name in names)])
        await asyncio.gather(*(home.towpath.refresh_warehouse(PROJECT, name, wait=True) for name in names))
        await asyncio.sleep(2)
        idle = await _used(home, window / 2)
        await home.apply([project(), *(warehouse(name, "1s") for name in names)])
        await asyncio.sleep(5)
        events = await _events(home)
        looks, requests, begun = _looks(home), len(home.world.registry.requests), time.perf_counter()
        busy = await _used(home, window)
        rate = (_looks(home) - looks) / (time.perf_counter() - begun)
        looks, requests = _looks(home) - looks, len(home.world.registry.requests) - requests
        events = await _events(home) - events
        await home.apply([project(), *(warehouse(name) for name in names)])
        naive = await asyncio.to_thread(_naive, home, 5 if quick else 20)
    server, worker = (busy.server - 2 * idle.server) / looks, (busy.worker - 2 * idle.worker) / looks
    return [
        Figure("worker / naive", worker / naive, "×", "processor time", REACH),
        Figure("worker and server / naive", (worker + server) / naive, "×", "processor time"),
        Figure("polls per second of processor time, worker", 1 / worker, "per s", f"{1000 * worker:.1f} ms each"),
        Figure(
            "polls per second of processor time, both", 1 / (worker + server), "per s", f"server {1000 * server:.1f} ms"
        ),
        Figure(
            "polls per second of processor time, naive",
            1 / naive,
            "per s",
            f"clone, list, read {TAGS} images: {1000 * naive:.0f} ms",
        ),
        Figure("polls per second by the clock", rate, "per s", f"{count} were due each second"),
        Figure("events per poll", events / looks, "events", f"of Warehouses and Discoveries, in {looks} polls"),
        Figure("requests per poll, registry", requests / looks, "requests"),
        Figure("idle house, server", 1000 * idle.server / (window / 2), "ms per s", f"{count} Warehouses asleep"),
        Figure("idle house, worker", 1000 * idle.worker / (window / 2), "ms per s"),
    ]


def _naive(home: House, rounds: int) -> float:
    """Seconds of processor time that one poll costs a script, its start and the servers aside."""
    command = [sys.executable, "-m", "bench.naive", home.world.registry.host, "guestbook", home.world.repository.url]
    done = subprocess.run([*command, str(rounds)], capture_output=True, check=True, text=True, timeout=600)
    return float(done.stdout)


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
