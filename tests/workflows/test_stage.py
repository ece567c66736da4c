"""Stages: admission, queue and turn, health, availability, auto-promotion, fan-out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from model.names import stage_id, warehouse_id
from model.references import Health, HealthCheckStep, HealthState
from model.steps import ERRORED, FAILED, StepKind, StepRequest, StepResult, StepStatus
from model.warehouses import ApproveRequest, Outcome, RetireRequest
from tests.workflows.house import Gate, House, Silent, house, policies, project, stage, warehouse


async def _holds(h: House, name: str, freight: str) -> bool:
    shown = await h.stage(name)
    return shown["status"].get("freightSummary") == freight


async def _verified(h: House, name: str, freight: str) -> bool:
    return any(record.name == freight and name in record.verified_in for record in await h.freight())


async def test_unknown_freight_and_control_flow_stages_refuse(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"), stage("flow", "dev", steps=[]))
        answer, _ = await h.request("dev", "0" * 40)
        assert not answer.accepted
        assert "no such Freight" in answer.reason
        freight = await h.discover("1.0.0")
        answer, name = await h.request("flow", freight.name)
        assert not answer.accepted
        assert "no promotion steps" in answer.reason
        assert (await h.result(name)).phase is None
        answer, _ = await h.request("nowhere", freight.name)
        assert answer.reason.startswith("Stage nowhere does not exist")


async def test_second_promotion_waits_for_the_first(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev"))
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        _, first = await h.request("dev", one.name)
        answer, second = await h.request("dev", two.name)
        assert answer.accepted
        view = await h.progress(second)
        assert view.phase == "Pending"
        assert first in view.waiting
        # An edit while it waits doesn't touch its plan.
        await h.apply(stage("dev", steps=[{"uses": "other"}]))
        gate.open.set()
        assert (await h.result(first)).phase == "Succeeded"
        assert (await h.result(second)).phase == "Succeeded"
        assert h.ran == [(first, "step-1"), (second, "step-1")]
        await h.until(lambda: _holds(h, "dev", two.name))
        history = (await h.stage("dev"))["status"]["freightHistory"]
        assert [entry["items"]["Warehouse/web"]["name"] for entry in history] == [two.name, one.name]
        await h.promote("dev", one.name)
        assert h.ran[-1][1] == "step-1"


async def test_a_failed_promotion_leaves_what_the_stage_holds(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        await h.promote("dev", one.name)

        def no(request: StepRequest) -> None:
            raise ApplicationError("the answer is no", type=FAILED, non_retryable=True)

        h.plays["work"] = no
        failed = await h.promote("dev", two.name)
        assert (failed.phase, failed.message) == ("Failed", "the answer is no")
        shown = (await h.stage("dev"))["status"]
        assert shown["freightSummary"] == one.name
        assert shown["lastPromotion"]["status"]["phase"] == "Failed"
        assert shown["health"]["status"] == "Unknown"
        assert await _verified(h, "dev", one.name)


async def test_abort_while_running_and_while_pending(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        gate = Gate()
        h.plays["work"] = gate
        steps = [{"uses": "work"}, {"uses": "later", "if": "${{ always() }}"}]
        await h.apply(project(h.project), warehouse(), stage("dev", steps=steps))
        one = await h.discover("1.0.0")
        _, first = await h.request("dev", one.name)
        _, second = await h.request("dev", one.name)
        _, third = await h.request("dev", one.name)

        async def running() -> bool:
            return len(h.ran) == 1

        await h.until(running)
        for name in (second, first):
            await h.abort(name)
            with pytest.raises(WorkflowFailureError) as failure:
                await h.result(name)
            assert isinstance(failure.value.cause, CancelledError)
        view = await h.progress(first)
        assert view.phase == "Aborted"
        assert view.message == "aborted by subject:tester"
        assert [step.status for step in view.steps] == ["Aborted", None]
        gate.open.set()
        assert (await h.result(third)).phase == "Succeeded"
        assert [ran for ran in h.ran if ran[0] != third] == [(first, "step-1")]


async def test_soak_time_ends_by_a_timer(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(
            project(h.project), policies(h.project, "prod"), warehouse(), stage("dev"), stage("prod", "dev", soak="48h")
        )
        freight = await h.discover("1.0.0")
        await h.promote("dev", freight.name)
        await h.until(lambda: _verified(h, "dev", freight.name))
        answer, _ = await h.request("prod", freight.name)
        assert not answer.accepted
        assert "of 48h0m0s in Stage dev" in answer.reason
        await time_skipping.sleep(timedelta(hours=47))
        assert not await _holds(h, "prod", freight.name)
        await time_skipping.sleep(timedelta(hours=2))
        await h.until(lambda: _holds(h, "prod", freight.name))


async def test_auto_promotion_takes_the_newest_and_repeats_no_failure(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), policies(h.project, "dev"), warehouse(), stage("dev"))
        one = await h.discover("1.0.0")
        await h.until(lambda: _holds(h, "dev", one.name))

        def no(request: StepRequest) -> None:
            raise ApplicationError("broken", type=ERRORED, non_retryable=True)

        h.plays["work"] = no
        two = await h.discover("2.0.0")

        async def failed() -> bool:
            last = (await h.stage("dev"))["status"]["lastPromotion"]
            return bool(last["freight"]["name"] == two.name and last["status"]["phase"] == "Errored")

        await h.until(failed)
        await time_skipping.sleep(timedelta(hours=1))
        assert len(h.ran) == 2
        h.plays.clear()
        three = await h.discover("3.0.0")
        await h.until(lambda: _holds(h, "dev", three.name))
        assert len(h.ran) == 3


async def test_control_flow_lets_everything_pass_and_fan_out_skips_it(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(
            project(h.project),
            warehouse(),
            stage("dev"),
            stage("gate", "dev", steps=[]),
            stage("east", "gate"),
            stage("west", "gate"),
            stage("beyond", "gate", steps=[]),
        )
        freight = await h.discover("1.0.0")
        answer, _ = await h.fan_out("gate", freight.name)
        assert not answer.accepted
        assert "Stage east: not verified in Stage gate" in answer.reason
        await h.promote("dev", freight.name)
        await h.until(lambda: _verified(h, "gate", freight.name))
        await h.until(lambda: _verified(h, "beyond", freight.name))

        def no_in_east(request: StepRequest) -> dict[str, Any]:
            if request.context.stage == "east":
                raise ApplicationError("east is closed", type=FAILED, non_retryable=True)
            return {}

        h.plays["work"] = no_in_east
        answer, handle = await h.fan_out("gate", freight.name)
        assert answer.accepted
        assert answer.notes == ["control-flow Stage beyond was skipped"]
        result = await handle.result()
        assert {name: outcome.phase for name, outcome in result.promotions.items()} == {
            "east": "Failed",
            "west": "Succeeded",
        }
        shown = (await h.stage("gate"))["status"]
        assert shown["freightSummary"] == "N/A"
        assert shown["freightHistory"] == []


async def test_approval_makes_freight_available(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"), stage("prod", "dev", soak="1h"))
        freight = await h.discover("1.0.0")
        handle = h.client.get_workflow_handle(warehouse_id(h.project, "web"))
        outcome = await handle.execute_update(
            "approve", ApproveRequest(freight=freight.name, stage="prod"), result_type=Outcome
        )
        assert outcome.ok
        assert (await h.promote("prod", freight.name)).phase == "Succeeded"


def _checked(request: StepRequest) -> StepResult:
    return StepResult(status=StepStatus.SUCCEEDED, health_checks=[HealthCheckStep(uses="argocd-update", config={})])


async def test_a_stage_settles_before_the_next_promotion(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        h.plays["work"] = _checked
        h.health["dev"] = Health(status=HealthState.PROGRESSING, issues=["rolling out"])
        await h.apply(project(h.project), warehouse(), stage("dev"))
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        await h.promote("dev", one.name)
        _, second = await h.request("dev", two.name)
        view = await h.progress(second)
        assert view.phase == "Pending"
        assert "settles" in view.waiting
        assert not await _verified(h, "dev", one.name)
        h.health["dev"] = Health(status=HealthState.HEALTHY)
        await time_skipping.sleep(timedelta(seconds=30))
        assert (await h.result(second)).phase == "Succeeded"
        assert await _verified(h, "dev", one.name)


@pytest.mark.parametrize("state", [HealthState.UNHEALTHY, HealthState.PROGRESSING])
async def test_bad_health_or_the_bound_lets_the_next_start(
    time_skipping: WorkflowEnvironment, state: HealthState
) -> None:
    async with house(time_skipping) as h:
        h.plays["work"] = _checked
        h.health["dev"] = Health(status=state)
        await h.apply(project(h.project), warehouse(), stage("dev"))
        one, two = await h.discover("1.0.0"), await h.discover("2.0.0")
        await h.promote("dev", one.name)
        _, second = await h.request("dev", two.name)
        if state is HealthState.PROGRESSING:
            for _ in range(4):
                await time_skipping.sleep(timedelta(minutes=1))
            assert (await h.progress(second)).phase == "Pending"
            for _ in range(2):
                await time_skipping.sleep(timedelta(minutes=1))
        assert (await h.result(second)).phase == "Succeeded"
        assert not await _verified(h, "dev", one.name)


async def test_a_turn_whose_holder_was_terminated_is_taken_back(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        silent = await h.client.start_workflow(
            Silent.run, args=[h.project, "dev", freight.name], id=f"silent-{h.project}", task_queue=h.task_queue
        )

        async def has_turn() -> bool:
            shown = await h.stage("dev")
            return bool(shown["status"].get("currentPromotion", {}).get("name") == "dev.silent")

        await h.until(has_turn)
        _, second = await h.request("dev", freight.name)
        assert "dev.silent" in (await h.progress(second)).waiting
        await silent.terminate("by hand")
        h.ended[silent.id] = "Terminated"
        await time_skipping.sleep(timedelta(minutes=12))
        assert (await h.result(second)).phase == "Succeeded"


async def test_two_origins_keep_each_other(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse("web"), warehouse("api"), stage("dev", warehouses=("web", "api")))
        web, api = await h.discover("1.0.0", "web"), await h.discover("5.0.0", "api")
        await h.promote("dev", web.name)
        await h.promote("dev", api.name)
        shown = (await h.stage("dev"))["status"]
        assert shown["freightSummary"] == "2/2 Fulfilled"
        held = {origin: piece["name"] for origin, piece in shown["freightHistory"][0]["items"].items()}
        assert held == {"Warehouse/web": web.name, "Warehouse/api": api.name}

        def no(request: StepRequest) -> None:
            raise ApplicationError("no", type=FAILED, non_retryable=True)

        h.plays["work"] = no
        await h.promote("dev", (await h.discover("2.0.0", "web")).name)
        h.plays.clear()
        newer = await h.discover("6.0.0", "api")
        await h.promote("dev", newer.name)
        shown = (await h.stage("dev"))["status"]
        held = {origin: piece["name"] for origin, piece in shown["freightHistory"][0]["items"].items()}
        assert held == {"Warehouse/web": web.name, "Warehouse/api": newer.name}


async def test_deleting_a_stage_is_refused_while_it_is_promoted(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev"), stage("prod", "dev"))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)
        refused = await h.update_stage("dev", "retire", RetireRequest())
        assert not refused.ok
        assert name in refused.message
        forced = await h.update_stage("dev", "retire", RetireRequest(force=True))
        assert forced.ok
        with pytest.raises(WorkflowFailureError):
            await h.result(name)
        await h.client.get_workflow_handle(stage_id(h.project, "dev")).result()

        async def forgotten() -> bool:
            handle = h.client.get_workflow_handle(f"project/{h.project}")
            view = await handle.query("view")
            return sorted(view["stages"]) == ["prod"]

        await h.until(forgotten)


async def test_apply_twice_changes_nothing(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        manifests = [project(h.project), warehouse(), stage("dev"), stage("prod", "dev", "elsewhere")]
        first = await h.apply(*manifests)
        assert {resource.action for resource in first.resources} == {"created"}
        assert first.warnings == ["Stage prod refers to Stage elsewhere, which does not exist"]
        second = await h.apply(*manifests)
        assert {resource.action for resource in second.resources} == {"unchanged"}
        third = await h.apply(stage("dev", steps=[{"uses": "work"}, {"uses": "more"}]))
        assert [resource.action for resource in third.resources] == ["configured"]
        freight = await h.discover("1.0.0")
        await h.promote("dev", freight.name)
        assert [alias for _, alias in h.ran] == ["step-1", "step-2"]


async def test_step_kinds_reach_the_plan(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        h.kinds["work"] = StepKind(name="work", polls=True, timeout=timedelta(minutes=5))
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")

        def never(request: StepRequest) -> None:
            raise ApplicationError("not there yet", type="NotYet", next_retry_delay=timedelta(minutes=1))

        h.plays["work"] = never
        _, name = await h.request("dev", freight.name)
        await time_skipping.sleep(timedelta(minutes=6))
        done = await h.result(name)
        assert (done.phase, done.message) == ("Errored", "timed out after 5m0s")
