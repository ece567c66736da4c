"""What a checklist of Kargo's behaviour asks for beside the tests of Stages: each on real workflows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from model.names import warehouse_id
from model.warehouses import ApproveRequest, Outcome
from tests.workflows.house import Gate, House, house, project, stage, warehouse


async def _held(h: House, name: str) -> dict[str, str]:
    history = (await h.stage(name))["status"]["freightHistory"]
    return {origin: piece["name"] for origin, piece in history[0]["items"].items()} if history else {}


async def _verified(h: House, name: str) -> set[str]:
    return {record.name for record in await h.freight() if name in record.verified_in}


async def _approve(h: House, name: str, freight: str) -> None:
    handle = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
    approved = await handle.execute_update("approve", ApproveRequest(freight=freight, stage=name), result_type=Outcome)
    assert approved.ok, approved.message


async def test_an_aborted_promotion_leaves_both_origins_and_lets_the_next_start(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        await h.apply(project(h.project), warehouse("web"), warehouse("api"), stage("dev", warehouses=("web", "api")))
        web, api = await h.discover("1.0.0", "web"), await h.discover("5.0.0", "api")
        for piece in (web, api):
            await h.promote("dev", piece.name)
        before = await _held(h, "dev")
        gate = Gate()
        h.plays["work"] = gate
        newer = await h.discover("2.0.0", "web")
        _, aborted = await h.request("dev", newer.name)
        _, waiting = await h.request("dev", api.name)

        async def running() -> bool:
            return any(name == aborted for name, _ in h.ran)

        await h.until(running)
        await h.abort(aborted)
        with pytest.raises(WorkflowFailureError):
            await h.result(aborted)
        assert await _held(h, "dev") == before == {"Warehouse/web": web.name, "Warehouse/api": api.name}
        gate.open.set()
        assert (await h.result(waiting)).phase == "Succeeded"
        assert await _held(h, "dev") == before


async def test_all_of_thirty_pieces_pass_a_control_flow_stage_and_soak_behind_it(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("gate", steps=[]), stage("prod", "gate", soak="1h"))
        pieces = {(await h.discover(f"1.{number}.0")).name for number in range(30)}

        async def all_passed() -> bool:
            return await _verified(h, "gate") == pieces

        await h.until(all_passed)
        chosen = min(pieces)
        answer, _ = await h.request("prod", chosen)
        assert not answer.accepted
        assert "of 1h0m0s in Stage gate" in answer.reason
        await time_skipping.sleep(timedelta(hours=2))
        assert (await h.promote("prod", chosen)).phase == "Succeeded"


async def test_one_upstream_stage_is_enough_or_all_are_needed_or_an_approval_or_none(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        await h.apply(
            project(h.project),
            warehouse(),
            stage("dev"),
            stage("qa"),
            stage("one", "dev", "qa", strategy="OneOf"),
            stage("all", "dev", "qa", strategy="All"),
            stage("either", "dev", "qa", strategy="All", direct=True),
        )
        freight = await h.discover("1.0.0")
        assert (await h.promote("either", freight.name)).phase == "Succeeded"
        for name in ("one", "all"):
            answer, _ = await h.request(name, freight.name)
            assert not answer.accepted, name
        await h.promote("dev", freight.name)

        async def in_dev() -> bool:
            return "dev" in {name for record in await h.freight() for name in record.verified_in}

        await h.until(in_dev)
        assert (await h.promote("one", freight.name)).phase == "Succeeded"
        answer, _ = await h.request("all", freight.name)
        assert not answer.accepted
        assert "qa" in answer.reason
        await _approve(h, "all", freight.name)
        assert (await h.promote("all", freight.name)).phase == "Succeeded"


async def test_old_freight_that_a_stage_holds_keeps_all_that_is_newer_and_twenty_before_it(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        older = [(await h.discover(f"1.{number}.0")).name for number in range(24)]
        held = await h.discover("2.0.0")
        await h.promote("dev", held.name)
        newer = [(await h.discover(f"3.{number}.0")).name for number in range(3)]
        await time_skipping.sleep(timedelta(days=15))
        last = await h.discover("4.0.0")
        kept = {*older[4:], held.name, *newer, last.name}

        async def collected() -> bool:
            return {record.name for record in await h.freight()} == kept

        await h.until(collected)
