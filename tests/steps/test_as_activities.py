"""The steps that are not Git, as the activities that a worker registers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps.catalog import load_steps
from activities.steps.registry import STEPS
from activities.steps.runtime import step_activity
from examples.world.argocd import ArgoCD, Script
from model.references import HealthCheckStep, collect
from model.steps import ERRORED, FAILED, PlannedStep, PromotionContext, StepRequest, StepResult, StepStatus
from tests.steps.contexts import freight

REPO = "https://git.example.com/team/app.git"


def outside_of(directory: Path, **settings: Any) -> Outside:
    return open_outside(ActivitySettings(data_directory=directory / "data", **settings))


async def run_activity(outside: Outside, name: str, config: dict[str, Any]) -> StepResult:
    load_steps()
    run = step_activity(STEPS[name], outside, asyncio.Semaphore(1))
    piece = freight()
    context = PromotionContext(
        project="demo", stage="dev", promotion="dev.p", freight=piece, collection=collect(piece), freight_alias="a"
    )
    request = StepRequest(
        context=context,
        workspace="dev.p",
        step=PlannedStep(alias="step-1", kind=STEPS[name].kind, config=config),
        index=0,
        started_at=datetime.now(UTC),
        claim=outside.workspaces.locate("dev.p") is None,
    )
    result: StepResult = await ActivityEnvironment().run(run, request)
    return result


async def test_argocd_update_hands_its_health_check_to_the_stage(tmp_path: Path) -> None:
    with ArgoCD(head=lambda source: "a" * 40) as argocd:
        argocd.create("app", {"repoURL": REPO, "targetRevision": "env/dev"}, stages="demo:dev")
        outside = outside_of(tmp_path, kubeconfig=argocd.kubeconfig(tmp_path / "kubeconfig"))
        config = {"apps": [{"name": "app", "sources": [{"repoURL": REPO, "desiredRevision": "a" * 40}]}]}
        result = await run_activity(outside, "argocd-update", config)
    assert result.status is StepStatus.SUCCEEDED
    assert result.output == {"apps": [{"name": "app", "namespace": "argocd"}]}
    checked = {"name": "app", "namespace": "argocd", "desiredRevisions": ["a" * 40]}
    assert result.health_checks == [HealthCheckStep(uses="argocd-update", config={"apps": [checked]})]


async def test_a_failed_operation_is_an_errored_step(tmp_path: Path) -> None:
    with ArgoCD() as argocd:
        script = Script(operation="Failed", message="hook failed")
        argocd.create("app", {"repoURL": REPO, "targetRevision": "x"}, stages="demo:dev", script=script)
        outside = outside_of(tmp_path, kubeconfig=argocd.kubeconfig(tmp_path / "kubeconfig"))
        with pytest.raises(ApplicationError, match="hook failed") as caught:
            await run_activity(outside, "argocd-update", {"apps": [{"name": "app"}]})
    assert caught.value.type == ERRORED


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("http", {"url": "http://127.0.0.1", "timeout": "soon"}, "timeout: 'soon' is not a duration"),
        ("argocd-update", {"apps": [{"name": "a", "selector": {"matchLabels": {}}}]}, "apps"),
        ("kustomize-build", {"path": "a"}, "outPath: is required"),
        ("yaml-update", {"path": "a", "updates": [{"key": "a", "valu": 1}]}, "updates"),
    ],
)
async def test_a_config_that_is_wrong_is_a_clear_no(
    tmp_path: Path, name: str, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(ApplicationError, match=words) as caught:
        await run_activity(outside_of(tmp_path), name, config)
    assert caught.value.type == FAILED


async def test_files_of_one_step_are_there_for_the_next(tmp_path: Path) -> None:
    outside = outside_of(tmp_path)
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\n"
    for path, contents in (("src/kustomization.yaml", "resources: [d.yaml]\n"), ("src/d.yaml", deployment)):
        await run_activity(outside, "file-write", {"path": path, "contents": contents})
    images = [{"image": "app", "tag": "v2"}]
    result = await run_activity(outside, "kustomize-set-image", {"path": "src", "images": images})
    assert result.output == {"commitMessage": "Updated src to use new image\n\n- app:v2"}
    assert (await run_activity(outside, "kustomize-build", {"path": "src", "outPath": "out"})).output is None
    workspace = outside.workspaces.locate("dev.p")
    assert workspace
    assert [path.name for path in sorted((workspace / "out").iterdir())] == ["deployment-app.yaml"]
