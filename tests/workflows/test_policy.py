"""Policy at work in the workflows: holds, freezes, promotion windows, following the upstream Stage, explanations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from model.explanation import StageExplanation
from model.freezes import FreezeRequest, ThawRequest
from model.names import CLUSTER, new_ulid, project_id, promotion_id, run_name, stage_id
from model.promotions import PromotionRequest
from model.stages import VerifyRequest
from model.steps import FAILED, StepRequest
from model.warehouses import Outcome, RetireRequest
from tests.workflows.house import Gate, House, house, policies, project, stage, warehouse
from workflows.promotion import Promotion


async def holds(h: House, name: str, freight: str) -> bool:
    return bool((await h.stage(name))["status"].get("freightSummary") == freight)


async def ask(h: House, workflow_id: str, update: str, message: Any) -> Outcome:
    return await h.client.get_workflow_handle(workflow_id).execute_update(update, message, result_type=Outcome)


async def explained(h: House, name: str, freight: list[Any] | None = None) -> StageExplanation:
    handle = h.client.get_workflow_handle(stage_id(h.project, name))
    return await handle.query("explain", freight or [], result_type=StageExplanation)


async def request(h: House, stage_name: str, freight: str, **fields: str) -> str:
    """Ask for a Promotion with more than its Freight; returns its name."""
    import random
    import uuid

    name = run_name(stage_name, new_ulid(datetime.now(UTC), random.Random(uuid.uuid4().int)), freight)
    message = PromotionRequest(
        project=h.project, stage=stage_name, name=name, freight=freight, actor="subject:ann", **fields
    )
    await h.client.start_workflow(
        Promotion.run,
        message,
        id=promotion_id(h.project, name),
        task_queue=h.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    return name


async def test_a_rollback_by_hand_holds_until_the_candidate_is_promoted(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), policies(h.project, "dev"), warehouse(), stage("dev"))
        one = await h.discover("1.0.0")
        await h.until(lambda: holds(h, "dev", one.name))
        two = await h.discover("2.0.0")
        await h.until(lambda: holds(h, "dev", two.name))
        await h.promote("dev", one.name)
        await h.until(lambda: holds(h, "dev", one.name))
        status = (await h.stage("dev"))["status"]
        hold = status["autoPromotionHolds"]["Warehouse/web"]
        assert (hold["freightName"], hold["actor"]) == (one.name, "subject:tester")
        assert status["effectiveAutoPromotionHolds"] == status["autoPromotionHolds"]
        three = await h.discover("3.0.0")
        await time_skipping.sleep(timedelta(hours=1))
        assert await holds(h, "dev", one.name)
        said = await explained(h, "dev", [two, three])
        assert said.origins[0].candidate == three.name
        assert "auto-promotion is held" in said.origins[0].reason
        assert [(piece.available, piece.candidate) for piece in said.freight] == [(True, False), (True, True)]
        # The Warehouse's candidate, whichever it is: auto-promotion resumes.
        resumed = await request(h, "dev", "whatever", warehouse="web")
        assert (await h.result(resumed)).phase == "Succeeded"
        assert (await h.progress(resumed)).freight == three.name
        assert "autoPromotionHolds" not in (await h.stage("dev"))["status"]
        four = await h.discover("4.0.0")
        await h.until(lambda: holds(h, "dev", four.name))


async def test_an_aborted_rollback_holds_nothing(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        await h.apply(project(h.project), policies(h.project, "dev"), warehouse(), stage("dev"))
        one = await h.discover("1.0.0")
        await h.until(lambda: holds(h, "dev", one.name))
        two = await h.discover("2.0.0")
        await h.until(lambda: holds(h, "dev", two.name))
        gate = Gate()
        h.plays["work"] = gate
        _, back = await h.request("dev", one.name)
        status = (await h.stage("dev"))["status"]
        assert status["effectiveAutoPromotionHolds"]["Warehouse/web"]["promotionName"] == back
        assert "autoPromotionHolds" not in status
        await h.abort(back)
        with pytest.raises(WorkflowFailureError):
            await h.result(back)
        gate.open.set()
        three = await h.discover("3.0.0")
        await h.until(lambda: holds(h, "dev", three.name))
        assert "effectiveAutoPromotionHolds" not in (await h.stage("dev"))["status"]


@pytest.mark.parametrize("scope", ["stage", "project", "cluster"])
async def test_a_freeze_lets_what_runs_finish_and_nothing_new_start(
    time_skipping: WorkflowEnvironment, scope: str
) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), policies(h.project, "auto"), warehouse(), stage("dev"), stage("auto", "dev"))
        one = await h.discover("1.0.0")
        _, first = await h.request("dev", one.name)
        target = {"stage": stage_id(h.project, "dev"), "project": project_id(h.project), "cluster": CLUSTER}[scope]
        assert (await ask(h, target, "freeze", FreezeRequest(reason="the sale", actor="subject:ann"))).ok
        try:

            async def frozen() -> bool:
                return "freezes" in (await h.stage("dev"))["status"]

            await h.until(frozen)
            _, second = await h.request("dev", one.name)
            gate.open.set()
            assert (await h.result(first)).phase == "Succeeded"
            await time_skipping.sleep(timedelta(hours=1))
            shown = (await h.stage("dev"))["status"]
            assert "frozen by subject:ann" in shown["waiting"]
            assert shown["waiting"].endswith(": the sale")
            assert shown["freezes"][0]["reason"] == "the sale"
            assert (await h.progress(second)).phase == "Pending"
            assert await holds(h, "auto", one.name) is (scope == "stage")
        finally:
            assert (await ask(h, target, "thaw", ThawRequest(actor="subject:bob"))).ok
        assert (await h.result(second)).phase == "Succeeded"
        await h.until(lambda: holds(h, "auto", one.name))
        assert not (await ask(h, target, "thaw", ThawRequest())).ok


async def test_a_closed_window_holds_back_what_does_not_override_it(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        now = await time_skipping.get_current_time()
        opens = (now + timedelta(hours=3)).replace(microsecond=0)
        config = policies(h.project, "dev")
        config["spec"]["promotionWindows"] = [
            {
                "name": "launch",
                "kind": "Deny",
                "dtstart": (now - timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ"),
                "dtend": opens.strftime("%Y%m%dT%H%M%SZ"),
                "stageSelector": {"name": "glob:d*"},
            }
        ]
        await h.apply(project(h.project), config, warehouse(), stage("dev"), stage("other"))
        one = await h.discover("1.0.0")
        assert (await h.promote("other", one.name)).phase == "Succeeded"
        _, waiting = await h.request("dev", one.name)
        view = await h.progress(waiting)
        assert view.phase == "Pending"
        assert f"the Deny window launch is active; it opens at {opens:%Y-%m-%dT%H:%M:%SZ}" in view.waiting
        assert (await h.stage("dev"))["status"]["promotionWindowStatus"]["closed"]
        urgent = await request(h, "dev", one.name, override_window="the shop is down")
        assert (await h.result(urgent)).phase == "Succeeded"
        assert (await h.progress(waiting)).phase == "Pending"
        # Who wanted that, and why, is kept: on the Promotion, and on the Stage for as long as it is the last.
        assert (await h.progress(urgent)).override_window == "the shop is down"
        last = (await h.stage("dev"))["status"]["lastPromotion"]
        assert last["overrideWindow"] == {"reason": "the shop is down", "actor": "subject:ann"}
        await time_skipping.sleep(timedelta(hours=4))
        assert (await h.result(waiting)).phase == "Succeeded"


async def test_a_window_that_lets_nothing_pass_refuses_to_be_overridden(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        now = await time_skipping.get_current_time()
        config = policies(h.project)
        config["metadata"]["annotations"] = {"towpath/closed-windows": "nothing"}
        config["spec"]["promotionWindows"] = [
            {
                "name": "audit",
                "kind": "Deny",
                "dtstart": (now - timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ"),
                "dtend": (now + timedelta(hours=3)).strftime("%Y%m%dT%H%M%SZ"),
            }
        ]
        await h.apply(project(h.project), config, warehouse(), stage("dev"))
        one = await h.discover("1.0.0")
        refused = await h.result(await request(h, "dev", one.name, override_window="the shop is down"))
        assert refused.phase is None
        assert "closed and lets nothing pass: the Deny window audit is active" in refused.message
        waiting = await request(h, "dev", one.name)
        await time_skipping.sleep(timedelta(hours=4))
        assert (await h.result(waiting)).phase == "Succeeded"


async def test_following_the_upstream_goes_back_with_it(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        follower = stage("prod", "dev")
        sources = follower["spec"]["requestedFreight"][0]["sources"]
        sources["autoPromotionOptions"] = {"selectionPolicy": "MatchUpstream"}
        await h.apply(project(h.project), policies(h.project, "prod"), warehouse(), stage("dev"), follower)
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        for freight in (one, two, one):
            await h.promote("dev", freight.name)
            await h.until(lambda freight=freight: holds(h, "prod", freight.name))  # type: ignore[misc] # bound on purpose


async def test_whoever_asks_a_stage_that_is_deleted_hears_so(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        assert (await h.update_stage("dev", "freeze", FreezeRequest(reason="r"))).ok
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)
        assert not (await h.update_stage("dev", "retire", RetireRequest())).ok
        assert (await h.update_stage("dev", "retire", RetireRequest(force=True))).ok
        with pytest.raises(WorkflowFailureError):
            await h.result(name)


async def test_a_failed_promotion_is_rolled_back_once_and_held(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        config = policies(h.project, "dev")
        config["spec"]["promotionPolicies"][0]["autoRollback"] = {"onPromotion": ["Failed"]}
        seen: list[tuple[str, bool]] = []

        def work(request: StepRequest) -> dict[str, Any]:
            context = request.context
            seen.append((context.freight.images[0].tag, context.rollback))
            if context.freight.images[0].tag == "2.0.0":
                raise ApplicationError("no", type=FAILED, non_retryable=True)
            return {}

        h.plays["work"] = work
        await h.apply(project(h.project), config, warehouse(), stage("dev"))
        one = await h.discover("1.0.0")
        await h.until(lambda: holds(h, "dev", one.name))
        await h.discover("2.0.0")

        async def back() -> bool:
            return len((await h.stage("dev"))["status"]["freightHistory"]) == 2

        await h.until(back)
        assert seen == [("1.0.0", False), ("2.0.0", False), ("1.0.0", True)]
        assert await holds(h, "dev", one.name)
        assert "Warehouse/web" in (await h.stage("dev"))["status"]["autoPromotionHolds"]
        await time_skipping.sleep(timedelta(hours=2))
        assert len(seen) == 3


async def test_the_same_freight_twice_is_held_twice_and_verified_anew(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")

        async def verified() -> datetime | None:
            marks = (await h.freight())[0].verified_in
            return marks["dev"].verified_at if "dev" in marks else None

        await h.promote("dev", freight.name)
        first = await h.until(verified)
        await time_skipping.sleep(timedelta(hours=1))
        await h.promote("dev", freight.name)

        async def both() -> bool:
            history = (await h.stage("dev"))["status"]["freightHistory"]
            return len(history) == 2 and all(entry.get("verificationHistory") for entry in history)

        await h.until(both)
        one, two = (await h.stage("dev"))["status"]["freightHistory"]
        assert one["id"] == two["id"]
        assert one["verificationHistory"][0]["id"] != two["verificationHistory"][0]["id"]
        assert await verified() == first


async def test_after_a_failed_promotion_nothing_can_be_verified_again(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gone = {"analysisTemplates": [{"name": "gone"}]}
        await h.apply(project(h.project), warehouse(), stage("dev", verification=gone), stage("bare"))
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        await h.promote("bare", one.name)
        refused = await h.update_stage("bare", "verify", VerifyRequest())
        assert not refused.ok
        assert refused.message.startswith("there is nothing to verify in Stage bare: it names no templates")
        await h.promote("dev", one.name)

        async def ended() -> Any:
            current = (await h.stage("dev"))["status"]["freightHistory"][0]
            return [info for info in current.get("verificationHistory", []) if info["phase"] == "Error"]

        [info] = await h.until(ended)
        # A template that is nowhere: the verification ends and says so, the Stage goes on.
        assert "refers to what doesn't exist: AnalysisTemplate/gone" in info["message"]
        assert (await h.update_stage("dev", "verify", VerifyRequest())).ok

        def no(request: StepRequest) -> None:
            raise ApplicationError("no", type=FAILED, non_retryable=True)

        h.plays["work"] = no
        await h.promote("dev", two.name)
        refused = await h.update_stage("dev", "verify", VerifyRequest())
        assert not refused.ok
        assert "did not succeed: promote first" in refused.message
        assert await holds(h, "dev", one.name)
