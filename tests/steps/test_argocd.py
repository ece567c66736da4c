"""argocd-update and argocd-wait, against a Kubernetes API and a controller that plays Argo CD."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities.steps import argocd as argocd_step
from activities.steps.argocd import Action, SourceUpdate, UpdateConfig, next_action
from activities.steps.argocd_wait import WaitConfig, hopeless, not_ready
from activities.steps.registry import NotYet, StepContext, StepErrored
from examples.world.argocd import ArgoCD, Script
from examples.world.kubernetes import Refusal
from tests.argocd import outside_of, running_argocd
from tests.steps.contexts import run_step, step_context

REPO = "https://git.example.com/team/app.git"
COMMIT = "a" * 40
STAGE = "demo:dev"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[ArgoCD, Any]]:
    with running_argocd(tmp_path, head=lambda source: COMMIT) as running:
        yield running


@pytest.fixture
def argocd(world: tuple[ArgoCD, Any]) -> ArgoCD:
    return world[0]


@pytest.fixture
def context(world: tuple[ArgoCD, Any], tmp_path: Path) -> StepContext:
    return step_context(tmp_path / "w", outside=world[1], started_at=datetime.now(UTC))


def source(**more: Any) -> dict[str, Any]:
    return {"repoURL": REPO, "targetRevision": "env/dev", "path": ".", **more}


def update(name: str = "app", **more: Any) -> dict[str, Any]:
    sources = [{"repoURL": REPO, "desiredRevision": COMMIT}]
    return {"apps": [{"name": name, "sources": sources, **more}]}


async def until_done(name: str, config: dict[str, Any], context: StepContext) -> dict[str, Any]:
    """Run a step again and again, as the engine does for one that says "not yet"."""
    for _ in range(20):
        try:
            return await run_step(name, config, context)
        except NotYet as wait:
            last = wait
    raise last


async def test_an_application_is_synced_to_the_desired_revision(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), stages=f"other:x, {STAGE}")
    output = await until_done("argocd-update", update(), context)
    assert output == {"apps": [{"name": "app", "namespace": argocd.namespace}]}
    app = argocd.get("app")
    assert app["status"]["sync"] == {"status": "Synced", "revision": COMMIT}
    operation = app["status"]["operationState"]["operation"]
    assert {"name": "kargo.akuity.io/promotion", "value": context.promotion} in operation["info"]
    assert operation["initiatedBy"] == {"username": "towpath", "automated": True}
    assert app["spec"]["source"] == source()
    [check] = context.health_checks
    assert check.uses == "argocd-update"
    assert check.config == {"apps": [{"name": "app", "namespace": argocd.namespace, "desiredRevisions": [COMMIT]}]}


async def test_an_operation_that_is_done_is_not_asked_for_again(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), stages=STAGE)
    await until_done("argocd-update", update(), context)
    before = argocd.wait("app", lambda app: app["status"]["health"]["status"] == "Healthy")
    await run_step("argocd-update", update(), context)
    assert argocd.get("app")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_second_promotion_asks_for_an_operation_of_its_own(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), stages=STAGE, spec_is="kept")
    await until_done("argocd-update", update(), context)
    context.promotion, context.actor = "dev.second", "email:ann@example.com"
    await until_done("argocd-update", update(), context)
    operation = argocd.get("app")["status"]["operationState"]["operation"]
    assert {"name": "kargo.akuity.io/promotion", "value": "dev.second"} in operation["info"]
    assert operation["initiatedBy"] == {"username": "email:ann@example.com"}
    assert argocd.get("app")["spec_is"] == "kept"


async def test_sources_are_edited_and_nothing_else(argocd: ArgoCD, context: StepContext) -> None:
    kustomize = {"namePrefix": "x-", "images": ["old:1"]}
    helm = {"parameters": [{"name": "tag", "value": "1", "forceString": True}, {"name": "b", "value": "2"}]}
    argocd.create(
        "app",
        source(kustomize=kustomize),
        {"repoURL": "https://charts.example.com", "chart": "web", "targetRevision": "1.0.0", "helm": helm},
        {"repoURL": "https://git.example.com/values", "targetRevision": "main", "ref": "values"},
        stages=STAGE,
        script=Script(revision=lambda s: s["targetRevision"]),
    )
    images = [
        {"repoURL": "ghcr.io/example/app", "tag": "v2"},
        {"repoURL": "redis", "newName": "mirror/redis", "digest": "sha256:1"},
        {"repoURL": "nginx", "newName": "mirror/nginx"},
    ]
    config = update(
        sources=[
            {
                # Git repositories are compared by normalised URL.
                "repoURL": "https://git.example.com/Team/app",
                "desiredRevision": COMMIT,
                "updateTargetRevision": True,
                "kustomize": {"images": images},
            },
            {
                "repoURL": "https://charts.example.com",
                "chart": "web",
                "desiredRevision": "1.1.0",
                "updateTargetRevision": True,
                "helm": {"images": [{"key": "tag", "value": "2"}, {"key": "c", "value": "3"}]},
            },
        ]
    )
    await until_done("argocd-update", config, context)
    first, second, third = argocd.get("app")["spec"]["sources"]
    assert first["targetRevision"] == COMMIT
    assert first["kustomize"] == {
        "namePrefix": "x-",
        "images": ["ghcr.io/example/app:v2", "redis=mirror/redis@sha256:1", "nginx=mirror/nginx"],
    }
    assert second["targetRevision"] == "1.1.0"
    assert second["helm"]["parameters"] == [
        {"name": "tag", "value": "2"},
        {"name": "b", "value": "2"},
        {"name": "c", "value": "3"},
    ]
    assert third == {"repoURL": "https://git.example.com/values", "targetRevision": "main", "ref": "values"}
    assert context.health_checks[0].config["apps"][0]["desiredRevisions"] == [COMMIT, "1.1.0", ""]


async def test_sync_options_and_retry_of_the_application_hold(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), stages=STAGE)
    argocd.patch("app", {"spec": {"syncPolicy": {"retry": {"limit": 3}, "syncOptions": ["CreateNamespace=true"]}}})
    await until_done("argocd-update", update(), context)
    operation = argocd.get("app")["status"]["operationState"]["operation"]
    assert operation["retry"] == {"limit": 3}
    assert operation["sync"] == {"syncOptions": ["CreateNamespace=true"]}


async def test_a_selector_takes_those_that_this_stage_may_change(argocd: ArgoCD, context: StepContext) -> None:
    for name, stages, tier in [("a", STAGE, "web"), ("b", "demo:prod", "web"), ("c", STAGE, "db"), ("d", STAGE, "old")]:
        argocd.create(name, source(), stages=stages, labels={"tier": tier, "team": "x"})
    selector = {
        "matchLabels": {"team": "x"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "db"]}],
    }
    config = {"apps": [{"selector": selector, "sources": [{"repoURL": REPO, "desiredRevision": COMMIT}]}]}
    output = await until_done("argocd-update", config, context)
    assert [app["name"] for app in output["apps"]] == ["a", "c"]
    assert [name for name in "abcd" if "status" in argocd.get(name)] == ["a", "c"]


async def test_no_application_is_changed_when_a_change_does_not_fit_all(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("a", source(), stages=STAGE, labels={"team": "x"})
    argocd.create("b", {"repoURL": "https://other.example.com/r"}, stages=STAGE, labels={"team": "x"})
    config = {"apps": [{"selector": {"matchLabels": {"team": "x"}}, "sources": [{"repoURL": REPO}]}]}
    with pytest.raises(StepErrored, match=r"no Application was changed: .*'b'.* has no source with repoURL"):
        await run_step("argocd-update", config, context)
    assert "operation" not in argocd.get("a")


ANNOTATED = {
    None: "annotate it with 'kargo.akuity.io/authorized-stage: demo:dev'",
    "demo:prod": "may be changed by demo:prod only: add demo:dev",
    "demo:*": "is a glob",
    "dev": "not of the form <project>:<stage>",
    "demo:": "not of the form <project>:<stage>",
    ",": "no Stage|may be changed by",
}


@pytest.mark.parametrize("value", ANNOTATED)
async def test_an_application_must_let_the_stage_change_it(
    argocd: ArgoCD, context: StepContext, value: str | None
) -> None:
    argocd.create("app", source(), stages=value or "")
    with pytest.raises(StepErrored, match=ANNOTATED[value]):
        await run_step("argocd-update", update(), context)
    assert "operation" not in argocd.get("app")


async def test_a_failed_operation_ends_the_step_with_argocds_message(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), stages=STAGE, script=Script(operation="Failed", message="hook app-migrate failed"))
    with pytest.raises(StepErrored, match="ended as Failed: hook app-migrate failed"):
        await until_done("argocd-update", update(), context)
    assert not context.health_checks


async def test_a_foreign_operation_is_waited_for_then_ours_begins(
    argocd: ArgoCD, context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argocd_step, "WATCHED", 1)
    argocd.create("app", source(), stages=STAGE, script=Script(operation="Running"))
    argocd.patch("app", {"operation": {"initiatedBy": {"username": "ann"}, "sync": {}}})
    argocd.wait("app", lambda app: "operationState" in app.get("status", {}))
    with pytest.raises(NotYet, match="another operation, begun by ann, is running") as caught:
        await run_step("argocd-update", update(), context)
    assert caught.value.output == {"apps": [{"name": "app", "namespace": argocd.namespace}]}
    assert timedelta(seconds=1) <= (caught.value.after or timedelta()) <= timedelta(seconds=15)
    argocd.scripts["app"] = Script()
    argocd.patch("app", {"metadata": {"labels": {"wake": "up"}}})
    await until_done("argocd-update", update(), context)
    asked = argocd.get("app")["status"]["operationState"]["operation"]["info"]
    assert {"name": "kargo.akuity.io/promotion", "value": context.promotion} in asked


async def test_a_running_operation_of_ours_is_not_asked_for_twice(
    argocd: ArgoCD, context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argocd_step, "WATCHED", 1)
    argocd.create("app", source(), stages=STAGE, script=Script(operation="Running"))
    with pytest.raises(NotYet, match="the operation is running"):
        await run_step("argocd-update", update(), context)
    started = argocd.get("app")["status"]["operationState"]["startedAt"]
    context.repeated = True
    with pytest.raises(NotYet, match="the operation is running"):
        await run_step("argocd-update", update(), context)
    assert argocd.get("app")["status"]["operationState"]["startedAt"] == started


async def test_an_application_that_does_not_exist(context: StepContext) -> None:
    with pytest.raises(StepErrored, match="there is no Argo CD Application 'app' in namespace"):
        await run_step("argocd-update", update(), context)


async def test_argocd_that_cannot_be_reached(tmp_path: Path) -> None:
    with ArgoCD() as argocd:
        kubeconfig = argocd.kubeconfig(tmp_path / "kubeconfig")
    context = step_context(tmp_path / "w", outside=outside_of(kubeconfig))
    with pytest.raises(StepErrored, match=r"reading Application argocd/app: the Kubernetes API can't be reached"):
        await run_step("argocd-update", update(), context)


REFUSALS = {
    "forbidden": (Refusal(403, "Forbidden", "applications is forbidden"), r"applications is forbidden \(HTTP 403\)"),
    "no answer": (Refusal(503, "ServiceUnavailable", "try later"), r"try later \(HTTP 503\)"),
    "not installed": (Refusal(404, "NotFound", "nothing here"), "Argo CD is not installed in the cluster"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_errors_of_the_api_are_told(tmp_path: Path, case: str) -> None:
    refusal, message = REFUSALS[case]
    with ArgoCD() as argocd:
        assert argocd.server
        argocd.server.refuse = lambda method, path: refusal
        context = step_context(tmp_path / "w", outside=outside_of(argocd.kubeconfig(tmp_path / "kubeconfig")))
        with pytest.raises(StepErrored, match=message):
            await run_step("argocd-update", update(), context)


async def test_a_change_by_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    with ArgoCD() as argocd:
        argocd.create("app", source(), stages=STAGE)
        server, conflicts = argocd.server, []
        assert server

        def meddle(method: str, path: str) -> Refusal | None:
            # Somebody changes the Application just before the first patch of ours arrives.
            if method == "PATCH" and not conflicts:
                conflicts.append(path)
                store = next(iter(server.stores.values()))
                store.patch("argocd", "app", {"spec": {"project": "changed"}})
            return None

        server.refuse = meddle
        context = step_context(
            tmp_path / "w", outside=outside_of(argocd.kubeconfig(tmp_path / "kubeconfig")), started_at=datetime.now(UTC)
        )
        config = {"apps": [{"name": "app", "sources": [{"repoURL": REPO, "desiredRevision": "env/dev"}]}]}
        await until_done("argocd-update", config, context)
        assert conflicts
        assert argocd.get("app")["spec"]["project"] == "changed"


def application(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "app", "namespace": "argocd", "resourceVersion": "1"},
        "spec": {"source": source()},
        "status": status,
    }


def state(phase: str, revision: str | None = COMMIT, promotion: str | None = "p", **more: Any) -> dict[str, Any]:
    info = [{"name": "kargo.akuity.io/promotion", "value": promotion}] if promotion else []
    result = {} if revision is None else {"syncResult": {"revision": revision}}
    return {"phase": phase, "operation": {"info": info, "initiatedBy": {"username": "ann"}}, **result, **more}


ACTIONS = {
    "no operation": ({}, Action.SYNC, "sync requested"),
    "ours running": ({"operationState": state("Running", None)}, Action.WAIT, "the operation is running"),
    "ours terminating": ({"operationState": state("Terminating", None)}, Action.WAIT, "the operation is terminating"),
    "ours done": ({"operationState": state("Succeeded")}, Action.DONE, ""),
    "ours failed": ({"operationState": state("Failed", message="no")}, Action.FAILED, "ended as Failed: no"),
    "ours in error": ({"operationState": state("Error", message="no")}, Action.FAILED, "ended as Error: no"),
    "ours to another revision": ({"operationState": state("Succeeded", "b")}, Action.SYNC, "synced to b instead of a"),
    "ours without result": ({"operationState": state("Failed", None)}, Action.SYNC, "without a result"),
    "a Promotion's running": ({"operationState": state("Running", promotion="q")}, Action.WAIT, "for Promotion q"),
    "a Promotion's done": ({"operationState": state("Succeeded", promotion="q")}, Action.SYNC, "sync requested"),
    "a person's running": ({"operationState": state("Running", promotion=None)}, Action.WAIT, "begun by ann"),
    "a person's failed": ({"operationState": state("Failed", promotion=None)}, Action.SYNC, "sync requested"),
}


@pytest.mark.parametrize("case", ACTIONS)
def test_what_is_to_be_done_about_an_application(case: str) -> None:
    status, action, sentence = ACTIONS[case]
    found, why = next_action(application(**status), "p", [COMMIT])
    assert found is action
    assert sentence in why


def test_an_operation_not_taken_up_yet_is_not_asked_for_again() -> None:
    app = application() | {"operation": state("", None)["operation"]}
    assert next_action(app, "p", [COMMIT])[0] is Action.WAIT
    assert next_action(app, "q", [COMMIT])[0] is Action.WAIT


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"apps": []}, "at least 1 item"),
        ({"apps": [{}]}, "exactly one of name and selector"),
        ({"apps": [{"name": "a", "selector": {"matchLabels": {"a": "b"}}}]}, "exactly one of name and selector"),
        ({"apps": [{"name": "../secrets"}]}, "can't be the name"),
        ({"apps": [{"selector": {}}]}, "at least one of matchLabels"),
        ({"apps": [{"selector": {"matchLabels": {"a": "b,c"}}}]}, "can't be the value of a label"),
        ({"apps": [{"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}, "needs values"),
        (
            {"apps": [{"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}]},
            "no values",
        ),
        ({"apps": [{"name": "a", "sources": []}]}, "at least 1 item"),
        (
            {"apps": [{"name": "a", "sources": [{"repoURL": "r", "updateTargetRevision": True}]}]},
            "needs desiredRevision",
        ),
        ({"apps": [{"name": "a", "sources": [{"repoURL": "r", "helm": {"images": []}}]}]}, "at least 1 item"),
        (
            {
                "apps": [
                    {
                        "name": "a",
                        "sources": [
                            {"repoURL": "r", "kustomize": {"images": [{"repoURL": "i", "tag": "1", "digest": "2"}]}}
                        ],
                    }
                ]
            },
            "give one of them",
        ),
        ({"apps": [{"name": "a", "sources": [{"repoURL": "r", "desiredRevision": 1.1}]}]}, "valid string"),
        ({"apps": [{"name": "a", "waitFor": ["health"]}]}, "Extra inputs"),
    ],
)
def test_bad_configs_of_argocd_update_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UpdateConfig.model_validate(config)


@pytest.mark.parametrize(
    ("update_of", "source_of", "matches"),
    [
        ({"repoURL": REPO}, {"repoURL": "https://git.example.com/team/app/"}, True),
        ({"repoURL": REPO}, {"repoURL": "https://git.example.com/team/other"}, False),
        ({"repoURL": "https://c.example.com", "chart": "a"}, {"repoURL": "https://c.example.com", "chart": "a"}, True),
        (
            {"repoURL": "https://c.example.com", "chart": "a"},
            {"repoURL": "https://c.example.com/", "chart": "a"},
            False,
        ),
        ({"repoURL": "https://c.example.com", "chart": "a"}, {"repoURL": "https://c.example.com", "chart": "b"}, False),
        ({"repoURL": "https://c.example.com"}, {"repoURL": "https://c.example.com", "chart": "b"}, False),
    ],
)
def test_which_source_is_meant(update_of: dict[str, Any], source_of: dict[str, Any], matches: bool) -> None:
    assert SourceUpdate.model_validate(update_of).matches(source_of) is matches


async def test_argocd_wait_waits_for_health(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), script=Script(health="Progressing"))
    argocd.patch("app", {"operation": {"sync": {}}})
    argocd.wait("app", lambda app: (app.get("status") or {}).get("health"))
    config = {"apps": [{"name": "app"}]}
    with pytest.raises(NotYet, match="is Progressing, not Healthy") as caught:
        await run_step("argocd-wait", config, context)
    key = f"{argocd.namespace}/app"
    assert caught.value.output
    assert caught.value.output["healthStatuses"] == {key: "Progressing"}
    argocd.scripts["app"] = Script()
    argocd.patch("app", {"metadata": {"labels": {"wake": "up"}}})
    argocd.wait("app", lambda app: app["status"]["health"]["status"] == "Healthy")
    output = await run_step("argocd-wait", config, context)
    assert output["healthStatuses"] == {key: "Healthy"}
    assert not context.health_checks


FINISHED = "2026-01-01T00:00:00Z"
DONE: dict[str, Any] = {
    "operationState": {"finishedAt": FINISHED},
    "reconciledAt": FINISHED,
    "health": {"status": "Healthy"},
    "sync": {"status": "Synced"},
}
WAITS = {
    "all well": (["health", "sync", "operation"], {}, ""),
    "not synced": (["health", "sync", "operation"], {"sync": {"status": "OutOfSync"}}, "is OutOfSync, not Synced"),
    "sync doesn't matter": (["health"], {"sync": {"status": "OutOfSync"}}, ""),
    "operation running": (["operation"], {"operationState": {"phase": "Running"}}, "an operation is under way"),
    "no operation ever": (["operation"], {"operationState": None}, ""),
    "stale": (["health"], {"reconciledAt": "2025-12-31T23:59:59Z"}, "was not reconciled"),
    "stale doesn't matter": (["sync"], {"reconciledAt": None}, ""),
    "suspended will do": (["health", "suspended"], {"health": {"status": "Suspended"}}, ""),
    "suspended won't do": (["health"], {"health": {"status": "Suspended"}}, "is Suspended, not Healthy"),
    "degraded is awaited": (["degraded"], {"health": {"status": "Degraded"}}, ""),
    "no health yet": (["health"], {"health": {}}, "without health"),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_an_application_still_lacks(case: str) -> None:
    wait_for, status, message = WAITS[case]
    found = not_ready(application(**{**DONE, **status}), wait_for)  # type: ignore[arg-type]  # conditions are texts here
    assert message in found
    assert bool(message) == bool(found)


def test_health_that_degrades_while_it_is_awaited_ends_the_wait() -> None:
    since = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    before = {"status": "Degraded", "lastTransitionTime": "2026-01-01T00:00:30Z"}
    after = {"status": "Degraded", "lastTransitionTime": "2026-01-01T00:01:30Z"}
    assert not hopeless(application(**{**DONE, "health": before}), ["health"], since)
    assert "became Degraded" in hopeless(application(**{**DONE, "health": after}), ["health"], since)[0]
    assert not hopeless(application(**{**DONE, "health": after}), ["health", "degraded"], since)


async def test_an_error_condition_ends_the_wait(argocd: ArgoCD, context: StepContext) -> None:
    argocd.create("app", source(), status={"conditions": [{"type": "ComparisonError", "message": "no such path"}]})
    with pytest.raises(StepErrored, match="ComparisonError: no such path") as caught:
        await run_step("argocd-wait", {"apps": [{"name": "app"}]}, context)
    assert caught.value.final


def test_bad_configs_of_argocd_wait_are_refused() -> None:
    for wait_for in ([], ["health", "health"], ["ready"]):
        with pytest.raises(ValidationError):
            WaitConfig.model_validate({"apps": [{"name": "a", "waitFor": wait_for}]})
