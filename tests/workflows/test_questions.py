"""A Promotion waits for people: for days, with hardly an event, and whoever answers, twice or at once, is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from model.names import promotion_id
from model.promotions import StepRecord
from model.questions import Action, Answer, Answered, Question, QuestionKind, Responder
from model.steps import WORKSPACE_LOST, Effect, StepKind, StepRequest, StepResult, StepStatus
from tests.workflows.house import RUNNER, House, house, project, stage, warehouse
from tests.workflows.test_reruns import again
from workflows.attributes import WAITS
from workflows.converter import data_converter
from workflows.promotion import Promotion

STEPS: list[dict[str, Any]] = [{"uses": "clone"}, {"uses": "ask"}, {"uses": "push"}]


def asking(h: House, *responders: Responder, kind: QuestionKind = QuestionKind.APPROVAL, count: int = 1) -> list[str]:
    """A step that asks, between two others; the aliases of the steps that ran, each time they did."""
    ran: list[str] = []
    # Days are skipped here: a look per minute would be thousands.
    h.looks_at_holders = timedelta(days=1)
    schema = {"type": "object", "required": ["ticket"], "properties": {"ticket": {"type": "string"}}}

    def ask(request: StepRequest) -> StepResult:
        ran.append("ask")
        question = Question(
            kind=kind,
            responders=list(responders),
            min_approvals=count,
            input_schema=schema if kind is QuestionKind.INPUT else {},
            asked_by=request.context.actor,
            asked_at=request.started_at,
        )
        return StepResult(status=StepStatus.RUNNING, question=question, queue=h.task_queue)

    def other(request: StepRequest) -> dict[str, Any]:
        ran.append(f"{request.step.kind.name}{' again' if request.rebuild else ''}")
        return {}

    h.kinds = {
        "clone": StepKind(name="clone", effect=Effect.WORKSPACE),
        "ask": StepKind(name="ask", effect=Effect.PURE, asks=True),
        "push": StepKind(name="push"),
    }
    h.plays = {"clone": other, "ask": ask, "push": other}
    return ran


async def asked(h: House, steps: list[dict[str, Any]] = STEPS) -> str:
    """A Promotion that asks."""
    await h.apply(project(h.project), warehouse(), stage("dev", steps=steps))
    answer, name = await h.request("dev", (await h.discover("1.0.0")).name)
    assert answer.accepted
    await h.until(lambda: _asks(h, name))
    return name


async def _asks(h: House, name: str) -> bool:
    return any(step.question is not None for step in (await h.progress(name)).steps)


async def step_of(h: House, name: str, place: int = 1) -> StepRecord:
    return (await h.progress(name)).steps[place]


async def say(h: House, name: str, actor: str, action: Action = Action.APPROVE, **given: Any) -> Answered:
    handle = h.client.get_workflow_handle(promotion_id(h.project, name))
    return await handle.execute_update(Promotion.answer, Answer(action=action, actor=actor, **given))


async def refused(h: House, name: str, actor: str, action: Action = Action.APPROVE, **given: Any) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await say(h, name, actor, action, **given)
    assert isinstance(error.value.cause, ApplicationError)
    return error.value.cause.message


async def events(h: House, name: str) -> int:
    handle = h.client.get_workflow_handle(promotion_id(h.project, name))
    return len([event async for event in handle.fetch_history_events()])


async def test_it_waits_for_days_without_an_event_and_goes_on_when_approved(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        ran = asking(h, count=2)
        name = await asked(h)
        waits = await step_of(h, name)
        assert (waits.status, waits.message) == ("Running", "waits for 2 of 2 approvals of anybody")
        assert waits.question is not None
        assert waits.question.asked_by == "subject:tester"
        before = await events(h, name)
        await time_skipping.sleep(timedelta(days=5))
        assert await events(h, name) == before
        answered = await say(h, name, "email:a@example.com", message="fine")
        assert answered == Answered(step="step-2", waiting="waits for 1 of 2 approvals of anybody")
        assert "has approved step step-2 already" in await refused(h, name, "email:a@example.com")
        metadata = await h.client.get_workflow_handle(promotion_id(h.project, name)).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        assert "| step-2 | ask | Running | waits for 1 of 2 approvals of anybody |" in metadata.current_details
        memo = await h.client.get_workflow_handle(promotion_id(h.project, name)).describe()
        assert await memo.memo_value(WAITS) == "step-2 waits for 1 of 2 approvals of anybody"
        assert (await say(h, name, "email:b@example.com")).waiting == ""
        assert (await h.result(name)).phase == "Succeeded"
        done = await step_of(h, name)
        assert done.started_at is not None
        assert done.finished_at is not None
        assert done.finished_at - done.started_at > timedelta(days=4)
        assert [(entry["user"], entry.get("message")) for entry in done.output["responses"]] == [
            ("email:a@example.com", "fine"),
            ("email:b@example.com", None),
        ]
        assert ran == ["clone", "ask", "push"]
        assert await events(h, name) < before + 40


async def test_a_rejection_is_failed_and_a_rerun_from_there_asks_again(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        ran = asking(h)
        name = await asked(h)
        await say(h, name, "subject:jane", Action.REJECT, message="not before Monday")
        done = await h.result(name)
        assert done.phase == "Failed"
        assert done.message.startswith("rejected by subject:jane at ")
        assert done.message.endswith(": not before Monday")
        assert ran == ["clone", "ask"]
        second = await again(h, name, from_failed_step=True)
        await h.until(lambda: _asks(h, second))
        assert (await step_of(h, second)).responses == []
        await say(h, second, "subject:jane")
        assert (await h.result(second)).phase == "Succeeded"
        assert ran == ["clone", "ask", "clone again", "ask", "push"]


async def test_an_approval_counts_as_done_for_a_rerun_of_what_failed_after_it(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        ran = asking(h)
        work = h.plays["push"]

        def no(request: StepRequest) -> None:
            raise ApplicationError("the branch is protected", type="Failed", non_retryable=True)

        h.plays["push"] = no
        name = await asked(h)
        await say(h, name, "subject:jane")
        assert (await h.result(name)).phase == "Failed"
        h.plays["push"] = work
        second = await again(h, name, from_failed_step=True)
        assert (await h.result(second)).phase == "Succeeded"
        assert ran == ["clone", "ask", "clone again", "push"]
        assert [response.user for response in (await step_of(h, second)).responses] == ["subject:jane"]


async def test_of_two_people_who_answer_at_once_one_counts_and_the_other_is_told(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        asking(h, kind=QuestionKind.INPUT)
        name = await asked(h)
        before = await events(h, name)
        assert await refused(h, name, "subject:a", Action.INPUT, values={"ticket": 7}) == (
            'ticket: 7 is not of type "string"'
        )
        # What is refused leaves nothing behind.
        assert await events(h, name) == before
        outcomes = await asyncio.gather(
            *(say(h, name, f"subject:{who}", Action.INPUT, values={"ticket": who}) for who in "ab"),
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Answered", "WorkflowUpdateFailedError"]
        [lost] = [outcome for outcome in outcomes if isinstance(outcome, WorkflowUpdateFailedError)]
        done = await h.result(name)
        assert done.phase == "Succeeded"
        output = (await step_of(h, name)).output
        assert output["respondedBy"] == f"subject:{output['values']['ticket']}"
        # It may have been over by the time the other one was heard.
        assert "answered already" in str(lost.cause) or "completed" in str(lost.cause)
        history = await dev_client.get_workflow_handle(promotion_id(h.project, name)).fetch_history()
        replayer = Replayer(workflows=[Promotion], workflow_runner=RUNNER, data_converter=data_converter())
        await replayer.replay_workflow(history)


async def test_nobody_answers_in_time_and_it_is_errored(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        ran = asking(h, Responder(claim="groups", value="leads"))
        steps = [{"uses": "ask", "retry": {"timeout": "72h"}, "as": "approve"}, {"uses": "push"}]
        name = await asked(h, steps)
        assert "may not answer step approve: it asks groups leads" in await refused(h, name, "subject:jane")
        await time_skipping.sleep(timedelta(hours=71))
        assert (await step_of(h, name, 0)).status == "Running"
        await time_skipping.sleep(timedelta(hours=2))
        done = await h.result(name)
        assert done.phase == "Errored"
        assert done.message == "timed out after 72h0m0s: it waits for approval of groups leads"
        assert ran == ["ask"]


async def test_a_rejection_can_be_gone_on_from(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        ran = asking(h)
        steps = [{"uses": "ask", "continueOnError": True}, {"uses": "push"}]
        name = await asked(h, steps)
        await say(h, name, "subject:jane", Action.REJECT)
        assert (await h.result(name)).phase == "Succeeded"
        assert ran == ["ask", "push"]
        assert (await step_of(h, name, 0)).status == "Failed"


async def test_a_promotion_that_waits_is_aborted_at_once(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        ran = asking(h, count=2)
        name = await asked(h)
        await say(h, name, "subject:jane")
        await h.abort(name)

        async def aborted() -> bool:
            return (await h.progress(name)).phase == "Aborted"

        await h.until(aborted)
        waits = await step_of(h, name)
        assert (waits.status, len(waits.responses)) == ("Aborted", 1)
        assert ran == ["clone", "ask"]


async def test_a_host_that_is_lost_while_it_waits_costs_a_rebuild_and_no_second_question(
    time_skipping: WorkflowEnvironment,
) -> None:
    async with house(time_skipping) as h:
        ran = asking(h)
        work, lost = h.plays["push"], [True]

        def lost_once(request: StepRequest) -> Any:
            if lost:
                lost.clear()
                raise ApplicationError("not on this host", type=WORKSPACE_LOST, non_retryable=True)
            return work(request)

        h.plays["push"] = lost_once
        name = await asked(h)
        await say(h, name, "subject:jane")
        assert (await h.result(name)).phase == "Succeeded"
        assert ran == ["clone", "ask", "clone again", "push"]


async def test_another_worker_takes_over_what_waits(dev_client: Client) -> None:
    environment = WorkflowEnvironment.from_client(dev_client)
    async with house(environment) as h:
        ran = asking(h)
        name = await asked(h)
    # The first worker is gone; this one has heard of nothing.
    async with Worker(
        dev_client,
        task_queue=h.task_queue,
        workflows=[Promotion],
        activities=[h.step],
        workflow_runner=RUNNER,
        max_cached_workflows=0,
    ):
        await say(h, name, "subject:jane")

        async def over() -> bool:
            return (await h.progress(name)).phase == "Succeeded"

        await h.until(over)
        assert ran == ["clone", "ask", "push"]
