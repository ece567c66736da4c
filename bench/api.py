"""The REST API of a large installation: lists, and many who watch while many promotions run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import yaml

from bench.figures import Figure, spread
from bench.house import PATIENCE, BenchFailed, House, house
from bench.manifests import Manifest, no_op_steps, stage, warehouse
from bench.processes import cpu_seconds
from model.base import format_time
from starter.calls import Start
from starter.files import ManifestFile
from starter.targets import warehouse_target
from worker.embedded import free_port
from workflows.attributes import PROJECT, WAREHOUSE, attributes

FREIGHT = 2000
SIZES = (8, 100, 600)
WATCHERS = 50
PROMOTIONS = 100
#: Promotions made one after the other, each when the one before is over.
ALONE = 10
ROUNDS = 20


@dataclass(frozen=True)
class Web:
    """The web in a process of its own."""

    client: httpx.AsyncClient
    pid: int
    counts: Path

    def calls(self) -> dict[str, int]:
        found: dict[str, int] = json.loads(self.counts.read_text())
        return found


async def measure(*, quick: bool) -> list[Figure]:
    """Lists of Projects of several sizes, cold and warm; then everybody watches the one of a hundred Stages."""
    sizes = SIZES[:2] if quick else SIZES
    figures: list[Figure] = []
    async with house() as home, web(home) as served:
        for size in sizes:
            await _furnish(home, f"bench{size}", size)
            figures += await _lists(served, f"bench{size}", size)
        watchers, promotions = (10, 20) if quick else (WATCHERS, PROMOTIONS)
        figures += await _watched(served, "bench100", watchers, promotions)
    return figures


@asynccontextmanager
async def web(home: House) -> AsyncIterator[Web]:
    """The web, on the server of a house."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-web-") as directory:
        counts = Path(directory) / "counts"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
        more = {
            "TEMPORAL_ADDRESS": home.record.address,
            "TOWPATH_DATA_DIRECTORY": directory,
            "TOWPATH_WEB_ADDRESS": f"127.0.0.1:{free_port(0)}",
        }
        process = _start(counts, {**own, **more})
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), PATIENCE)
            if not line.startswith("ready "):
                raise BenchFailed(f"the web did not start: {line}")
            limits = httpx.Limits(max_connections=None)
            base = f"{line.split()[1]}/v1beta1"
            async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, limits=limits) as client:
                yield Web(client, process.pid, counts)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)
            if process.stdout is not None:
                process.stdout.close()


def _start(counts: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.counted_web", str(counts)], env=environment, stdout=subprocess.PIPE, text=True
    )


async def _furnish(home: House, project: str, size: int) -> None:
    """Ten Stages take Freight from the Warehouse, the others from those; a hundred all take it themselves."""
    origin = warehouse()
    stages = []
    for number in range(size):
        upstream = f"stage-{number % 10:03}" if size > PROMOTIONS and number >= 10 else ""
        stages.append(stage(f"stage-{number:03}", no_op_steps(), upstream=upstream))
    for manifest in (origin, *stages):
        manifest["metadata"]["namespace"] = project
    items: list[Manifest] = [
        {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Project", "metadata": {"name": project}},
        origin,
        *stages,
    ]
    await home.towpath.apply([ManifestFile("bench.yaml", yaml.safe_dump_all(items, sort_keys=False))], project=project)
    target = warehouse_target(project, "guestbook")
    await asyncio.sleep(2)
    state: dict[str, Any] = await home.towpath.calls.query(target, "export", dict)
    state["freight"] = {record["reference"]["name"]: record for record in map(_piece, range(FREIGHT))}
    state["told"] = {}
    found = attributes({PROJECT: project, WAREHOUSE: "guestbook"})
    await home.towpath.calls.start(
        target, Start(workflow="Warehouse", arg=state, search_attributes=found), replace=True
    )


def _piece(number: int) -> dict[str, Any]:
    name = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "reference": {
            "name": name[:40],
            "origin": {"kind": "Warehouse", "name": "guestbook"},
            "images": [
                {"repoURL": "registry.example.com/guestbook", "tag": f"1.{number}.0", "digest": f"sha256:{name}"}
            ],
        },
        "alias": f"wonky-wombat-{number}",
        "discoveredAt": format_time(datetime.now(UTC) - timedelta(minutes=number)),
    }


async def _lists(served: Web, project: str, size: int) -> list[Figure]:
    at = f"/projects/{project}"
    begun = time.perf_counter()
    await _get(served, f"{at}/stages")
    cold = time.perf_counter() - begun
    # What was just applied settles.
    await asyncio.sleep(5)
    figures = [Figure(f"{size} Stages, first list", 1000 * cold, "ms", "a query for each")]
    for path in ("stages", "freight", "promotions"):
        await _get(served, f"{at}/{path}")
        took = [await _timed(served, f"{at}/{path}") for _ in range(ROUNDS)]
        count = FREIGHT if path == "freight" else size
        figures.append(
            Figure(
                f"{count} {path.capitalize()} of {size} Stages, warm",
                1000 * median(took),
                "ms",
                spread(took, "ms", 1000),
            )
        )
    page = str(served.client.base_url.copy_with(path=at))
    begun = time.perf_counter()
    await _page(served, page)
    figures.append(Figure(f"the page of {size} Stages, first", 1000 * (time.perf_counter() - begun), "ms"))
    took = [await _page(served, page) for _ in range(ROUNDS)]
    figures.append(Figure(f"the page of {size} Stages, warm", 1000 * median(took), "ms", spread(took, "ms", 1000)))
    changed = []
    for number in range(5):
        await _post(served, f"{at}/stages/stage-000/{'thaw' if number % 2 else 'freeze'}", {"reason": "bench"})
        changed.append(await _timed(served, f"{at}/stages"))
    if len(changed) % 2:
        await _post(served, f"{at}/stages/stage-000/thaw", {})
    note = spread(changed, "ms", 1000)
    return [*figures, Figure(f"{size} Stages, after one has changed", 1000 * median(changed), "ms", note)]


async def _get(served: Web, path: str) -> Any:
    response = await served.client.get(path)
    if response.status_code != 200:
        raise BenchFailed(f"{path}: {response.status_code} {response.text[:200]}")
    return response.json()


async def _timed(served: Web, path: str) -> float:
    begun = time.perf_counter()
    response = await served.client.get(path)
    took = time.perf_counter() - begun
    if response.status_code != 200:
        raise BenchFailed(f"{path}: {response.status_code}")
    return took


async def _page(served: Web, url: str) -> float:
    begun = time.perf_counter()
    response = await served.client.get(url)
    took = time.perf_counter() - begun
    if response.status_code != 200 or "<html" not in response.text[:200]:
        raise BenchFailed(f"{url}: {response.status_code}")
    return took


async def _post(served: Web, path: str, body: Any) -> Any:
    response = await served.client.post(path, json=body)
    if response.status_code >= 300:
        raise BenchFailed(f"{path}: {response.status_code} {response.text[:200]}")
    return response


async def _watched(served: Web, project: str, watchers: int, promotions: int) -> list[Figure]:
    at = f"/projects/{project}"
    pieces = (await _get(served, f"{at}/freight?reverse=true"))["groups"][""]["items"]
    freight = pieces[0]["metadata"]["name"]
    delays: dict[str, list[float]] = {"Running": [], "Succeeded": []}
    ended: set[str] = set()
    received = 0

    def note(event: dict[str, Any]) -> None:
        if "object" not in event:
            raise BenchFailed(f"the stream ended: {event}")
        shown = event["object"]
        phase = shown["status"].get("phase", "")
        when = shown["status"].get({"Running": "startedAt", "Succeeded": "finishedAt"}.get(phase, ""))
        key = (shown["metadata"]["name"], phase)
        if when and key not in seen:
            seen.add(key)
            delays[phase].append((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds())
        if phase == "Succeeded":
            ended.add(shown["metadata"]["name"])

    seen: set[tuple[str, str]] = set()

    async def watch(number: int, take: Callable[[dict[str, Any]], None] | None) -> None:
        nonlocal received
        # One watches the API, to tell when things are shown; the others are browsers with the page open.
        live = served.client.base_url.copy_with(path=f"{at}/live")
        url = f"{at}/promotions?watch=true" if number == 0 else str(live)
        async with served.client.stream("GET", url) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    received += 1
                    if take is not None:
                        take(json.loads(line.removeprefix("data: ")))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(number, note if number == 0 else None)) for number in range(watchers)]
        await asyncio.sleep(3)
        idle_calls, idle_cpu = served.calls(), cpu_seconds(served.pid)
        await asyncio.sleep(10)
        idle = {name: (count - idle_calls[name]) / 10 for name, count in served.calls().items()}
        idle_used = (cpu_seconds(served.pid) - idle_cpu) / 10
        gate = asyncio.Semaphore(10)
        for number in range(ALONE):
            await _promote(served, f"{at}/stages/stage-{number:03}", freight, gate)
            await _until_ended(ended, number + 1)
        alone = {phase: list(found) for phase, found in delays.items()}
        for found in delays.values():
            found.clear()
        ended.clear()
        calls, cpu, begun = served.calls(), cpu_seconds(served.pid), time.perf_counter()
        bounded = [_promote(served, f"{at}/stages/stage-{number:03}", freight, gate) for number in range(promotions)]
        await asyncio.gather(*bounded)
        await _until_ended(ended, promotions)
        took = time.perf_counter() - begun
        used = cpu_seconds(served.pid) - cpu
        made = {name: (count - calls[name]) / took for name, count in served.calls().items()}
        for task in tasks:
            task.cancel()
    who = f"{watchers} browsers"
    return [
        Figure(f"{who}, nothing happens: processor time", 1000 * idle_used, "ms per s", "of the web"),
        Figure(f"{who}, nothing happens: lists", idle["lists"], "per s", "of visibility, whoever watches"),
        Figure(f"{who}, nothing happens: queries", idle["queries"], "per s"),
        Figure(f"{who}, {promotions} promotions: all shown after", took, "s", f"{received:,} events sent"),
        Figure(f"{who}, {promotions} promotions: processor time", 1000 * used / took, "ms per s", "of the web"),
        Figure(f"{who}, {promotions} promotions: lists", made["lists"], "per s"),
        Figure(f"{who}, {promotions} promotions: queries", made["queries"], "per s", "one for each change"),
        *(
            Figure(
                f"one promotion at a time: until {phase} is shown",
                1000 * median(found),
                "ms",
                spread(found, "ms", 1000),
            )
            for phase, found in alone.items()
            if found
        ),
        *(
            Figure(
                f"{promotions} promotions: until {phase} is shown",
                1000 * median(found),
                "ms",
                spread(found, "ms", 1000),
            )
            for phase, found in delays.items()
            if found
        ),
    ]


async def _until_ended(ended: set[str], count: int) -> None:
    async with asyncio.timeout(4 * PATIENCE):
        # What is waited for happens in another process.
        while len(ended) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _promote(served: Web, path: str, freight: str, gate: asyncio.Semaphore) -> None:
    async with gate:
        await _post(served, f"{path}/promotions", {"freight": freight})
