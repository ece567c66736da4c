"""All steps of this worker, as the activities it registers."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import activities.steps
from activities.outside import Outside
from activities.steps.check import check_steps, describe_steps
from activities.steps.registry import STEPS
from activities.steps.runtime import step_activity

#: Entry point group by which another package brings steps: each names a module that registers them when imported.
ENTRY_POINTS = "towpath.steps"


def load_steps() -> None:
    """Import every family of steps: those of this package, then those that installed packages bring.

    Raises ImportError, or ValueError where two steps have one name.
    """
    for module in pkgutil.iter_modules(activities.steps.__path__):
        importlib.import_module(f"{activities.steps.__name__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()


def all_activities(outside: Outside) -> list[Callable[..., Any]]:
    """The activity of every step, `check-steps` and `describe-steps`.

    Steps share the slots of `settings.step_concurrency`.
    """
    load_steps()
    slots = asyncio.Semaphore(outside.settings.step_concurrency)
    return [check_steps, describe_steps, *(step_activity(STEPS[name], outside, slots) for name in sorted(STEPS))]
