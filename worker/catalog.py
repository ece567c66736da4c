"""What a worker hosts: every workflow, and every activity of every room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from temporalio.client import Client

from activities.outside import Outside
from worker.workers import Activity


@dataclass(frozen=True)
class Catalog:
    """What one worker hosts."""

    workflows: Sequence[type]
    activities: Sequence[Activity]
    #: To be called when the worker has ended.
    closing: Sequence[Callable[[], Awaitable[None]]] = ()


def everything(outside: Outside, client: Client) -> Catalog:
    """All workflows, and all activities, made with this worker's ways to the outside and its Temporal client."""
    # Imported here: a worker that is given something else to host has no need of it all.
    from activities.discovery.watch import open_watcher
    from activities.health import HealthActivities
    from activities.holders import Holders
    from activities.preview import Previews
    from activities.schedules import Schedules
    from activities.steps.catalog import all_activities
    from activities.verification import Verifications
    from workflows.cluster import Cluster
    from workflows.discovery import Discovery
    from workflows.fanout import FanOut
    from workflows.preview import Preview
    from workflows.project import Project
    from workflows.promotion import Promotion
    from workflows.stage import Stage
    from workflows.verification import Verification
    from workflows.warehouse import Warehouse

    watcher = open_watcher(outside)
    schedules = Schedules(client)
    return Catalog(
        workflows=(Cluster, Discovery, FanOut, Preview, Project, Promotion, Stage, Verification, Warehouse),
        activities=[
            *all_activities(outside),
            *Verifications(outside).activities(),
            *Previews(outside).activities(),
            HealthActivities(outside).watch_health,
            Holders(client).watch,
            schedules.ensure,
            schedules.trigger,
            schedules.delete,
            watcher.watch,
        ],
        closing=[watcher.aclose],
    )
