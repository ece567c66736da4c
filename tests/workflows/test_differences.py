"""Where Towpath differs from Kargo on purpose, as far as no other test shows it."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from model.steps import NOT_YET, Effect, StepKind, StepRequest
from tests.workflows.house import House, house, project, stage, warehouse


async def test_a_step_that_waits_ends_at_its_timeout(dev_client: Client) -> None:
    # On a real server: where time is skipped, it isn't while an activity waits for its next attempt.
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:

        def never(request: StepRequest) -> None:
            raise ApplicationError("not there yet", type=NOT_YET, next_retry_delay=timedelta(milliseconds=100))

        h.kinds["wait"] = StepKind(name="wait", effect=Effect.PURE, polls=True)
        h.plays["wait"] = never
        steps = [{"uses": "wait", "retry": {"timeout": "1s"}}, {"uses": "work"}]
        await h.apply(project(h.project), warehouse(), stage("dev", steps=steps))
        done = await h.promote("dev", (await h.discover("1.0.0")).name)
        assert (done.phase, done.message) == ("Errored", "timed out after 1s")


async def test_the_same_freight_promoted_again_is_verified_again(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        await h.apply(project(h.project), warehouse(), stage("dev"))
        freight = await h.discover("1.0.0")
        for count in (1, 2):
            await h.promote("dev", freight.name)
            await h.until(lambda count=count: _verifications(h, count))


async def _verifications(h: House, count: int) -> bool:
    """Whether the Stage's history holds so many entries, each with a successful verification of its own."""
    history = (await h.stage("dev"))["status"]["freightHistory"]
    verifications = [info for entry in history for info in entry.get("verificationHistory", [])]
    assert len({info["id"] for info in verifications}) == len(verifications)
    return len(history) == count and [info["phase"] for info in verifications] == ["Successful"] * count
