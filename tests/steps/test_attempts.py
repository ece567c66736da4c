"""What one attempt at a step leaves for the next, carried by a real Temporal server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.outside import Outside
from activities.steps import registry
from activities.steps.catalog import all_activities
from activities.steps.registry import NotYet, StepConfig, StepContext, StepErrored, step
from model.references import FreightCollection, FreightOrigin, FreightReference
from model.steps import Effect, PlannedStep, PromotionContext, StepFailure, StepRequest, StepResult
from tests.steps.bench import STARTED


class NoConfig(StepConfig):
    """Nothing to set."""


@workflow.defn
class OneStep:
    """Runs one step as a Promotion does."""

    @workflow.run
    async def run(self, request: StepRequest) -> StepResult:
        result: StepResult = await workflow.execute_activity(
            request.step.kind.name,
            request,
            result_type=StepResult,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(maximum_attempts=0),
        )
        return result


@pytest.fixture
def script() -> Iterator[list[Exception | None]]:
    """What the step "scripted" does, attempt by attempt."""
    script: list[Exception | None] = []

    async def scripted(config: NoConfig, context: StepContext) -> dict[str, Any]:
        outcome = script.pop(0)
        if outcome is not None:
            raise outcome
        return {"repeated": context.repeated}

    step("scripted", config=NoConfig, effect=Effect.EXTERNAL, polls=True, error_threshold=2)(scripted)
    yield script
    del registry.STEPS["scripted"]


async def run(environment: WorkflowEnvironment, outside: Outside, condition: str = "") -> StepResult:
    freight = FreightReference(name="f", origin=FreightOrigin(name="main"))
    request = StepRequest(
        context=PromotionContext(
            project="guestbook", stage="dev", promotion="p", freight=freight, collection=FreightCollection()
        ),
        workspace="p.1",
        step=PlannedStep(alias="step-1", kind=registry.STEPS["scripted"].kind, condition=condition),
        index=0,
        started_at=STARTED,
        claim=True,
    )
    async with Worker(
        environment.client,
        task_queue="towpath",
        workflows=[OneStep],
        activities=all_activities(outside),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        result: StepResult = await environment.client.execute_workflow(
            OneStep.run, request, id="one", task_queue="towpath"
        )
        return result


async def test_errors_are_counted_in_a_row_across_attempts(
    time_skipping: WorkflowEnvironment, outside: Outside, script: list[Exception | None]
) -> None:
    script += [StepErrored("one"), NotYet("wait"), StepErrored("two"), NotYet("wait"), StepErrored("three"), None]
    result = await run(time_skipping, outside, condition="${{ success() }}")
    assert result.output == {"repeated": False}
    assert result.error_count == 1
    assert script == []


async def test_the_threshold_ends_it(
    time_skipping: WorkflowEnvironment, outside: Outside, script: list[Exception | None]
) -> None:
    script += [NotYet("wait"), StepErrored("one"), StepErrored("two", {"a": 1}), None]
    with pytest.raises(WorkflowFailureError) as failed:
        await run(time_skipping, outside)
    assert isinstance(failed.value.cause, ActivityError)
    cause = failed.value.cause.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "Errored"
    failure = StepFailure.model_validate(cause.details[0])
    assert (failure.message, failure.output, failure.error_count) == ("two", {"a": 1}, 2)
    assert len(script) == 1
