"""A Warehouse's Freight: made when criteria allow, made and deleted by hand; and shards as queues of their own."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from model.discovery import DiscoveryReport, Retention, Verdict
from model.freight_choice import Choice
from model.names import task_queue, warehouse_id
from model.resources.promotion import PromotionPhase
from model.resources.warehouse import DiscoveredArtifacts, DiscoveredImageReference, ImageDiscoveryResult
from model.warehouses import ApproveRequest, CreatedFreight, CreateFreightRequest, DeleteFreightRequest, Outcome
from tests.workflows.house import Gate, House, house, project, stage, warehouse

DIGEST = "sha256:" + "c" * 64


async def tell(
    h: House, tag: str, criteria: Verdict = Verdict.NONE, error: str = "", retention: Retention | None = None
) -> None:
    """Have the Warehouse hear of a tag, and wait until it has taken it in."""
    found = DiscoveredArtifacts(
        discovered_at=datetime.now(UTC),
        images=[
            ImageDiscoveryResult(
                repo_url="ghcr.io/shop/web", references=[DiscoveredImageReference(tag=tag, digest=DIGEST)]
            )
        ],
    )
    report = DiscoveryReport(
        project=h.project,
        warehouse="web",
        generation=1_000_000,
        observed=tag,
        artifacts=found,
        criteria=criteria,
        criteria_error=error,
        retention=retention or Retention(),
        discovered_at=datetime.now(UTC),
    )
    await h.client.get_workflow_handle(warehouse_id(h.project, "web")).signal("discovered", report)

    async def shown() -> bool:
        artifacts = (await described(h))["status"].get("discoveredArtifacts")
        return bool(artifacts) and artifacts["images"][0]["references"][0]["tag"] == tag

    await h.until(shown)


async def described(h: House) -> dict[str, Any]:
    found: dict[str, Any] = await h.client.get_workflow_handle(warehouse_id(h.project, "web")).query("describe")
    return found


async def conditions(h: House) -> dict[str, tuple[str, str]]:
    shown = (await described(h))["status"]["conditions"]
    return {condition["type"]: (condition["status"], condition["message"]) for condition in shown}


async def create(h: House, *choices: Choice, alias: str = "") -> CreatedFreight:
    handle = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
    request = CreateFreightRequest(choices=list(choices), alias=alias)
    return await handle.execute_update("create_freight", request, result_type=CreatedFreight)


async def delete(h: House, freight: str) -> Outcome:
    handle = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
    return await handle.execute_update("delete_freight", DeleteFreightRequest(freight=freight), result_type=Outcome)


def image(version: str) -> Choice:
    return Choice(kind="image", of="ghcr.io/shop/web", version=version)


async def test_freight_is_made_by_hand_where_the_policy_is_manual(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        manual = warehouse()
        manual["spec"]["freightCreationPolicy"] = "Manual"
        await h.apply(project(h.project), manual, stage("dev"))
        await tell(h, "1.0.0")
        assert await h.freight() == []

        made = await create(h, image("1.0.0"), alias="frozen-fox")
        again = await create(h, image("1.0.0"))
        other = await create(h, image(f"0.9.0@{DIGEST}"))
        taken = await create(h, image(f"0.8.0@{DIGEST}"), alias="frozen-fox")

        assert (made.ok, made.alias) == (True, "frozen-fox")
        assert (again.ok, again.name) == (False, made.name)
        assert again.message == f"this set exists already: Freight {made.name} (frozen-fox)"
        assert (other.ok, taken.ok) == (True, False)
        assert {record.name for record in await h.freight()} == {made.name, other.name}
        assert (await h.promote("dev", made.name)).phase is PromotionPhase.SUCCEEDED


async def test_freight_in_a_stage_is_not_deleted_and_other_freight_is(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        first, second = await h.discover("1.0.0"), await h.discover("1.1.0")
        await h.promote("dev", first.name)

        async def held() -> bool:
            return any(record.currently_in for record in await h.freight())

        await h.until(held)

        refused = await delete(h, first.name)
        assert (refused.ok, refused.message) == (False, "it is in dev: promote other Freight there first")
        assert (await delete(h, second.name)).ok
        assert [record.name for record in await h.freight()] == [first.name]
        assert not (await delete(h, second.name)).ok


async def test_freight_that_a_promotion_waits_or_runs_with_is_not_deleted(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev"))
        first, second = await h.discover("1.0.0"), await h.discover("1.1.0")
        _, running = await h.request("dev", first.name)
        _, waiting = await h.request("dev", second.name)

        async def told() -> bool:
            # What the Stage has told its Warehouse shows in the state that a backup carries.
            state = await h.client.get_workflow_handle(warehouse_id(h.project, "web")).query("export")
            return bool(state["promoting"].get("dev") == sorted([first.name, second.name]))

        await h.until(told)
        for name in (first.name, second.name):
            answer = await delete(h, name)
            assert answer.message == "a Promotion to dev waits or runs with it: abort that first, or let it end"
        await h.abort(waiting)
        gate.open.set()
        await h.result(running)

        async def gone() -> bool:
            return (await delete(h, second.name)).ok

        await h.until(gone)


@pytest.mark.parametrize(
    ("criteria", "error", "made", "shown", "ready"),
    [
        (Verdict.NONE, "", 1, None, "True"),
        (Verdict.SATISFIED, "", 1, "True", "True"),
        (Verdict.NOT_SATISFIED, "", 0, "False", "True"),
        (Verdict.FAILED, "freightCreationCriteria.expression: no", 0, "Unknown", "False"),
    ],
)
async def test_criteria_decide_whether_freight_is_made(
    time_skipping: WorkflowEnvironment, criteria: Verdict, error: str, made: int, shown: str | None, ready: str
) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse())
        await tell(h, "1.0.0", criteria, error)

        assert len(await h.freight()) == made
        told = await conditions(h)
        assert told.get("FreightCreationCriteriaSatisfied", (None, ""))[0] == shown
        assert told["Ready"] == (ready, error)


async def test_steps_of_a_stage_run_on_the_workers_of_its_shard(time_skipping: WorkflowEnvironment) -> None:
    shard = f"s{uuid.uuid4().hex[:8]}"
    async with house(time_skipping) as h:
        there = House(environment=time_skipping, task_queue=task_queue(shard), project=h.project)
        sharded = stage("dev", steps=[{"uses": "work", "as": "one"}, {"uses": "work", "as": "two"}])
        sharded["spec"]["shard"] = shard
        await h.apply(project(h.project), warehouse(), sharded, stage("near", "dev"))
        freight = await h.discover("1.0.0")
        asked = asyncio.create_task(h.promote("dev", freight.name))
        async with Worker(time_skipping.client, task_queue=task_queue(shard), activities=[there.step], build_id="test"):
            assert (await asked).phase is PromotionPhase.SUCCEEDED

        assert [alias for _, alias in there.ran] == ["one", "two"]
        assert h.ran == []


async def test_old_freight_is_collected_by_the_operators_rule(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        first = await h.discover("1.0.0")
        await h.promote("dev", first.name)
        approved = await h.discover("1.1.0")
        handle = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
        request = ApproveRequest(freight=approved.name, stage="dev")
        await handle.execute_update("approve", request, result_type=Outcome)
        await h.discover("1.2.0")
        second = await h.discover("1.3.0")
        await h.promote("dev", second.name)

        # 1.0.0 is in the Stage's history, 1.1.0 is approved; of 1.2.0 nobody knows.
        await tell(h, "1.4.0", retention=Retention(pieces=0, age=timedelta(0)))

        async def collected() -> bool:
            tags = {record.reference.images[0].tag for record in await h.freight()}
            return tags == {"1.0.0", "1.1.0", "1.3.0", "1.4.0"}

        await h.until(collected)
