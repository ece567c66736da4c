"""Steps with brakes, as a worker under test loads them by the entry point for third parties' steps.

Each built-in step stops at the gates before it begins and when it is done but has not said so. Between the two, a
step that writes or deletes files in a thread stops when it is half done with the first.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from activities.steps.registry import STEPS, Step, StepContext
from tests.kill.gates import VARIABLE, hold

GATES = Path(os.environ[VARIABLE])
#: `<stage>.<step>` for as long as a step runs.
RUNNING: ContextVar[str] = ContextVar("running", default="")

_write_bytes, _unlink = Path.write_bytes, Path.unlink


async def _hold(moment: str) -> None:
    """As `hold`, without a thread: those that steps share would soon all be held."""
    if (GATES / f"{moment}.armed").exists():
        (GATES / f"{moment}.reached").touch()
        while (GATES / f"{moment}.armed").exists():  # noqa: ASYNC110  # another process tells, by a file
            await asyncio.sleep(0.05)


def _with_brakes(step: Step) -> Step:
    async def run(config: Any, context: StepContext) -> Any:
        name = f"{context.stage}.{step.name}"
        await _hold(f"{name}.before")
        token = RUNNING.set(name)
        try:
            output = await step.run(config, context)
        finally:
            RUNNING.reset(token)
        await _hold(f"{name}.after")
        return output

    return replace(step, run=run)


def _write_half(path: Path, data: bytes) -> int:
    name = RUNNING.get()
    if name and (GATES / f"{name}.during.armed").exists():
        _write_bytes(path, data[: len(data) // 2])
        hold(GATES, f"{name}.during")
    return _write_bytes(path, data)


def _unlink_and_stop(path: Path, missing_ok: bool = False) -> None:
    _unlink(path, missing_ok=missing_ok)
    name = RUNNING.get()
    if name:
        hold(GATES, f"{name}.during")


Path.write_bytes = _write_half  # type: ignore[method-assign, assignment]  # the brakes
Path.unlink = _unlink_and_stop  # type: ignore[method-assign, assignment]
STEPS.update({name: _with_brakes(step) for name, step in STEPS.items()})
