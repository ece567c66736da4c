"""Promotions: from the request to the end of their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from model.steps import FAILED, WORKSPACE_LOST, Effect, StepFailure, StepKind, StepRequest
from tests.workflows.house import House, house, project, stage, warehouse


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


STEPS = [
    {"uses": "make", "as": "make"},
    {"uses": "send", "as": "send"},
    {"uses": "compute", "as": "compute"},
    {"uses": "finish", "as": "finish"},
]


def _kinds(h: House) -> None:
    h.kinds["make"] = StepKind(name="make", effect=Effect.WORKSPACE)
    h.kinds["send"] = StepKind(name="send", effect=Effect.EXTERNAL)
    h.kinds["compute"] = StepKind(name="compute", effect=Effect.PURE)
    h.kinds["finish"] = StepKind(name="finish", effect=Effect.EXTERNAL)


class Recorder:
    """Remembers each request of a step, and loses the workspace at chosen calls."""

    def __init__(
        self, lost_at: tuple[int, ...] = (), output: Callable[[int], dict[str, Any]] = lambda call: {}
    ) -> None:
        self.requests: list[StepRequest] = []
        self.lost_at = lost_at
        self.output = output

    def __call__(self, request: StepRequest) -> dict[str, Any]:
        self.requests.append(request)
        if len(self.requests) in self.lost_at:
            raise ApplicationError("gone", type=WORKSPACE_LOST, non_retryable=True)
        return self.output(len(self.requests))


async def test_a_lost_workspace_is_rebuilt_and_external_steps_are_not_repeated(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        _kinds(h)
        make, send, compute = Recorder(), Recorder(), Recorder()
        finish = Recorder(lost_at=(1, 2))
        h.plays.update(make=make, send=send, compute=compute, finish=finish)
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)
        assert (await h.result(name)).phase == "Succeeded"
        assert [request.rebuild for request in make.requests] == [False, True, True]
        assert [request.workspace for request in make.requests] == [f"{name}.{n}" for n in (1, 2, 3)]
        assert all(request.claim for request in make.requests)
        assert len({request.started_at for request in make.requests}) == 1
        assert len(send.requests) == len(compute.requests) == 1
        assert [request.repeated for request in finish.requests] == [False, True, True]
        assert [request.claim for request in finish.requests] == [False, False, False]
        assert (await h.progress(name)).steps[3].rebuilds == 2


async def test_a_step_that_comes_out_differently_after_a_loss_is_an_error(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        _kinds(h)
        h.plays["make"] = Recorder(output=lambda call: {"call": call})
        h.plays["finish"] = Recorder(lost_at=(1,))
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        done = await h.promote("dev", freight.name)
        assert done.phase == "Errored"
        assert done.message == "after the loss of its host, step make came out differently"


async def test_failed_steps_skip_later_ones_but_not_those_with_an_if(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        steps: list[dict[str, Any]] = [
            {"uses": "shaky", "continueOnError": True},
            {"uses": "work"},
            {"uses": "shaky"},
            {"uses": "work"},
            {"uses": "work", "if": "${{ failure() }}"},
        ]
        seen = Recorder()

        def no(request: StepRequest) -> None:
            failure = StepFailure(message="no", output={"why": "tired"}, error_count=2)
            raise ApplicationError("no", failure, type=FAILED, non_retryable=True)

        h.plays.update(shaky=no, work=seen)
        await h.apply(project(h.project), warehouse(), stage("dev", steps=steps))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)
        done = await h.result(name)
        assert (done.phase, done.message) == ("Failed", "no")
        view = await h.progress(name)
        assert [step.status for step in view.steps] == ["Failed", "Succeeded", "Failed", "Skipped", "Succeeded"]
        assert view.steps[0].error_count == 2
        assert [request.failed for request in seen.requests] == [False, True]
        assert seen.requests[-1].outputs["step-1"] == {"why": "tired"}
        assert seen.requests[-1].statuses["step-3"] == "Failed"


async def test_compose_output_in_a_task_is_seen_under_the_tasks_alias(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        task = {
            "apiVersion": "kargo.akuity.io/v1alpha1",
            "kind": "PromotionTask",
            "metadata": {"name": "share"},
            "spec": {"steps": [{"uses": "compose-output", "as": "out"}]},
        }
        last = Recorder()
        h.plays["compose-output"] = Recorder(output=lambda call: {"x": call})
        h.plays["work"] = last
        steps = [{"task": {"name": "share"}, "as": "shared"}, {"uses": "work"}]
        await h.apply(project(h.project), warehouse(), task, stage("dev", steps=steps))
        freight = await h.discover("1.0.0")
        assert (await h.promote("dev", freight.name)).phase == "Succeeded"
        assert last.requests[0].outputs == {"shared::out": {"x": 1}, "shared": {"x": 1}}


async def test_a_missing_task_refuses_and_names_it(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev", steps=[{"task": {"name": "nothing"}}]))
        freight = await h.discover("1.0.0")
        answer, _ = await h.request("dev", freight.name)
        assert not answer.accepted
        assert "PromotionTask/nothing does not exist" in answer.reason
