"""Many Stages promoted at once: promotions per second, and processor time per promotion."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from bench.figures import Figure, spread
from bench.house import Cpu, house
from bench.manifests import Manifest, guestbook_steps, no_op_steps, project, render_task, stage, warehouse

STAGES = 20
TAGS = ("1.0.0", "1.1.0")


async def measure(*, quick: bool) -> list[Figure]:
    """All Stages are asked at the same moment; the next round begins when the last of them has succeeded."""
    rounds = 2 if quick else 5
    return [
        *await _at_once("no-op steps", no_op_steps(), rounds),
        *await _at_once("guestbook steps", guestbook_steps(), rounds),
    ]


async def _at_once(what: str, steps: list[Manifest], rounds: int) -> list[Figure]:
    names = [f"stage-{number:02}" for number in range(STAGES)]
    async with house() as home:
        await home.apply([project(), warehouse(), render_task(), *(stage(name, steps) for name in names)])
        freight = await home.freight(*TAGS)
        await home.available(names, freight[-1])
        took: list[float] = []
        before = Cpu(0, 0)
        for number in range(-1, rounds):
            if number == 0:
                before = home.cpu()
            begun = time.perf_counter()
            await asyncio.gather(*(home.promote(name, freight[number % 2]) for name in names))
            if number >= 0:
                took.append(time.perf_counter() - begun)
        used = home.cpu().since(before)
    each = rounds * STAGES
    note = "with what it runs: git, kubectl" if steps == guestbook_steps() else f"{len(steps)} steps each"
    return [
        Figure(f"{what}: promotions", STAGES / median(took), "per s", f"{STAGES} Stages at once: {spread(took)}"),
        Figure(f"{what}: processor time, server", 1000 * used.server / each, "ms", "per promotion"),
        Figure(f"{what}: processor time, worker", 1000 * used.worker / each, "ms", f"per promotion; {note}"),
    ]
