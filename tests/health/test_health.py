"""The health of a Stage: the verdict on an Application, and the activity that watches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.health import HealthActivities, check_health
from examples.world.argocd import ArgoCD, Script
from examples.world.kubernetes import Refusal
from model.health import HealthRequest, application_health
from model.references import Health, HealthCheckStep, HealthState
from model.steps import NOT_YET
from tests.argocd import outside_of, running_argocd

REPO = "https://git.example.com/team/app.git"
BEFORE, FINISHED, AFTER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"

WELL: dict[str, Any] = {
    "operationState": {"phase": "Succeeded", "finishedAt": FINISHED},
    "reconciledAt": AFTER,
    "sync": {"status": "Synced", "revision": "a"},
    "health": {"status": "Healthy"},
}

# what differs from an Application that is well, the desired revisions, the state, words of the issue
VERDICTS: dict[str, tuple[dict[str, Any], list[str], HealthState, str]] = {
    "well": ({}, ["a"], HealthState.HEALTHY, ""),
    "any revision will do": ({"sync": {"revision": "b"}}, [""], HealthState.HEALTHY, ""),
    "reconciled in the same second": ({"reconciledAt": FINISHED}, ["a"], HealthState.HEALTHY, ""),
    "not reconciled since": ({"reconciledAt": BEFORE}, ["a"], HealthState.UNKNOWN, "was not reconciled after"),
    "never reconciled": ({"reconciledAt": None}, ["a"], HealthState.UNKNOWN, "was not reconciled after"),
    "stale comes before a condition": (
        {"reconciledAt": BEFORE, "conditions": [{"type": "ComparisonError", "message": "old"}]},
        ["a"],
        HealthState.UNKNOWN,
        "was not reconciled after",
    ),
    "comparison error": (
        {"conditions": [{"type": "ComparisonError", "message": "no such path"}]},
        ["a"],
        HealthState.UNHEALTHY,
        "has the condition ComparisonError: no such path",
    ),
    "invalid spec": (
        {"conditions": [{"type": "InvalidSpecError", "message": "no such project"}]},
        [""],
        HealthState.UNHEALTHY,
        "InvalidSpecError",
    ),
    "harmless condition": ({"conditions": [{"type": "OrphanedResourceWarning"}]}, ["a"], HealthState.HEALTHY, ""),
    "operation running": ({"operationState": {"phase": "Running"}}, ["a"], HealthState.UNKNOWN, "is being synced"),
    "no operation": ({"operationState": None}, ["a"], HealthState.UNKNOWN, "is being synced"),
    "no operation, any revision": ({"operationState": None}, [""], HealthState.HEALTHY, ""),
    "another revision": (
        {"sync": {"revision": "b"}},
        ["a"],
        HealthState.UNHEALTHY,
        f"is synced to b of {REPO}, not to the desired a",
    ),
    "another revision and degraded": (
        {"sync": {"revision": "b"}, "health": {"status": "Degraded"}},
        ["a"],
        HealthState.UNHEALTHY,
        "not to the desired a",
    ),
    "sources were added": ({}, ["a", "b"], HealthState.UNKNOWN, "promote to the Stage again"),
    "progressing": ({"health": {"status": "Progressing"}}, ["a"], HealthState.PROGRESSING, "is progressing"),
    "suspended": ({"health": {"status": "Suspended"}}, ["a"], HealthState.PROGRESSING, "is suspended"),
    "no health yet": ({"health": None}, ["a"], HealthState.PROGRESSING, "is progressing"),
    "degraded": ({"health": {"status": "Degraded"}}, ["a"], HealthState.UNHEALTHY, "is Degraded"),
    "missing": ({"health": {"status": "Missing"}}, [], HealthState.UNHEALTHY, "is Missing"),
    "unknown": ({"health": {"status": "Unknown"}}, [], HealthState.UNHEALTHY, "is Unknown"),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict_on_an_application(case: str) -> None:
    status, desired, state, words = VERDICTS[case]
    app = {
        "metadata": {"name": "app", "namespace": "argocd"},
        "spec": {"source": {"repoURL": REPO}},
        "status": {**WELL, **status},
    }
    found, issues = application_health(app, desired)
    assert found is state
    assert bool(issues) == bool(words)
    assert words in " ".join(issues)


def test_every_source_that_differs_is_named() -> None:
    app = {
        "metadata": {"name": "app", "namespace": "argocd"},
        "spec": {"sources": [{"repoURL": "r1"}, {"repoURL": "r2"}, {"repoURL": "r3"}]},
        "status": {**WELL, "sync": {"revisions": ["x", "y", "c"]}},
    }
    state, issues = application_health(app, ["a", "", "b"])
    assert state is HealthState.UNHEALTHY
    assert [words in issue for words, issue in zip(("x of r1", "c of r3"), issues, strict=True)] == [True, True]


def test_an_operation_asked_for_makes_health_unknown() -> None:
    app = {
        "metadata": {"name": "app", "namespace": "argocd"},
        "spec": {"source": {"repoURL": REPO}},
        "operation": {"sync": {}},
        "status": WELL,
    }
    assert application_health(app, ["a"])[0] is HealthState.UNKNOWN


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[ArgoCD, Any]]:
    with running_argocd(tmp_path) as running:
        yield running


def checks(namespace: str, *names: str, desired: str = "main") -> list[HealthCheckStep]:
    apps = [{"name": name, "namespace": namespace, "desiredRevisions": [desired]} for name in names]
    return [HealthCheckStep(uses="argocd-update", config={"apps": apps})]


def synced(argocd: ArgoCD, name: str, health: str = "Healthy", **script: Any) -> None:
    """Have an Application synced, and wait until it is as the script says."""
    argocd.create(name, {"repoURL": REPO, "targetRevision": "main"}, script=Script(health=health, **script))
    argocd.patch(name, {"operation": {"sync": {}}})
    argocd.wait(name, lambda app: ((app.get("status") or {}).get("health") or {}).get("status") == health)


def request(checked: list[HealthCheckStep], known: Health | None = None) -> HealthRequest:
    pauses = {"first": timedelta(seconds=2), "interval": timedelta(seconds=7)}
    return HealthRequest(project="demo", stage="dev", checks=checked, known=known, **pauses)


async def test_the_worst_application_counts(world: tuple[ArgoCD, Any]) -> None:
    argocd, outside = world
    synced(argocd, "a")
    synced(argocd, "b", "Progressing")
    synced(argocd, "c", "Degraded")
    for names, state in [("a", "Healthy"), ("ab", "Progressing"), ("abc", "Unhealthy"), ("abx", "Unknown")]:
        health = await check_health(checks(argocd.namespace, *names), outside)
        assert health.status == state, names
        statuses = health.output[0]["applicationStatuses"]
        assert [status["name"] for status in statuses] == list(names)
    assert health.issues[-1] == f"there is no Argo CD Application 'x' in namespace '{argocd.namespace}'"


async def test_without_checks_a_stage_is_healthy() -> None:
    assert await check_health([], outside_of(Path("/nonexistent"))) == Health(status=HealthState.HEALTHY)


async def test_what_is_not_news_is_asked_again_after_growing_pauses(world: tuple[ArgoCD, Any]) -> None:
    argocd, outside = world
    synced(argocd, "a", "Progressing")
    activities = HealthActivities(outside)
    checked = checks(argocd.namespace, "a")
    known = await activities.watch_health(request(checked))
    assert known.status is HealthState.PROGRESSING
    # As it comes back from Temporal.
    known = Health.model_validate_json(known.model_dump_json(by_alias=True))
    environment = ActivityEnvironment()
    for attempt, pause in ((1, 2), (2, 4), (3, 7), (400, 7)):
        environment.info = replace(environment.info, attempt=attempt)
        with pytest.raises(ApplicationError) as caught:
            await environment.run(activities.watch_health, request(checked, known))
        assert caught.value.type == NOT_YET
        assert caught.value.category is ApplicationErrorCategory.BENIGN
        assert caught.value.next_retry_delay == timedelta(seconds=pause)
    argocd.scripts["a"] = Script(health="Healthy")
    argocd.patch("a", {"metadata": {"labels": {"wake": "up"}}})
    argocd.wait("a", lambda app: app["status"]["health"]["status"] == "Healthy")
    assert (await activities.watch_health(request(checked, known))).status is HealthState.HEALTHY


async def test_a_refresh_that_changes_nothing_is_no_news(world: tuple[ArgoCD, Any]) -> None:
    argocd, outside = world
    synced(argocd, "a")
    activities = HealthActivities(outside)
    checked = checks(argocd.namespace, "a")
    known = await activities.watch_health(request(checked))
    argocd.patch("a", {"status": {"reconciledAt": "2099-01-01T00:00:00Z"}})
    with pytest.raises(ApplicationError, match="still Healthy"):
        await ActivityEnvironment().run(activities.watch_health, request(checked, known))


async def test_health_from_before_the_operation_is_refreshed_first(world: tuple[ArgoCD, Any]) -> None:
    argocd, outside = world
    synced(argocd, "a", reconciles=False)
    checked = checks(argocd.namespace, "a")
    health = await check_health(checked, outside)
    assert health.status is HealthState.UNKNOWN
    argocd.wait("a", lambda app: "reconciledAt" in app["status"])
    assert (await check_health(checked, outside)).status is HealthState.HEALTHY


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(403, "Forbidden", "applications is forbidden"), "applications is forbidden"),
        (Refusal(404, "NotFound", "nothing here"), "Argo CD is not installed"),
        (Refusal(500, "InternalError", "etcd is away"), "etcd is away"),
    ],
)
async def test_what_goes_wrong_while_checking_makes_health_unknown(
    tmp_path: Path, refusal: Refusal, words: str
) -> None:
    with ArgoCD() as argocd:
        assert argocd.server
        argocd.server.refuse = lambda method, path: refusal
        health = await check_health(checks("argocd", "a"), outside_of(argocd.kubeconfig(tmp_path / "kubeconfig")))
    assert health.status is HealthState.UNKNOWN
    assert words in health.issues[0]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (HealthCheckStep(uses="datadog"), "knows no health check 'datadog'"),
        (HealthCheckStep(uses="argocd-update", config={"app": []}), "config of the health check argocd-update"),
        (
            HealthCheckStep(uses="argocd-update", config={"apps": [{"name": "a", "namespace": "b"}]}),
            "no Kubernetes cluster is configured",
        ),
    ],
)
async def test_a_check_that_cannot_be_made_is_an_issue(check: HealthCheckStep, words: str, tmp_path: Path) -> None:
    health = await check_health([check], outside_of(tmp_path / "missing"))
    assert health.status is HealthState.UNKNOWN
    assert words in health.issues[0]
