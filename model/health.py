"""How healthy a Stage is: the verdict on one Argo CD Application, and what the health watch is asked for.

The rules are Kargo's (pkg/health/checker/builtin/argocd.go).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from model.base import Duration, Json, Message
from model.references import Health, HealthCheckStep, HealthState

#: Conditions of an Application under which its health can't be right.
ERROR_CONDITIONS = ("ComparisonError", "InvalidSpecError")


class HealthRequest(Message):
    """Argument of the activity `watch-health`, which returns a Health as soon as it differs from `known`."""

    project: str
    stage: str
    checks: list[HealthCheckStep] = Field(default_factory=list)
    #: What the Stage knows already. None: answer at once.
    known: Health | None = None
    #: Pause after the first look; each next one is twice as long, up to `interval`.
    first: Duration = timedelta(seconds=30)
    #: The longest pause between two looks.
    interval: Duration = timedelta(minutes=5)

    def pause(self, looks: int) -> timedelta:
        """How long to wait after so many looks without news."""
        return min(self.first * (1 << min(max(looks - 1, 0), 16)), self.interval)


def sources_of(app: dict[str, Json]) -> list[dict[str, Json]]:
    """The sources of an Application, from `spec.sources` or the older `spec.source`."""
    spec = app.get("spec") or {}
    return list(spec.get("sources") or ([spec["source"]] if spec.get("source") else []))


def described(app: dict[str, Json]) -> str:
    """An Application as messages name it."""
    metadata = app.get("metadata") or {}
    return f"Argo CD Application {metadata.get('name')!r} in namespace {metadata.get('namespace')!r}"


def is_stale(app: dict[str, Json]) -> bool:
    """Whether the Application's health may be from before its last operation ended.

    Argo CD assesses health apart from operations, and writes `reconciledAt` when it has; times are whole seconds.
    """
    status = app.get("status") or {}
    finished = _time((status.get("operationState") or {}).get("finishedAt"))
    reconciled = _time(status.get("reconciledAt"))
    return finished is not None and (reconciled is None or reconciled < finished)


def _time(text: Json) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def error_conditions(app: dict[str, Json]) -> list[str]:
    """A sentence for each condition under which the Application's health can't be right."""
    conditions = (app.get("status") or {}).get("conditions") or []
    return [
        f"{described(app)} has the condition {c['type']}: {c.get('message', '')}"
        for c in conditions
        if c.get("type") in ERROR_CONDITIONS
    ]


def application_health(app: dict[str, Json], desired_revisions: list[str]) -> tuple[HealthState, list[str]]:
    """What an Application says of the Stage's health, with a sentence for each issue.

    `desired_revisions` has one entry per source; an empty one: it may be synced to anything. The first of these
    counts: stale (Unknown), an error condition (Unhealthy), an operation under way (Unknown), another revision than
    desired (Unhealthy), and then the Application's own health.
    """
    status = app.get("status") or {}
    if is_stale(app):
        return HealthState.UNKNOWN, [
            f"{described(app)} was not reconciled after its most recent operation; its health is not trusted yet"
        ]
    if issues := error_conditions(app):
        return HealthState.UNHEALTHY, issues
    state, issues = _sync_health(app, desired_revisions)
    if issues:
        return state, issues
    health = (status.get("health") or {}).get("status") or ""
    if health == "Healthy":
        return HealthState.HEALTHY, []
    if health in ("", "Progressing"):
        return HealthState.PROGRESSING, [f"{described(app)} is progressing"]
    if health == "Suspended":
        # Kargo: a suspended Application progresses until the suspension is lifted.
        return HealthState.PROGRESSING, [f"{described(app)} is suspended"]
    return HealthState.UNHEALTHY, [f"{described(app)} is {health}"]


def _sync_health(app: dict[str, Json], desired_revisions: list[str]) -> tuple[HealthState, list[str]]:
    if not any(desired_revisions):
        return HealthState.HEALTHY, []
    status = app.get("status") or {}
    operation = status.get("operationState") or {}
    if (app.get("operation") or {}).get("sync") is not None or not operation.get("finishedAt"):
        return HealthState.UNKNOWN, [f"{described(app)} is being synced"]
    sources = sources_of(app)
    sync = status.get("sync") or {}
    observed = sync.get("revisions") or [sync.get("revision") or ""]
    if len(sources) != len(desired_revisions) or len(observed) != len(desired_revisions):
        return HealthState.UNKNOWN, [
            f"{described(app)} has {len(sources)} sources and {len(observed)} synced revisions, but "
            f"{len(desired_revisions)} were expected when it was updated: promote to the Stage again"
        ]
    return HealthState.UNHEALTHY, [
        f"{described(app)} is synced to {found or 'nothing'} of {source.get('repoURL')}, not to the desired {desired}"
        for source, found, desired in zip(sources, observed, desired_revisions, strict=True)
        if desired and found != desired
    ]
