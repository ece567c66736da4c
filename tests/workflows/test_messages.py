"""Messages between entities that come twice, late, or in another order change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from model.names import promotion_id, stage_id, warehouse_id
from model.promotions import Enqueue, PromotionFinished
from model.warehouses import RetireRequest, StageSubscription
from tests.workflows.house import Gate, House, house, project, stage, warehouse


async def test_a_request_that_arrives_again_after_its_abort_gets_no_turn(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        _, first = await h.request("dev", freight.name)
        _, second = await h.request("dev", freight.name)
        handle = h.client.get_workflow_handle(promotion_id(h.project, second))
        described = await handle.describe()
        await h.abort(second)
        with pytest.raises(WorkflowFailureError):
            await h.result(second)
        again = Enqueue(
            name=second,
            workflow_id=described.id,
            run_id=described.run_id or "",
            freight=freight.name,
            created_at=described.start_time,
        )
        dev = h.client.get_workflow_handle(stage_id(h.project, "dev"))
        for _ in range(2):
            await dev.signal("enqueue", again)
        gate.open.set()
        await h.result(first)
        _, third = await h.request("dev", freight.name)
        assert (await h.result(third)).phase == "Succeeded"
        shown = (await h.stage("dev"))["status"]
        assert "queue" not in shown
        assert [name for name, _ in h.ran] == [first, third]


async def test_the_word_of_another_run_changes_nothing(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)
        dev = h.client.get_workflow_handle(stage_id(h.project, "dev"))
        await dev.signal("finished", PromotionFinished(name=name, run_id="another", phase="Failed"))
        assert (await h.stage("dev"))["status"]["currentPromotion"]["name"] == name
        gate.open.set()
        done = await h.result(name)
        for _ in range(2):
            await dev.signal("finished", done)
        await h.until(lambda: _holding(h, "dev", freight.name))
        assert len((await h.stage("dev"))["status"]["freightHistory"]) == 1


async def test_a_late_farewell_takes_nothing_from_the_stage_made_anew(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        await h.promote("dev", freight.name)

        async def verified() -> bool:
            return "dev" in (await h.freight())[0].verified_in

        await h.until(verified)
        web = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
        await web.signal("subscribe", StageSubscription(stage="dev", revision=0, request=None, forget=True))
        assert await verified()


async def test_what_waits_for_an_answer_hears_that_its_stage_is_deleted(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        await h.update_stage("dev", "retire", RetireRequest(force=True))
        answer, _ = await h.request("dev", "f" * 40)
        assert not answer.accepted


async def _holding(h: House, name: str, freight: str) -> Any:
    return (await h.stage(name))["status"]["freightSummary"] == freight
