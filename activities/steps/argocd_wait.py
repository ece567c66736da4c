"""The step `argocd-wait` (Kargo: pkg/promotion/runner/builtin/argocd_waiter.go)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator

from activities.applications import ApplicationError, request_refresh
from activities.steps.argocd import (
    ApplicationsOutput,
    TargetApplications,
    applications_output,
    matching_applications,
    pause,
)
from activities.steps.registry import NotYet, StepConfig, StepContext, StepErrored, step
from model.base import Json
from model.health import described, error_conditions, is_stale
from model.steps import Effect

Condition = Literal["health", "sync", "operation", "suspended", "degraded"]

DEFAULT: tuple[Condition, ...] = ("health", "sync", "operation")
#: What each of these takes for the right health; one of them is enough.
HEALTH = {"health": "Healthy", "suspended": "Suspended", "degraded": "Degraded"}


class ApplicationWait(TargetApplications):
    """One or several Applications, and what to wait for: health, sync and operation unless given."""

    #: What must hold: health, sync and operation all of them; of health, suspended and degraded one.
    wait_for: list[Condition] = Field(default_factory=lambda: list(DEFAULT), min_length=1)

    @model_validator(mode="after")
    def each_once(self) -> ApplicationWait:
        if len(set(self.wait_for)) != len(self.wait_for):
            raise ValueError("waitFor names a condition twice")
        return self


class WaitConfig(StepConfig):
    """Config of `argocd-wait`."""

    #: The Applications.
    apps: list[ApplicationWait] = Field(min_length=1)


class WaitOutput(ApplicationsOutput):
    """The Applications waited for, and their health when last seen, by `<namespace>/<name>`."""

    #: Health when last seen, by `<namespace>/<name>`.
    health_statuses: dict[str, str]


@step(
    "argocd-wait",
    config=WaitConfig,
    output=WaitOutput,
    effect=Effect.PURE,
    polls=True,
    timeout=timedelta(minutes=5),
    poll_interval=timedelta(seconds=5),
)
async def argocd_wait(config: WaitConfig, context: StepContext) -> WaitOutput:
    """Wait until all Applications are as wanted. It needs no leave of theirs, and registers no health check."""
    try:
        found = [(wait, app) for wait in config.apps for app in await matching_applications(wait, context)]
        for wait, app in found:
            if is_stale(app) and not HEALTH.keys().isdisjoint(wait.wait_for):
                await request_refresh(context.outside.kubernetes, app)
    except ApplicationError as error:
        raise StepErrored(str(error)) from error
    apps = [app for _, app in found]
    output = WaitOutput(
        apps=applications_output(apps).apps,
        health_statuses={f"{a['metadata']['namespace']}/{a['metadata']['name']}": health_of(a) for a in apps},
    )
    shown = output.model_dump(by_alias=True)
    problems = [problem for wait, app in found for problem in hopeless(app, wait.wait_for, context.started_at)]
    if problems:
        raise StepErrored("; ".join(problems), shown, final=True)
    reasons = [reason for wait, app in found if (reason := not_ready(app, wait.wait_for))]
    if reasons:
        raise NotYet("; ".join(reasons), shown, after=pause(context.started_at))
    return output


def health_of(app: dict[str, Json]) -> str:
    """The Application's own word for its health; empty: none yet."""
    return str(((app.get("status") or {}).get("health") or {}).get("status") or "")


def hopeless(app: dict[str, Json], wait_for: Iterable[Condition], since: datetime) -> list[str]:
    """Why waiting is no use: an error condition, or health that was awaited and has degraded since then."""
    if issues := error_conditions(app):
        return issues
    if "health" not in wait_for or "degraded" in wait_for or health_of(app) != "Degraded" or is_stale(app):
        return []
    changed = ((app.get("status") or {}).get("health") or {}).get("lastTransitionTime")
    if changed and datetime.fromisoformat(changed) > since:
        return [f"{described(app)} became Degraded while its health was awaited"]
    return []


def not_ready(app: dict[str, Json], wait_for: Iterable[Condition]) -> str:
    """The first thing an Application still lacks; empty: nothing."""
    status = app.get("status") or {}
    wanted = [HEALTH[condition] for condition in wait_for if condition in HEALTH]
    operation = status.get("operationState")
    if "operation" in wait_for and (app.get("operation") or (operation and not operation.get("finishedAt"))):
        return f"{described(app)}: an operation is under way"
    if wanted and is_stale(app):
        return f"{described(app)} was not reconciled after its most recent operation"
    if wanted and health_of(app) not in wanted:
        return f"{described(app)} is {health_of(app) or 'without health'}, not {' or '.join(wanted)}"
    sync = (status.get("sync") or {}).get("status")
    if "sync" in wait_for and sync != "Synced":
        return f"{described(app)} is {sync or 'not synced'}, not Synced"
    return ""
