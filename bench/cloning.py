"""`git-clone` of a repository with 20,000 commits: the first time, later times, and `git clone` of the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figures import Figure, spread
from bench.workspace import Workspace
from examples.world.git_server import GitServer

_FILES = 500


async def measure(*, quick: bool) -> list[Figure]:
    """Each clones over HTTP and checks out the tip; `git clone` gets a fresh directory each time, as in a script."""
    commits, rounds = (2_000, 2) if quick else (20_000, 3)
    firsts, seconds, plain = [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="towpath-bench-") as directory,
        GitServer(Path(directory) / "git") as server,
    ):
        repository = server.repository("long")
        await asyncio.to_thread(_fill, repository.path, commits)
        for number in range(rounds):
            data = Path(directory) / f"data-{number}"
            firsts.append(await _step(data, "bench.first", repository.url))
            seconds.append(await _step(data, "bench.second", repository.url))
            plain.append(await asyncio.to_thread(_git_clone, repository.url, Path(directory) / "plain"))
            shutil.rmtree(data)
    note = f"{commits:,} commits, {_FILES} files"
    return [
        Figure("first git-clone / git clone", median(firsts) / median(plain), "×", note),
        Figure("later git-clone / git clone", median(seconds) / median(plain), "×", "with the mirror there"),
        Figure("first git-clone", median(firsts), "s", spread(firsts)),
        Figure("later git-clone", median(seconds), "s", spread(seconds)),
        Figure("git clone", median(plain), "s", spread(plain)),
    ]


async def _step(data: Path, name: str, url: str) -> float:
    workspace = Workspace(data, name)
    begun = time.perf_counter()
    await workspace.run("git-clone", {"repoURL": url, "checkout": [{"branch": "main", "path": "./src"}]})
    took = time.perf_counter() - begun
    assert len(list((workspace.files / "src").glob("*.txt"))) == _FILES
    return took


def _git_clone(url: str, target: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", url, str(target)], check=True, timeout=300)
    took = time.perf_counter() - begun
    shutil.rmtree(target)
    return took


def _fill(repository: Path, commits: int) -> None:
    """Write a history by `git fast-import`: each commit changes one file."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(repository)}
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=repository,
        env=environment,
        input="".join(_history(commits)).encode(),
        check=True,
        timeout=300,
    )


def _history(commits: int) -> Iterator[str]:
    for number in range(commits):
        message, content = f"commit {number}", f"content {number}\n" * 20
        yield f"commit refs/heads/main\ncommitter bench <bench@example.com> {1_700_000_000 + number} +0000\n"
        yield f"data {len(message)}\n{message}\nM 100644 inline file-{number % _FILES}.txt\n"
        yield f"data {len(content)}\n{content}\n"
