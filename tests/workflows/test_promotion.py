"""Promotions: from the request to the end of their steps."""

from __future__ import annotations

from temporalio.testing import WorkflowEnvironment

from tests.workflows.house import house, project, stage, warehouse


async def test_freight_goes_from_stage_to_stage(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"), stage("prod", "dev"))
        freight = await h.discover("1.0.0")

        refused, _ = await h.request("prod", freight.name)
        assert not refused.accepted
        assert "not verified in Stage dev" in refused.reason

        done = await h.promote("dev", freight.name)
        assert done.phase == "Succeeded"

        async def verified_in_dev() -> bool:
            return "dev" in (await h.freight())[0].verified_in

        await h.until(verified_in_dev)
        assert (await h.promote("prod", freight.name)).phase == "Succeeded"
        shown = await h.stage("prod")
        assert shown["status"]["freightSummary"] == freight.name
        assert shown["status"]["health"]["status"] == "Healthy"
