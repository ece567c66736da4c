"""The health of a Stage: its checks run again and again, until what they say is news."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError as ActivityError
from temporalio.exceptions import ApplicationErrorCategory

from activities.applications import ApplicationError, find_application, request_refresh
from model.base import Json, Manifest
from model.health import HealthRequest, application_health, is_stale
from model.references import Health, HealthCheckStep, HealthState
from model.steps import NOT_YET

if TYPE_CHECKING:
    from activities.outside import Outside

#: How many Applications of one Stage are looked at side by side.
CONCURRENCY = 8
#: How much of a message of Argo CD's is passed on.
MAX_MESSAGE = 500


class CheckedApplication(Manifest):
    """One Application in the config of a check that `argocd-update` registered."""

    name: str
    namespace: str
    #: One for each source; an empty one: any revision will do.
    desired_revisions: list[str] = Field(default_factory=list)


class ArgoCDCheck(Manifest):
    """Config of a check that `argocd-update` registered."""

    apps: list[CheckedApplication]


async def check_argocd(config: Json, outside: Outside) -> Health:
    """Look at the Applications of a check, and merge what they say to the worst."""
    check = ArgoCDCheck.model_validate(config)
    slots = asyncio.Semaphore(CONCURRENCY)

    async def look(app: CheckedApplication) -> tuple[HealthState, list[str], Json]:
        async with slots:
            return await _look(app, outside)

    results = await asyncio.gather(*(look(app) for app in check.apps))
    state = HealthState.HEALTHY
    for found, _, _ in results:
        state = state.merge(found)
    return Health(
        status=state,
        issues=[issue for _, issues, _ in results for issue in issues],
        output={"applicationStatuses": [status for _, _, status in results]},
    )


async def _look(checked: CheckedApplication, outside: Outside) -> tuple[HealthState, list[str], Json]:
    shown: dict[str, Json] = {"namespace": checked.namespace, "name": checked.name}
    unknown = shown | {"health": {"status": "Unknown"}, "sync": {"status": "Unknown"}}
    try:
        app = await find_application(outside.kubernetes, checked.namespace, checked.name)
    except ApplicationError as error:
        return HealthState.UNKNOWN, [str(error)], unknown
    issues: list[str] = []
    if is_stale(app):
        # Without it Argo CD may not write its status again, when nothing else has changed.
        try:
            await request_refresh(outside.kubernetes, app)
        except ApplicationError as error:
            issues.append(str(error))
    state, found = application_health(app, checked.desired_revisions)
    return state, found + issues, shown | _status(app)


def _status(app: dict[str, Json]) -> dict[str, Json]:
    """What is worth showing of an Application's status: small, and without what changes at every refresh."""
    status = app.get("status") or {}
    operation = status.get("operationState") or {}
    sync = status.get("sync") or {}
    shown: dict[str, Json] = {
        "health": {"status": (status.get("health") or {}).get("status") or "Unknown"},
        "sync": {key: sync[key] for key in ("status", "revision", "revisions") if sync.get(key)},
    }
    if operation:
        shown["operationState"] = {
            key: str(operation[key])[:MAX_MESSAGE] for key in ("phase", "message", "finishedAt") if operation.get(key)
        }
    conditions = status.get("conditions") or []
    if conditions:
        shown["conditions"] = [
            {"type": c.get("type"), "message": str(c.get("message", ""))[:MAX_MESSAGE]} for c in conditions[:10]
        ]
    return shown


#: The checkers, by the name a step registers them under.
CHECKERS: dict[str, Callable[[Json, Outside], Awaitable[Health]]] = {"argocd-update": check_argocd}


async def check_health(checks: list[HealthCheckStep], outside: Outside) -> Health:
    """Run all checks once, merged to the worst; without checks: Healthy. A check that fails itself is Unknown."""
    results = await asyncio.gather(*(_run(check, outside) for check in checks))
    state = HealthState.HEALTHY
    for result in results:
        state = state.merge(result.status)
    return Health(
        status=state,
        issues=[issue for result in results for issue in result.issues],
        config=[check.shown() for check in checks] or None,
        output=[result.output for result in results] or None,
    )


async def _run(check: HealthCheckStep, outside: Outside) -> Health:
    checker = CHECKERS.get(check.uses)
    if checker is None:
        issue = f"this worker knows no health check {check.uses!r}: it may be older than the one that promoted"
        return Health(status=HealthState.UNKNOWN, issues=[issue])
    try:
        return await checker(check.config, outside)
    except ValidationError as error:
        issue = f"the config of the health check {check.uses} is not valid: {error.errors()[0]['msg']}"
    except Exception as error:  # whatever goes wrong is to be seen on the Stage, and looked at again
        issue = f"the health check {check.uses} failed: {error or type(error).__name__}"[:MAX_MESSAGE]
    return Health(status=HealthState.UNKNOWN, issues=[issue])


class HealthActivities:
    """The activity behind a Stage's health."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    @activity.defn(name="watch-health")
    async def watch_health(self, request: HealthRequest) -> Health:
        """The Stage's health as soon as it differs from what is known.

        Until then each look ends this attempt with a benign error, and Temporal starts the next one after a pause
        that grows: no slot is held and no history written meanwhile.
        """
        health = await check_health(request.checks, self.outside)
        if request.known is None or _told(health) != _told(request.known):
            return health
        raise ActivityError(
            f"{request.stage} is still {health.status}",
            type=NOT_YET,
            category=ApplicationErrorCategory.BENIGN,
            next_retry_delay=request.pause(activity.info().attempt),
        )


def _told(health: Health) -> tuple[HealthState, list[str], Json]:
    return health.status, health.issues, health.output
