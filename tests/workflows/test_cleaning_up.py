"""What runs after an abort: the steps whose `if` asks `aborted()`, in a bounded time, even if the worker died."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from model.promotions import PromotionView
from model.steps import FAILED, NOT_YET, WORKSPACE_LOST, Effect, StepKind, StepRequest, StepStatus
from tests.workflows.house import Gate, House, house, project, stage, warehouse

ABORTED = "${{ aborted() }}"
STEPS: list[dict[str, Any]] = [
    {"uses": "prepare"},
    {"uses": "work"},
    {"uses": "later"},
    {"uses": "always", "if": "${{ always() }}"},
    {"uses": "unlock", "if": ABORTED},
    {"uses": "tell", "if": "${{ failure() || aborted() }}"},
]


def never(request: StepRequest) -> None:
    raise ApplicationError("not there yet", type=NOT_YET, next_retry_delay=timedelta(minutes=1))


def waits(h: House, *steps: str) -> None:
    """These steps wait in vain: between two looks an abort reaches them at once."""
    for step in steps:
        h.kinds[step] = StepKind(name=step, effect=Effect.PURE, polls=True)
        h.plays[step] = never


async def aborted(h: House, steps: list[dict[str, Any]], gate: Gate | None = None) -> str:
    """A Promotion that was aborted while its step `work` waited between two looks, or for the gate."""
    await h.apply(project(h.project), warehouse(), stage("dev", steps=steps))
    freight = await h.discover("1.0.0")
    _, name = await h.request("dev", freight.name)
    # Not in the moment a look ends: the server that skips time would never end the run.
    await h.until(lambda: began(h, name, "work") if gate else h.waits(name))
    await h.abort(name)
    return name


async def began(h: House, name: str, uses: str) -> bool:
    steps = (await h.progress(name)).steps
    at_work = {step.uses for step in steps if step.status is not None}
    return uses in at_work and len(h.ran) >= len(at_work)


async def ended(h: House, name: str) -> PromotionView:
    with pytest.raises(WorkflowFailureError):
        await h.result(name)
    return await h.progress(name)


async def test_after_an_abort_only_steps_that_ask_for_it_run(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        waits(h, "work")
        asked: dict[str, tuple[bool, bool]] = {}
        gate = Gate()

        def hear(request: StepRequest) -> Any:
            asked[request.step.kind.name] = (request.aborted, request.failed)
            return {}

        async def unlock(request: StepRequest) -> dict[str, Any]:
            hear(request)
            return await gate(request)

        h.plays |= {"prepare": hear, "tell": hear, "unlock": unlock}
        name = await aborted(h, STEPS)
        # While it cleans up it has the turn, says so, and isn't to be stopped by a second abort.
        await h.until(lambda: began(h, name, "unlock"))
        await h.abort(name, "subject:impatient")
        view = await h.progress(name)
        assert (view.phase, view.message) == ("Running", "aborted by subject:tester")
        assert view.cleaning_up_until is not None
        assert (await h.stage("dev"))["status"]["currentPromotion"]["name"] == name
        gate.open.set()
        view = await ended(h, name)
        assert (view.phase, view.message) == ("Aborted", "aborted by subject:tester")
        assert [step.status for step in view.steps] == ["Succeeded", "Aborted", None, None, "Succeeded", "Succeeded"]
        assert asked == {"prepare": (False, False), "unlock": (True, False), "tell": (True, False)}
        h.plays.clear()
        assert (await h.promote("dev", (await h.freight())[0].name)).phase == "Succeeded"


async def test_what_was_aborted_before_it_ran_cleans_up_nothing(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        gate = Gate()
        h.plays["work"] = gate
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        _, first = await h.request("dev", freight.name)
        _, second = await h.request("dev", freight.name)
        await h.abort(second)
        assert (await ended(h, second)).phase == "Aborted"
        gate.open.set()
        assert (await h.result(first)).phase == "Succeeded"
        assert {name for name, _ in h.ran} == {first}


async def test_cleaning_up_that_fails_is_told_and_changes_nothing_else(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        waits(h, "work")

        def no(request: StepRequest) -> None:
            raise ApplicationError("the lock is somebody else's", type=FAILED, non_retryable=True)

        h.plays["unlock"] = no
        view = await ended(h, await aborted(h, STEPS))
        assert view.phase == "Aborted"
        why = "not all was cleaned up: step-5 Failed: the lock is somebody else's"
        assert view.message == f"aborted by subject:tester; {why}"
        assert [step.status for step in view.steps][-2:] == ["Failed", "Succeeded"]
        last = (await h.stage("dev"))["status"]["lastPromotion"]["status"]
        assert (last["phase"], last["message"]) == ("Aborted", view.message)


async def test_cleaning_up_is_bounded_in_time(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        waits(h, "work", "unlock")
        name = await aborted(h, STEPS)
        await h.until(lambda: began(h, name, "unlock"))
        for _ in range(12):
            await time_skipping.sleep(timedelta(minutes=1))
        view = await ended(h, name)
        assert view.phase == "Aborted"
        assert view.message.endswith("step-5 Errored: timed out: cleaning up after an abort may take 10m0s in all")


async def test_cleaning_up_finds_a_workspace_though_the_worker_died(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        h.kinds["prepare"] = StepKind(name="prepare", effect=Effect.WORKSPACE)
        waits(h, "work")
        tries: list[str] = []

        def unlock(request: StepRequest) -> dict[str, Any]:
            tries.append(request.workspace)
            if len(tries) == 1:
                raise ApplicationError("gone", type=WORKSPACE_LOST, non_retryable=True)
            return {}

        h.plays["unlock"] = unlock
        view = await ended(h, await aborted(h, STEPS))
        assert (view.phase, view.message) == ("Aborted", "aborted by subject:tester")
        assert len(set(tries)) == 2
        assert [alias for _, alias in h.ran] == ["step-1", "step-2", "step-5", "step-1", "step-5", "step-6"]


async def test_a_step_whose_host_was_lost_is_not_begun_again_after_an_abort(
    dev_client: Client,
) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        gate = Gate()

        async def lost(request: StepRequest) -> None:
            try:
                await gate(request)
            finally:
                raise ApplicationError("gone", type=WORKSPACE_LOST, non_retryable=True)

        h.plays["work"] = lost
        view = await ended(h, await aborted(h, STEPS, gate))
        assert view.phase == "Aborted"
        assert [step.status for step in view.steps][1] == StepStatus.ABORTED
        assert [alias for _, alias in h.ran] == ["step-1", "step-2", "step-5", "step-6"]
