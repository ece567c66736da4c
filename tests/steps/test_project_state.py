"""set-metadata, set-freight-alias, and the expressions that read what Stages and Freight know."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

import activities.steps.project_state  # noqa: F401 (registers the steps)
from activities.outside import open_outside
from activities.project_state import ProjectState
from activities.settings import ActivitySettings
from activities.steps.catalog import load_steps
from activities.steps.registry import STEPS, StepErrored, StepFailed
from activities.steps.runtime import step_activity
from model.references import FreightOrigin, FreightReference, collect
from model.steps import PlannedStep, PromotionContext, StepRequest
from tests.steps.contexts import run_step, step_context
from tests.workflows.house import House, house, project, stage, warehouse


async def run(h: House, tmp_path: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    outside = open_outside(ActivitySettings(data_directory=tmp_path / "data"))
    outside.state = ProjectState(h.client)
    return await run_step(name, config, step_context(tmp_path / "ws", outside=outside, project=h.project))


async def evaluated(h: House, tmp_path: Path, **config: str) -> dict[str, Any] | None:
    """What compose-output makes of expressions, as the worker's activity."""
    load_steps()
    outside = open_outside(ActivitySettings(data_directory=tmp_path / "data"))
    outside.state = ProjectState(h.client)
    piece = FreightReference(name="f", origin=FreightOrigin(name="web"))
    context = PromotionContext(project=h.project, stage="dev", promotion="p", freight=piece, collection=collect(piece))
    request = StepRequest(
        context=context,
        workspace="p",
        step=PlannedStep(alias="s", kind=STEPS["compose-output"].kind, config=config),
        index=0,
        started_at=datetime.now(UTC),
    )
    run = step_activity(STEPS["compose-output"], outside, asyncio.Semaphore(1))
    return (await ActivityEnvironment().run(run, request)).output


async def test_metadata_is_set_and_read(time_skipping: WorkflowEnvironment, tmp_path: Path) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), warehouse("api"), stage("dev"))
        freight = await h.discover("1.0.0")
        config = {
            "updates": [
                {"kind": "Freight", "name": freight.name, "values": {"ticket": "T-1", "approvals": {"qa": True}}},
                {"kind": "Stage", "name": "dev", "values": {"deploys": 3}},
            ]
        }
        for _ in range(2):  # the second run, after a lost first one, makes no difference
            await run(h, tmp_path, "set-metadata", config)
        await run(h, tmp_path, "set-metadata", {"updates": [{"kind": "Stage", "name": "dev", "values": {"by": "me"}}]})
        assert (await h.stage("dev"))["status"]["metadata"] == {"deploys": 3, "by": "me"}
        (record,) = await h.freight()
        assert record.metadata == {"ticket": "T-1", "approvals": {"qa": True}}
        output = await evaluated(
            h,
            tmp_path,
            ticket=f"${{{{ freightMetadata('{freight.name}').ticket }}}}",
            qa=f"${{{{ freightMetadata('{freight.name}', 'approvals').qa }}}}",
            deploys="${{ stageMetadata('dev').deploys }}",
            status=f"${{{{ freightStatus('{freight.name}').metadata.ticket }}}}",
            none="${{ stageMetadata('nowhere') == nil }}",
            unset="${{ freightMetadata('nothing') == nil }}",
        )
        assert output == {"ticket": "T-1", "qa": True, "deploys": 3, "status": "T-1", "none": True, "unset": True}


async def test_aliases(time_skipping: WorkflowEnvironment, tmp_path: Path) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), warehouse("api"), stage("dev"))
        freight = await h.discover("1.0.0")
        other = await h.discover("1.0.0", "api")
        for _ in range(2):
            await run(h, tmp_path, "set-freight-alias", {"name": freight.name, "alias": "v1.0.0"})
        assert [record.alias for record in await h.freight()] == ["v1.0.0"]
        with pytest.raises(StepFailed, match=f"alias v1.0.0 is in use by Freight {freight.name}"):
            await run(h, tmp_path, "set-freight-alias", {"name": other.name, "alias": "v1.0.0"})
        with pytest.raises(StepFailed, match="there is no Freight nothing"):
            await run(h, tmp_path, "set-freight-alias", {"name": "nothing", "alias": "a"})


async def test_what_is_not_there_is_named(time_skipping: WorkflowEnvironment, tmp_path: Path) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        for kind, name in (("Stage", "nowhere"), ("Freight", "nothing")):
            with pytest.raises(StepErrored, match=f"there is no {kind} {name}"):
                await run(h, tmp_path, "set-metadata", {"updates": [{"kind": kind, "name": name, "values": {"a": 1}}]})
        large = {"updates": [{"kind": "Stage", "name": "dev", "values": {"a": "x" * 20_000}}]}
        with pytest.raises(StepErrored, match="larger than 16 KiB"):
            await run(h, tmp_path, "set-metadata", large)
        assert "metadata" not in (await h.stage("dev"))["status"]


@pytest.mark.parametrize("alias", ["", "-a", "a b", "x" * 64])
def test_aliases_that_no_label_can_hold(alias: str) -> None:
    with pytest.raises(ValueError, match="alias"):
        STEPS["set-freight-alias"].config.model_validate({"name": "f", "alias": alias})


async def test_a_worker_without_temporal_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepErrored, match="no connection"):
        await run_step("set-freight-alias", {"name": "f", "alias": "a"}, step_context(tmp_path))


async def test_status_functions_without_temporal_say_so(tmp_path: Path) -> None:
    load_steps()
    outside = open_outside(ActivitySettings(data_directory=tmp_path / "data"))
    piece = FreightReference(name="f", origin=FreightOrigin(name="web"))
    context = PromotionContext(project="p", stage="dev", promotion="p", freight=piece, collection=collect(piece))
    kind = STEPS["compose-output"].kind
    step = PlannedStep(alias="s", kind=kind, config={"a": "${{ stageMetadata('dev') }}"})
    request = StepRequest(context=context, workspace="p", step=step, index=0, started_at=datetime.now(UTC))
    run = step_activity(STEPS["compose-output"], outside, asyncio.Semaphore(1))
    with pytest.raises(ApplicationError, match="not available here"):
        await ActivityEnvironment().run(run, request)
