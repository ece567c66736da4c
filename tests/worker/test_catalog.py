"""Whatever the house can do, a worker hosts."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from temporalio import activity, workflow
from temporalio.client import Client

import activities
import workflows
from activities.outside import open_outside
from worker.catalog import Catalog, everything
from worker.settings import WorkerSettings


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def catalog(client: Client, directory: Path) -> Catalog:
    return everything(open_outside(WorkerSettings(data_directory=directory)), client)


def activity_name(function: object) -> str:
    definition = activity._Definition.from_callable(function) if callable(function) else None
    return (definition.name or "") if definition else ""


def declared(module: ModuleType) -> Iterator[str]:
    """Names of the activities that a module declares, as functions or as methods of its classes."""
    for thing in vars(module).values():
        if inspect.isfunction(thing):
            yield activity_name(thing)
        elif inspect.isclass(thing) and thing.__module__ == module.__name__:
            yield from (activity_name(method) for _, method in inspect.getmembers(thing, inspect.isfunction))


async def test_every_workflow_is_hosted(dev_client: Client, tmp_path: Path) -> None:
    found = {
        kind
        for module in modules(workflows)
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and workflow._Definition.from_class(kind)
    }
    assert found == set(catalog(dev_client, tmp_path).workflows)


async def test_every_activity_is_hosted(dev_client: Client, tmp_path: Path) -> None:
    hosted = [activity_name(function) for function in catalog(dev_client, tmp_path).activities]
    assert len(hosted) == len(set(hosted))
    found = {name for module in modules(activities) for name in declared(module) if name}
    assert found <= set(hosted)
