"""Messages between entities that come twice, late, or in another order change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from model.names import promotion_id, stage_id, warehouse_id
from model.promotions import Enqueue, PromotionFinished
from model.stage_state import StageState
from model.stages import StageBundle, StageConfiguration
from model.warehouses import RetireRequest, StageSubscription, WarehouseSnapshot
from tests.model.policy_world import NOW, piece
from tests.workflows.house import Gate, House, house, project, stage, warehouse
from workflows.stage import Stage


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


def _said(stage_name: str) -> list[tuple[str, Any]]:
    """What a Stage may hear, in the order in which it was sent: configurations, Freight, requests, an end."""
    manifests = [stage(stage_name, steps=[{"uses": f"work-{number}"}]) for number in range(3)]
    for manifest in manifests:
        manifest["metadata"]["namespace"] = "shop"
    configured: list[tuple[str, Any]] = [
        (
            "configure",
            StageConfiguration(
                project="shop",
                name=stage_name,
                generation=number,
                manifest=manifest,
                bundle=StageBundle(revision=number, auto_promotion=number % 2 == 0),
            ),
        )
        for number, manifest in enumerate(manifests, start=1)
    ]
    told: list[tuple[str, Any]] = [
        (
            "freight_changed",
            WarehouseSnapshot(warehouse=name, version=version, freight=[piece(f"{name}{version}", name)]),
        )
        for name in ("web", "api")
        for version in (1, 2, 3)
    ]
    asked: list[tuple[str, Any]] = [
        (
            "enqueue",
            Enqueue(
                name=f"dev.{number}",
                workflow_id=f"promotion/shop/dev.{number}",
                run_id=f"run-{number}",
                freight="web3",
                created_at=NOW,
            ),
        )
        for number in range(3)
    ]
    return configured + told + asked


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_a_stage_is_told_doubled_and_reordered_gives_the_same_end(chance: Any) -> None:
    def heard(messages: list[tuple[str, Any]]) -> dict[str, Any]:
        entity = Stage(StageState(project="shop", name="dev"))
        for name, message in messages:
            getattr(entity, name)(message.model_copy(deep=True))
        entity.state.inbox.sort(key=lambda request: request.name)
        return entity.state.model_dump(mode="json")

    said = _said("dev")
    mixed = [*said, *said]
    chance.shuffle(mixed)
    assert heard(mixed) == heard(said)
