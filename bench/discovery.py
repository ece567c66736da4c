"""What a poll costs that finds nothing new, for every type of subscription and every strategy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.figures import Figure
from bench.house import PATIENCE, PROJECT, Cpu, House, house
from bench.manifests import Manifest, project
from examples.world.charts import ChartRepository

#: Warehouses that poll every second, all with one subscription of one kind.
WAREHOUSES = 10
#: Tags and versions of each repository.
VERSIONS = 200


async def measure(*, quick: bool) -> list[Figure]:
    """One kind after the other, against loopback servers; what the house uses when all sleep is taken off.

    `quick`: one strategy of each kind.
    """
    window = 5.0 if quick else 10.0
    with ChartRepository() as charts:
        async with house({"TOWPATH_PLAIN_HTTP_REGISTRIES": "127.0.0.1"}) as home:
            kinds = await asyncio.to_thread(_kinds, home, charts)
            if quick:
                kinds = {name: kinds[name] for name in ("image SemVer", "git NewestFromBranch", "chart HTTP")}
            await _apply(home, next(iter(kinds.values())), "1h")
            await _settled(home, polls=0)
            idle = await _used(home, window)
            figures = [Figure("idle, server and worker", 1000 * (idle.server + idle.worker) / window, "ms per s")]
            for name, subscription in kinds.items():
                figures += await _poll(home, charts, name, subscription, window, idle)
    return figures


def _kinds(home: House, charts: ChartRepository) -> dict[str, Manifest]:
    """A subscription of each kind, to repositories that are filled here."""
    world = home.world
    versions = [f"1.{number}.0" for number in range(VERSIONS)]
    world.registry.push("app", versions[0])
    world.registry.tag_many("app", versions, versions[0])
    charts.push("app", versions)
    repository = world.git.repository("app", {"a": "b"})
    head = repository.head()
    lines = "".join(f"create refs/tags/{version} {head}\n" for version in versions)
    repository.git("update-ref", "--stdin", stdin=lines)
    image = {"repoURL": f"{world.registry.host}/app", "discoveryLimit": 5}
    git = {"repoURL": repository.url, "discoveryLimit": 5}
    return {
        "image SemVer": {"image": image},
        "image Lexical": {"image": {**image, "imageSelectionStrategy": "Lexical"}},
        "image Digest": {"image": {**image, "imageSelectionStrategy": "Digest", "constraint": versions[0]}},
        "image NewestBuild": {"image": {**image, "imageSelectionStrategy": "NewestBuild"}},
        "git NewestFromBranch": {"git": {**git, "branch": "main"}},
        "git SemVer": {"git": {**git, "commitSelectionStrategy": "SemVer"}},
        "git Lexical": {"git": {**git, "commitSelectionStrategy": "Lexical"}},
        "git NewestTag": {"git": {**git, "commitSelectionStrategy": "NewestTag"}},
        "chart HTTP": {"chart": {"repoURL": charts.url, "name": "app"}},
        "chart OCI": {"chart": {"repoURL": f"oci://{world.registry.host}/app"}},
    }


async def _poll(
    home: House, charts: ChartRepository, name: str, subscription: Manifest, window: float, idle: Cpu
) -> list[Figure]:
    await _apply(home, subscription, "1s")
    await _settled(home, polls=3)
    events, asked, sent = await _events(home), _requests(home, charts), _sent(home, charts)
    looks = await _looks(home)
    used = await _used(home, window)
    asked, sent = _requests(home, charts) - asked, _sent(home, charts) - sent
    looks = await _looks(home) - looks
    events = await _events(home) - events
    return [
        Figure(f"{name}: requests", asked / looks, "per poll", f"{looks} polls"),
        Figure(f"{name}: bytes received", sent / looks, "per poll", "bodies"),
        Figure(f"{name}: server", 1000 * (used.server - idle.server) / looks, "ms per poll", "processor time"),
        Figure(f"{name}: worker", 1000 * (used.worker - idle.worker) / looks, "ms per poll", "processor time"),
        Figure(f"{name}: events", events / looks, "per poll", "of Warehouses and Discoveries"),
    ]


async def _apply(home: House, subscription: Manifest, interval: str) -> None:
    manifests = [
        {
            "apiVersion": "kargo.akuity.io/v1alpha1",
            "kind": "Warehouse",
            "metadata": {"name": f"warehouse-{number:02}", "namespace": PROJECT},
            "spec": {"interval": interval, "subscriptions": [subscription]},
        }
        for number in range(WAREHOUSES)
    ]
    await home.apply([project(), *manifests])


async def _settled(home: House, *, polls: int) -> None:
    """Wait until first looks, Schedules and Freight are made: nothing is written to any history, and polls go on."""
    async with asyncio.timeout(PATIENCE):
        before, looked = -1, 0
        while (events := await _events(home)) != before or events < WAREHOUSES or looked < polls * WAREHOUSES:
            before = events
            await asyncio.sleep(4)
            looked = await _looks(home)


async def _used(home: House, seconds: float) -> Cpu:
    before, begun = home.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    used, elapsed = home.cpu().since(before), time.perf_counter() - begun
    return Cpu(used.server * seconds / elapsed, used.worker * seconds / elapsed)


def _requests(home: House, charts: ChartRepository) -> int:
    return len(home.world.registry.requests) + home.world.git.requests.total() + len(charts.answers)


def _sent(home: House, charts: ChartRepository) -> int:
    return home.world.registry.sent + home.world.git.sent + sum(length for _, _, length in charts.answers)


async def _looks(home: House) -> int:
    """Looks so far: attempts of the activities that watch. Temporal counts them, whatever they ask for."""
    total = 0
    for run in await _running(home, "Discovery"):
        described: Any = (await home.towpath.calls.temporal.get_workflow_handle(run).describe()).raw_description
        total += sum(activity.attempt for activity in described.pending_activities)
    return total


async def _events(home: House) -> int:
    runs = [*await _running(home, "Discovery"), *await _running(home, "Warehouse")]
    return sum([await home.events(run) for run in runs])


async def _running(home: House, kind: str) -> list[str]:
    query = f"WorkflowType = '{kind}' AND ExecutionStatus = 'Running'"
    return [execution.id async for execution in home.towpath.calls.temporal.list_workflows(query)]
