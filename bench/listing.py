"""Listing the Stages of a large Project."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from bench.figures import Figure, spread
from bench.house import PATIENCE, PROJECT, house
from bench.manifests import no_op_steps, project, stage, warehouse


async def measure(*, quick: bool) -> list[Figure]:
    """What `towpath get stages` asks for, with one call of the server; and every Stage whole, with a query each."""
    size = 50 if quick else 300
    names = [f"stage-{number:03}" for number in range(size)]
    async with house() as home:
        begun = time.perf_counter()
        await home.apply([project(), warehouse(), *(stage(name, no_op_steps()) for name in names)])
        applied = time.perf_counter() - begun
        async with asyncio.timeout(PATIENCE):
            # What is waited for happens in another process.
            while len(await home.towpath.stage_lines(PROJECT)) < size:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        there = time.perf_counter() - begun
        lines = []
        for _ in range(10):
            begun = time.perf_counter()
            assert len(await home.towpath.stage_lines(PROJECT)) == size
            lines.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        assert len(await home.towpath.list_stages(PROJECT)) == size
        whole = time.perf_counter() - begun
    return [
        Figure(f"{size} Stages at a glance", 1000 * median(lines), "ms", spread(lines, "ms", 1000)),
        Figure(f"{size} Stages whole", whole, "s", "a query each"),
        Figure(f"apply of {size} Stages", applied, "s", f"all of them listed after {there:.1f} s"),
    ]
