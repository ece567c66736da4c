"""One thousand Warehouses that look every five minutes: what they take of a machine, and whether they look in time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import timedelta
from statistics import median, quantiles

import yaml

from bench.figures import Figure
from bench.house import BenchFailed, Cpu, House, house
from bench.manifests import project, warehouse
from bench.processes import resident_megabytes
from starter.files import ManifestFile

#: Warehouses of one Project.
PER_PROJECT = 100
#: Seconds for each Warehouse, from its apply to its first look.
PATIENCE_EACH = 3.0


async def measure(*, quick: bool) -> list[Figure]:
    """Each has an image repository of its own and a Git repository. `quick`: 100 that look every 30 s, the same rate.

    The first looks, with Schedules, runs and Freight made, come before the window that is measured.
    """
    count, interval = (100, timedelta(seconds=30)) if quick else (1000, timedelta(minutes=5))
    window = interval.total_seconds()
    names = [f"app-{number:04}" for number in range(count)]
    async with house() as home:
        for name in names:
            home.world.registry.push(name, "1.0.0")
        begun = time.perf_counter()
        for first in range(0, count, PER_PROJECT):
            await _apply(home, f"bench-{first // PER_PROJECT}", names[first : first + PER_PROJECT], interval)
        applied = time.perf_counter() - begun
        await _all_looked(home, names)
        started = time.perf_counter() - begun
        sample = await _sample(home)
        events = await _events(home, sample)
        before, starting, begun = len(home.world.registry.requests), home.cpu(), time.perf_counter()
        await asyncio.sleep(window)
        used, elapsed = home.cpu().since(starting), time.perf_counter() - begun
        looks = len(home.world.registry.requests) - before
        events = await _events(home, sample) - events
        # Who is due at the end of the window has a moment more: so each has looked twice.
        await asyncio.sleep(5)
        late = _late(home, names, window)
        memory = resident_megabytes(home.record.pid), resident_megabytes(home.record.server_pid)
    return [
        Figure("looks / looks due", looks / (count * elapsed / window), "×", f"{looks} in {elapsed:.0f} s"),
        Figure("looks due / looks made", (count * elapsed / window) / looks, "×", "1.1: a tenth is missing", reach=1.1),
        *_load(used, elapsed, looks),
        Figure(
            "lag of a look",
            1000 * median(late),
            "ms",
            f"median; 95 % below {1000 * quantiles(late, n=20)[-1]:.0f} ms, most {1000 * max(late):.0f} ms",
        ),
        Figure(
            "events per look", events * 2 * count / len(sample) / looks, "events", "of runs that end within the hour"
        ),
        Figure("memory, worker", memory[0], "MB"),
        Figure("memory, server", memory[1], "MB"),
        Figure("apply", applied, "s", f"of all {count}"),
        Figure("until all have looked", started, "s", "with Schedules, first runs and Freight"),
    ]


def _load(used: Cpu, elapsed: float, looks: int) -> list[Figure]:
    return [
        Figure("share of one core, server and worker", 100 * (used.server + used.worker) / elapsed, "%", reach=100),
        Figure(
            "share of one core, server", 100 * used.server / elapsed, "%", f"{1000 * used.server / looks:.1f} ms a look"
        ),
        Figure(
            "share of one core, worker", 100 * used.worker / elapsed, "%", f"{1000 * used.worker / looks:.1f} ms a look"
        ),
    ]


async def _apply(home: House, name: str, warehouses: list[str], interval: timedelta) -> None:
    manifests = [project() | {"metadata": {"name": name}}]
    for app in warehouses:
        manifest = warehouse(app, f"{interval.total_seconds():.0f}s")
        manifest["metadata"]["namespace"] = name
        for subscription in manifest["spec"]["subscriptions"]:
            if "image" in subscription:
                subscription["image"]["repoURL"] = f"registry.example.com/{app}"
        manifests.append(manifest)
    await home.towpath.apply([ManifestFile("bench.yaml", yaml.safe_dump_all(manifests))], project=name)


def _looked(home: House) -> dict[str, list[float]]:
    """When each image repository was asked for its tags."""
    moments = defaultdict(list)
    for request in list(home.world.registry.requests):
        if request.kind == "tags":
            moments[request.path.split("/")[2]].append(request.at)
    return moments


async def _all_looked(home: House, names: list[str]) -> None:
    async with asyncio.timeout(60 + PATIENCE_EACH * len(names)):
        # What is waited for happens in another process.
        while len(_looked(home)) < len(names):  # noqa: ASYNC110
            await asyncio.sleep(1)


def _late(home: House, names: list[str], window: float) -> list[float]:
    """By how many seconds each Warehouse's latest look came later than the interval after the one before."""
    moments = _looked(home)
    late = [moments[name][-1] - moments[name][-2] - window for name in names if len(moments[name]) > 1]
    if len(late) < len(names) // 2:
        raise BenchFailed(f"of {len(names)} Warehouses only {len(late)} looked twice")
    return late


async def _sample(home: House) -> list[str]:
    """Ids of some Warehouses and of the Discoveries that run for them: to ask all would be a load of its own."""
    found = home.towpath.calls.temporal.list_workflows("WorkflowType = 'Warehouse' AND ExecutionStatus = 'Running'")
    warehouses = [execution.id async for execution in found][::10]
    return [*warehouses, *(f"discovery/{name.partition('/')[2]}" for name in warehouses)]


async def _events(home: House, sample: list[str]) -> int:
    """Events of their histories."""
    total = 0
    for name in sample:
        if name.startswith("discovery/"):
            found = home.towpath.calls.temporal.list_workflows(f"WorkflowId STARTS_WITH '{name}-'")
            total += sum([await home.events(execution.id) async for execution in found])
        else:
            total += await home.events(name)
    return total
