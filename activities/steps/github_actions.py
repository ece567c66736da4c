"""`gha-dispatch-workflow` and `gha-wait-for-workflow`: GitHub Actions as steps of a promotion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal

from pydantic import Field

from activities.git.errors import TransportRefused
from activities.pull_requests.api import HostError
from activities.pull_requests.hosts import host_api
from activities.steps.git_remote import remote_of
from activities.steps.pull_requests import CLOCK_SKEW, LEAST_POLL_INTERVAL, errored
from activities.steps.registry import NotYet, StepConfig, StepContext, StepErrored, StepFailed, StepOutput, step
from activities.workflow_runs import WorkflowRun, WorkflowRuns
from activities.yaml_edit import number
from model.base import Duration
from model.steps import Effect
from model.urls import normalize_git

#: Seconds between two looks for a run that was dispatched.
LOOK_INTERVAL = 2.0
#: Kargo's: the interval of its controller.
WAIT_INTERVAL = timedelta(minutes=5)

Conclusion = Literal[
    "success", "failure", "cancelled", "skipped", "timed_out", "action_required", "neutral", "stale"
]  # fmt: skip


class ActionsConfig(StepConfig):
    """What both steps share: where the repository is."""

    #: Address of the repository at GitHub, or at a GitHub Enterprise of one's own.
    repo_url: str = Field(alias="repoURL", min_length=1)
    #: Accept any TLS certificate of GitHub's API.
    insecure_skip_tls_verify: bool | None = Field(default=None, alias="insecureSkipTLSVerify")


class DispatchWorkflowConfig(ActionsConfig):
    """Kargo's docs: gha-dispatch-workflow, as of 1.9."""

    #: Name of the workflow's file in `.github/workflows`, such as `deploy.yml`.
    workflow_file: str = Field(pattern=r"^[^/\s]+$")
    #: The branch or tag to run it on.
    ref: str = Field(min_length=1)
    #: The workflow's inputs: texts, numbers or bools.
    inputs: dict[str, str | int | float | bool] = Field(default_factory=dict)
    #: Seconds to wait until GitHub has made the run.
    timeout: int = Field(default=60, ge=1, le=300)


class DispatchWorkflowOutput(StepOutput):
    """What was dispatched."""

    #: Id of the run.
    run_id: int = Field(alias="runID")


class WaitForWorkflowConfig(ActionsConfig):
    """Kargo's docs: gha-wait-for-workflow, as of 1.9."""

    #: Id of the run, such as `outputs['dispatch'].runID`.
    run_id: int = Field(alias="runID", ge=1)
    #: The conclusion that the run must come to; with another one the step is Failed. Not given: any will do.
    expected_conclusion: Conclusion | None = None
    #: Pause between two looks: at least 10s, default 5m.
    poll_interval: Duration | None = None


class WaitForWorkflowOutput(StepOutput):
    """How the run ended."""

    #: success, failure, cancelled, skipped, timed_out, action_required, neutral or stale.
    conclusion: str


@step("gha-dispatch-workflow", config=DispatchWorkflowConfig, output=DispatchWorkflowOutput, effect=Effect.EXTERNAL)
async def gha_dispatch_workflow(config: DispatchWorkflowConfig, context: StepContext) -> DispatchWorkflowOutput:
    """Start a GitHub Actions workflow that has the trigger `workflow_dispatch`, and tell its run's id.

    Where GitHub doesn't tell the id (GitHub Enterprise Server, so far), the run is found as the first new one of that
    workflow on that ref. An attempt after a lost one takes the run that was dispatched since this step began, if there
    is one. Where there are several, the one whose name holds the promotion's counts (`run-name` in the workflow can see
    to that, with an input); where that doesn't tell either, the step is Errored.
    """
    inputs = {name: _input(value) for name, value in config.inputs.items()}
    turn = ("workflow-run", normalize_git(config.repo_url), config.workflow_file, config.ref)
    async with context.outside.git.turn(*turn), _opened(config, context) as runs:
        if context.repeated:
            lost = await _awaited(runs, config, context, known=0)
            if lost is not None:
                return DispatchWorkflowOutput(run_id=lost.id)
        before = await runs.dispatched(config.workflow_file, config.ref)
        known = before[0].id if before else 0
        unknown: HostError | None = None
        try:
            run = await runs.dispatch(config.workflow_file, config.ref, inputs)
            if run is not None:
                return DispatchWorkflowOutput(run_id=run)
        except HostError as error:
            if 0 < error.status < 500:
                raise
            # It may have been dispatched all the same.
            unknown = error
        found = await _awaited(runs, config, context, known=known)
        if found is not None:
            return DispatchWorkflowOutput(run_id=found.id)
        if unknown is not None:
            raise StepErrored(f"{unknown}; no run of it appeared within {config.timeout} s")
        raise StepErrored(
            f"{config.workflow_file} was dispatched on {config.ref}, but no run of it appeared within "
            f"{config.timeout} s: look for it at GitHub, or give it more time by timeout",
            final=True,
        )


async def _awaited(
    runs: WorkflowRuns, config: DispatchWorkflowConfig, context: StepContext, *, known: int
) -> WorkflowRun | None:
    """The run that this step dispatched: later than `known`, else since the step began. None if none appears."""
    end = time.monotonic() + config.timeout
    while True:
        dispatched = await runs.dispatched(config.workflow_file, config.ref)
        earliest = context.started_at - CLOCK_SKEW
        new = [
            run
            for run in dispatched
            if (run.id > known if known else run.created_at is not None and run.created_at >= earliest)
        ]
        named = [run for run in new if context.promotion in run.title] or new
        if len(named) > 1:
            raise StepErrored(
                f"{len(named)} runs of {config.workflow_file} were dispatched on {config.ref} meanwhile "
                f"({', '.join(str(run.id) for run in named)}), and none is known to be this promotion's: put "
                "ctx.promotion into an input that its run-name shows",
                final=True,
            )
        if named:
            return named[0]
        left = end - time.monotonic()
        if left <= 0:
            return None
        await asyncio.sleep(min(LOOK_INTERVAL, left))


def _input(value: str | float) -> str:
    """An input as GitHub's own page sends it: as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number(value)


@step(
    "gha-wait-for-workflow",
    config=WaitForWorkflowConfig,
    output=WaitForWorkflowOutput,
    effect=Effect.PURE,
    polls=True,
    poll_interval=WAIT_INTERVAL,
)
async def gha_wait_for_workflow(config: WaitForWorkflowConfig, context: StepContext) -> WaitForWorkflowOutput:
    """Wait until a run of a GitHub Actions workflow is over. Failed where it ended otherwise than expected."""
    async with _opened(config, context) as runs:
        run = await runs.get(config.run_id)
    if run.status != "completed":
        after = max(config.poll_interval or WAIT_INTERVAL, LEAST_POLL_INTERVAL)
        raise NotYet(f"workflow run {run.id} is {run.status}: {run.url}", after=after)
    output = WaitForWorkflowOutput(conclusion=run.conclusion)
    if config.expected_conclusion and run.conclusion != config.expected_conclusion:
        raise StepFailed(
            f"workflow run {run.id} ended as {run.conclusion}, not as {config.expected_conclusion}: {run.url}",
            output.model_dump(),
        )
    return output


@asynccontextmanager
async def _opened(config: ActionsConfig, context: StepContext) -> AsyncIterator[WorkflowRuns]:
    """The runs of the repository's workflows. What goes wrong with GitHub is an error of the step."""
    skip = bool(config.insecure_skip_tls_verify)
    try:
        remote = await remote_of(context, config.repo_url, insecure_skip_tls_verify=skip)
        async with host_api(remote, context.outside.settings, "github") as (_, api, repository):
            yield WorkflowRuns.of(api, repository)
    except TransportRefused as error:
        raise StepErrored(str(error), final=True) from None
    except HostError as error:
        raise errored(error) from None
