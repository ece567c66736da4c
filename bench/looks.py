"""Looks at large registries and repositories: the first, one at nothing new, one after a push, and the naive way.

The naive way reads everything each time: `git clone`, every page of tags, manifest and config of every tag.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.discovery.watch import Watcher, open_watcher
from activities.outside import open_outside
from activities.settings import ActivitySettings
from bench.figures import Figure
from bench.house import BenchFailed
from bench.manifests import Manifest
from bench.naive import clone, list_tags, processor_time, read_all
from bench.served import Served, served
from examples.world.git_server import Repository
from model.discovery import WatchRequest
from model.steps import NOT_YET

_FILES = 500
#: A look at nothing new must not cost more than this part of reading everything.
REACH = 0.1
#: Looks at nothing new.
ROUNDS = 5


async def measure(*, quick: bool) -> list[Figure]:
    """Processor time of this process and the programs it runs; the servers are another process."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        directory = Path(name)
        settings = ActivitySettings(
            data_directory=directory / "data",
            plain_http_registries=["127.0.0.1"],
            registry_requests_per_second=100_000,
        )
        watcher = open_watcher(open_outside(settings))
        try:
            with served(directory / "git", page_size=100) as world:
                return [
                    *await _builds(watcher, world, 100 if quick else 1_000),
                    *await _versions(watcher, world, 2_000 if quick else 20_000),
                    *await _commits(watcher, world, directory, *((5_000, 500) if quick else (50_000, 5_000))),
                ]
        finally:
            await watcher.aclose()


async def _builds(watcher: Watcher, world: Served, count: int) -> list[Figure]:
    """NewestBuild: the newest of many builds, which only their manifests and configs tell."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    world.push("builds", [(f"build-{number:05}", began + timedelta(minutes=number)) for number in range(count)])
    wanted = {"image": {"repoURL": f"{world.registry}/builds", "imageSelectionStrategy": "NewestBuild"}}
    cold, known = await _look(watcher, world, wanted)
    warm = await _warm(watcher, world, wanted, known)
    world.push("builds", [("build-new", began + timedelta(days=300))])
    pushed, _ = await _look(watcher, world, wanted, known)
    naive = await asyncio.to_thread(_timed, world, lambda: read_all(world.registry, "builds"))
    return _figures(f"NewestBuild, {count:,} tags", naive, cold=cold, warm=warm, pushed=pushed)


async def _versions(watcher: Watcher, world: Served, count: int) -> list[Figure]:
    """SemVer: the list itself is long; here the naive way reads no more than that."""
    world.push("versions", [("1.0.0", datetime(2026, 1, 1, tzinfo=UTC))])
    world.tag_many("versions", [f"1.{number // 100}.{number % 100}" for number in range(count)], "1.0.0")
    wanted = {"image": {"repoURL": f"{world.registry}/versions", "constraint": "^1.0.0"}}
    cold, known = await _look(watcher, world, wanted)
    warm = await _warm(watcher, world, wanted, known)
    naive = await asyncio.to_thread(_timed, world, lambda: list_tags(world.registry, "versions"))
    # Nothing but reading all pages tells what is new in them.
    return _figures(f"SemVer, {count:,} tags", naive, cold=cold, warm=warm, reach=None)


async def _commits(watcher: Watcher, world: Served, directory: Path, commits: int, tags: int) -> list[Figure]:
    """A long history with many tags, by branch and by tag."""
    repository = world.repository("long")
    await asyncio.to_thread(_fill, repository, commits, commits // tags)
    naive = await asyncio.to_thread(_timed, world, lambda: clone(repository.url, str(directory / "clone")))
    figures: list[Figure] = []
    for number, strategy in enumerate(("NewestFromBranch", "SemVer", "NewestTag")):
        # Each begins without a mirror.
        await asyncio.to_thread(shutil.rmtree, watcher.git.settings.mirror_directory, True)
        wanted = {"git": {"repoURL": repository.url, "commitSelectionStrategy": strategy}}
        cold, known = await _look(watcher, world, wanted)
        warm = await _warm(watcher, world, wanted, known)
        head = repository.commit({"pushed.txt": strategy}, f"for {strategy}")
        repository.git("tag", f"v9.0.{number}", head)
        pushed, _ = await _look(watcher, world, wanted, known)
        name = f"git {strategy}, {commits:,} commits, {tags:,} tags"
        figures += _figures(name, naive, cold=cold, warm=warm, pushed=pushed)
    return figures


@dataclass(frozen=True)
class Cost:
    """What a look took: seconds of processor time and by the clock, requests, and bytes of the answers' bodies."""

    cpu: float
    clock: float
    requests: int
    received: int

    @property
    def note(self) -> str:
        requests = "1 request" if self.requests == 1 else f"{self.requests:,} requests"
        return f"{requests}, {self.received:,} bytes; {1000 * self.clock:,.0f} ms by the clock"


def _figures(
    name: str, naive: Cost, *, cold: Cost, warm: Cost, pushed: Cost | None = None, reach: float | None = REACH
) -> list[Figure]:
    figures = [Figure(f"{name}: nothing new / naive", warm.cpu / naive.cpu, "×", reach=reach)]
    costs = {"cold": cold, "nothing new": warm, "after a push": pushed, "naive": naive}
    for kind, cost in costs.items():
        if cost is not None:
            figures.append(Figure(f"{name}: {kind}", 1000 * cost.cpu, "ms", cost.note))
    return figures


@contextmanager
def _counting(world: Served, rounds: int = 1) -> Iterator[list[Cost]]:
    """Appends what was done within, per round."""
    costs: list[Cost] = []
    world.forget()
    cpu, clock = processor_time(), time.perf_counter()
    yield costs
    took = (processor_time() - cpu) / rounds, (time.perf_counter() - clock) / rounds
    requests, received = world.counted()
    costs.append(Cost(*took, requests // rounds, received // rounds))


async def _look(watcher: Watcher, world: Served, subscription: Manifest, known: str = "") -> tuple[Cost, str]:
    """One look that finds something, and the digest of what was found."""
    with _counting(world) as costs:
        report = await ActivityEnvironment().run(watcher.watch, _request(subscription, known))
    if report.error or report.observed == known:
        raise BenchFailed(report.error or "nothing new was found")
    return costs[0], report.observed


async def _warm(watcher: Watcher, world: Served, subscription: Manifest, known: str) -> Cost:
    """Looks that find nothing new: what one costs on the average."""
    with _counting(world, ROUNDS) as costs:
        for _ in range(ROUNDS):
            try:
                report = await ActivityEnvironment().run(watcher.watch, _request(subscription, known))
            except ApplicationError as answer:
                if answer.type == NOT_YET and answer.message == "nothing new":
                    continue
                raise
            raise BenchFailed(report.error or "something new was found")
    return costs[0]


def _request(subscription: Manifest, known: str) -> WatchRequest:
    return WatchRequest(
        project="bench", warehouse="large", generation=1, spec={"subscriptions": [subscription]}, known=known
    )


def _timed(world: Served, work: Callable[[], object]) -> Cost:
    with _counting(world) as costs:
        work()
    return costs[0]


def _fill(repository: Repository, commits: int, every: int) -> None:
    """Write a history by `git fast-import`: each commit changes one file, and one in `every` is tagged."""
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=repository.path,
        env={"PATH": os.environ["PATH"], "HOME": str(repository.path)},
        input="".join(_history(commits, every)).encode(),
        check=True,
        timeout=600,
    )


def _history(commits: int, every: int) -> Iterator[str]:
    for number in range(commits):
        message, content = f"commit {number}", f"content {number}\n" * 5
        who = f"bench <bench@example.com> {1_700_000_000 + number} +0000"
        yield f"commit refs/heads/main\ncommitter {who}\ndata {len(message)}\n{message}\n"
        yield f"M 100644 inline file-{number % _FILES}.txt\ndata {len(content)}\n{content}\n"
        if number % every == 0:
            yield f"tag v1.0.{number // every}\nfrom refs/heads/main\ntagger {who}\ndata {len(message)}\n{message}\n"
