"""A Promotion that is woken looks at once at what it waits for; whatever else runs takes no notice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from model.names import promotion_id
from model.steps import NOT_YET, Effect, StepKind, StepRequest
from tests.workflows.house import RUNNER, House, house, project, stage, warehouse
from workflows.converter import data_converter
from workflows.promotion import Promotion


def waiting(h: House, effect: Effect = Effect.PURE) -> tuple[asyncio.Event, list[StepRequest]]:
    """A step that looks once an hour until the event is set, and its looks."""
    there, looks = asyncio.Event(), list[StepRequest]()

    def look(request: StepRequest) -> dict[str, bool]:
        looks.append(request)
        if not there.is_set():
            raise ApplicationError("not there yet", type=NOT_YET, next_retry_delay=timedelta(hours=1))
        return {"there": True}

    h.kinds["wait"] = StepKind(name="wait", effect=effect, polls=True)
    h.plays["wait"] = look
    return there, looks


async def asked(h: House, looks: list[StepRequest]) -> str:
    """A Promotion whose step has looked once, in vain."""
    await h.apply(project(h.project), warehouse(), stage("dev", steps=[{"uses": "wait"}, {"uses": "work"}]))
    answer, name = await h.request("dev", (await h.discover("1.0.0")).name)
    assert answer.accepted
    await seen(h, looks, 1)
    return name


async def seen(h: House, looks: list[StepRequest], count: int) -> None:
    async def enough() -> bool:
        return len(looks) >= count

    await h.until(enough)


async def test_a_woken_step_looks_at_once_and_the_promotion_goes_on(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        there, looks = waiting(h)
        name = await asked(h, looks)
        handle = dev_client.get_workflow_handle(promotion_id(h.project, name))
        # In vain, and twice at once: it goes on waiting.
        await handle.signal(Promotion.wake)
        await handle.signal(Promotion.wake)
        await seen(h, looks, 2)
        there.set()

        async def over() -> bool:
            # As often as it takes: a look may be under way.
            await handle.signal(Promotion.wake)
            return bool((await h.progress(name)).steps[0].output)

        await h.until(over)
        done = await h.result(name)
        assert (done.phase, (await h.progress(name)).steps[0].output) == ("Succeeded", {"there": True})
        history = await handle.fetch_history()
        replayer = Replayer(workflows=[Promotion], workflow_runner=RUNNER, data_converter=data_converter())
        await replayer.replay_workflow(history)


async def test_a_woken_promotion_can_still_be_aborted(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        _, looks = waiting(h)
        name = await asked(h, looks)
        await dev_client.get_workflow_handle(promotion_id(h.project, name)).signal(Promotion.wake)
        await h.abort(name)

        async def aborted() -> bool:
            return (await h.progress(name)).phase == "Aborted"

        await h.until(aborted)


async def test_a_step_that_acts_is_not_broken_off(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        _, looks = waiting(h, Effect.EXTERNAL)
        name = await asked(h, looks)
        handle = dev_client.get_workflow_handle(promotion_id(h.project, name))
        await handle.signal(Promotion.wake)
        # Answered after the signal, by a worker that has heard of it.
        assert (await h.progress(name)).phase == "Running"
        assert not [event async for event in handle.fetch_history_events() if "cancel" in str(event.event_type).lower()]
        assert len(looks) == 1
        await h.abort(name)
