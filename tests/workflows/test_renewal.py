"""Entities that continue as new, or are made anew while they end: nothing that was said to them is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from model.freezes import FreezeRequest, ThawRequest
from model.names import CLUSTER, project_id, stage_id, warehouse_id
from model.promotions import AbortRequest
from model.warehouses import Outcome, RetireRequest
from tests.workflows.house import House, house, project, stage, warehouse


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories that are long early."""
    monkeypatch.setattr("workflows.tempo.EVENTS", 40)


async def run_of(h: House, workflow_id: str) -> str:
    return str((await h.client.get_workflow_handle(workflow_id).describe()).run_id)


async def renewed(h: House, workflow_id: str) -> None:
    """Sends messages that are refused until the entity has continued as new."""
    handle = h.client.get_workflow_handle(workflow_id)
    first = await run_of(h, workflow_id)
    kind = workflow_id.partition("/")[0]
    for _ in range(60):
        if kind == "stage":
            message: tuple[str, Any] = ("abort_verification", AbortRequest())
        else:
            message = (
                "delete",
                {"kind": "AnalysisTemplate" if kind == "project" else "ClusterPromotionTask", "name": "x"},
            )
        assert not (await handle.execute_update(message[0], message[1], result_type=Outcome)).ok
        if await run_of(h, workflow_id) != first:
            return
    raise AssertionError(f"{workflow_id} goes on and on in one run")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("scope", ["stage", "project", "cluster"])
async def test_a_freeze_stays_in_force_when_its_owner_continues_as_new(
    time_skipping: WorkflowEnvironment, scope: str
) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        owner = {"stage": stage_id(h.project, "dev"), "project": project_id(h.project), "cluster": CLUSTER}[scope]
        handle = h.client.get_workflow_handle(owner)
        await handle.execute_update("freeze", FreezeRequest(reason="the sale", actor="subject:ann"))
        try:
            await renewed(h, owner)
            await renewed(h, stage_id(h.project, "dev"))
            _, name = await h.request("dev", freight.name)
            await time_skipping.sleep(timedelta(hours=1))
            shown = (await h.stage("dev"))["status"]
            assert "frozen by subject:ann" in shown["waiting"]
            assert shown["freezes"][0]["reason"] == "the sale"
        finally:
            await handle.execute_update("thaw", ThawRequest(actor="subject:bob"))
        assert (await h.result(name)).phase == "Succeeded"


@pytest.mark.parametrize("kind", ["Stage", "Warehouse"])
async def test_what_is_applied_again_while_it_ends_begins_anew(time_skipping: WorkflowEnvironment, kind: str) -> None:
    async with house(time_skipping) as h:
        other = stage("dev", steps=[{"uses": "other"}])
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        await h.promote("dev", freight.name)
        workflow_id = stage_id(h.project, "dev") if kind == "Stage" else warehouse_id(h.project, "web")
        changed = warehouse()
        changed["spec"]["interval"] = "7m"
        handle = h.client.get_workflow_handle(workflow_id)
        first = await run_of(h, workflow_id)
        # In one task of the workflow, or nearly: whichever comes first, the newer manifest is what is left.
        await handle.execute_update("retire", RetireRequest(force=True))
        await h.apply(other if kind == "Stage" else changed)

        async def anew() -> bool:
            described = await handle.describe()
            running = described.status is not None and described.status.name == "RUNNING"
            return running and described.run_id != first

        await h.until(anew)
        view = await h.client.get_workflow_handle(project_id(h.project)).query("view")
        assert (sorted(view["stages"]), sorted(view["warehouses"])) == (["dev"], ["web"])
        if kind == "Stage":
            shown = await h.stage("dev")
            assert shown["status"]["freightHistory"] == []
            assert shown["spec"]["promotionTemplate"]["spec"]["steps"] == [{"uses": "other"}]
            assert (await h.promote("dev", freight.name)).phase == "Succeeded"
        else:
            assert await h.freight() == []
            again = await h.discover("2.0.0")
            assert (await h.promote("dev", again.name)).phase == "Succeeded"
