"""What a worker hosts: every workflow, and every activity of every room."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.client import Client

from activities.outside import Outside
from worker.workers import Activity

#: One workflow per module of `workflows`.
WORKFLOWS = ("Cluster", "Discovery", "FanOut", "Project", "Promotion", "Stage", "Verification", "Warehouse")


@dataclass(frozen=True)
class Catalog:
    """What one worker hosts."""

    workflows: Sequence[type]
    activities: Sequence[Activity]


def everything(outside: Outside, client: Client) -> Catalog:
    """All workflows, and all activities, made with this worker's ways to the outside and its Temporal client."""
    catalogue = importlib.import_module("activities.steps.catalog")
    workflows = [getattr(importlib.import_module(f"workflows.{name.lower()}"), name) for name in WORKFLOWS]
    return Catalog(workflows, list(catalogue.all_activities(outside)))
