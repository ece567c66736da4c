"""Makes a Temporal activity of every registered step: from StepRequest to StepResult, or to an application error.

Error types and details are those of model.steps; the rules of steps are Kargo's (KARGO: pkg/promotion/evaluator.go,
local_orchestrator.go), with errors counted consecutively, as its docs say.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pydantic_core
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.credentials import CredentialUnusable
from activities.git.errors import GitError
from activities.heartbeats import heartbeats
from activities.mask import Mask
from activities.outside import Outside
from activities.project_state import project_status
from activities.steps.check import problems_of
from activities.steps.data import WorkerData
from activities.steps.registry import Asks, NotYet, Step, StepConfig, StepContext, StepErrored, StepFailed, StepSkipped
from expressions.environment import evaluate_condition, evaluate_config, step_environment
from model.base import Json
from model.questions import Question
from model.steps import (
    ERRORED,
    FAILED,
    LONGEST_CONFIG,
    NOT_YET,
    WORKSPACE_LOST,
    Effect,
    StepFailure,
    StepRequest,
    StepResult,
    StepStatus,
)

logger = logging.getLogger(__name__)

#: Seconds between two signs of life.
HEARTBEAT = 1.0

#: Pause after the first error of a row; doubled with each further one.
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=2)


class Progress(BaseModel):
    """What one attempt tells the next, in the heartbeat's details."""

    #: Errors in a row, so far.
    errors: int = 0
    #: `if` was found true: it isn't asked again.
    begun: bool = False
    #: Number of the last attempt that came to its end. One that is lost can't say so: nobody knows what it did.
    #: The other way round, saying that the step is at work, would not do: heartbeats are held back for seconds.
    ended: int = 0


@dataclass
class Outcome:
    """How an attempt ended, before secrets are masked."""

    status: StepStatus
    message: str = ""
    output: Mapping[str, Json] | None = None
    #: "Not there yet": ask again after this time.
    again: timedelta | None = None
    #: Trying again can't help.
    final: bool = False
    #: What is asked of people.
    question: Question | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class Attempt:
    """One attempt at one step."""

    step: Step
    request: StepRequest
    outside: Outside
    slots: asyncio.Semaphore
    mask: Mask = field(default_factory=Mask)
    progress: Progress = field(default_factory=Progress)
    warnings: list[str] = field(default_factory=list)
    context: StepContext | None = None
    #: Evaluated; may hold secrets.
    config: Json = None

    async def run(self) -> StepResult:
        """Run the step; returns when it Succeeded or was Skipped.

        Raises ApplicationError of type Failed, Errored, NotYet or WorkspaceLost.
        """
        info = activity.info()
        if info.heartbeat_details:
            self.progress = Progress.model_validate(info.heartbeat_details[0])
        lost_before = self.progress.ended < info.attempt - 1
        with self.mask.collecting():
            async with heartbeats(self._heartbeat, HEARTBEAT), self.slots:
                outcome = await self._attempt(repeated=self.request.repeated or lost_before)
        if outcome.status in (StepStatus.FAILED, StepStatus.ERRORED) and await self._lost_its_workspace():
            raise self._workspace_lost()
        return self._conclude(outcome)

    async def once(self) -> Outcome:
        """How a first attempt ends, as it is: for a preview, which masks what it shows."""
        outcome = await self._attempt(repeated=False)
        outcome.warnings = self.warnings
        return outcome

    async def _attempt(self, *, repeated: bool) -> Outcome:
        try:
            return await self._evaluated_and_run(repeated=repeated)
        except StepSkipped as skipped:
            return Outcome(StepStatus.SKIPPED, str(skipped), skipped.output)
        except StepFailed as failed:
            return Outcome(StepStatus.FAILED, str(failed), failed.output, final=True)
        except Asks as asking:
            if not self.step.kind.asks:
                return Outcome(StepStatus.ERRORED, "it asks people, but isn't registered with asks=True", final=True)
            return Outcome(StepStatus.RUNNING, question=asking.question)
        except NotYet as waiting:
            after = self.step.kind.poll_interval if waiting.after is None else waiting.after
            return Outcome(StepStatus.RUNNING, str(waiting), waiting.output, again=after)
        except StepErrored as errored:
            cause = errored.__cause__
            full = f"; {_disk_message(cause)}" if isinstance(cause, OSError) and _is_full(cause) else ""
            return Outcome(StepStatus.ERRORED, f"{errored}{full}", errored.output, final=errored.final)
        except GitError as error:
            return Outcome(StepStatus.ERRORED, str(error))
        except CredentialUnusable as error:
            return Outcome(StepStatus.ERRORED, str(error), final=not error.passing)
        except OSError as error:
            return Outcome(StepStatus.ERRORED, _disk_message(error))
        except ApplicationError:
            raise
        except Exception as error:
            # A step of a third party may raise anything, and none of it may pass by the mask.
            logger.error("%s: unexpected error\n%s", self._title(), self.mask.text(traceback.format_exc()))
            return Outcome(StepStatus.ERRORED, f"unexpected error: {type(error).__name__}: {error}")

    async def _evaluated_and_run(self, *, repeated: bool) -> Outcome:
        request, step = self.request, self.step
        data = WorkerData(request.context.project, self.outside)
        # Credentials may be read from disk, and expressions take their time: not on the event loop.
        status = project_status(request.context.project, self.outside)
        environment = step_environment(request, data, self.outside.settings.ui_base_url, status=status)
        if not (self.progress.begun or request.rebuild):
            try:
                applies = await asyncio.to_thread(self._applies, environment)
            except Exception as error:
                raise StepErrored(f"if: {error}", final=True) from None
            if not applies:
                why = "its condition is false" if request.step.condition else "an earlier step failed"
                return Outcome(StepStatus.SKIPPED, why)
        self._heartbeat(begun=True)
        try:
            config, warnings = await asyncio.to_thread(evaluate_config, request.step.config, environment)
        except Exception as error:
            raise StepErrored(f"config: {error}", final=True) from None
        self.warnings.extend(warnings)
        self.config = config
        settings = self._validated(config)
        workspace = await self._workspace()
        self.context = context = StepContext(
            project=request.context.project,
            stage=request.context.stage,
            promotion=request.context.promotion,
            alias=request.step.alias,
            actor=request.context.actor,
            workspace=workspace,
            freight=request.context.freight,
            collection=request.context.collection,
            origins=request.context.origins,
            started_at=request.started_at,
            outside=self.outside,
            recorded=request.recorded,
            repeated=repeated,
            preview=request.preview,
            warnings=self.warnings,
        )
        output = await step.run(settings, context)
        return Outcome(StepStatus.SUCCEEDED, output=_as_json(output))

    def _applies(self, environment: Any) -> bool:
        """Whether the step is to run: its `if`, else that no earlier step failed."""
        if not self.request.step.condition:
            return not self.request.failed
        return evaluate_condition(self.request.step.condition, environment)

    def _validated(self, config: Json) -> StepConfig:
        """The config as its model. Raises StepFailed: a config that is wrong is a clear no, as in Kargo."""
        problems = problems_of(self.step, {} if config is None else config, templates=False)
        if problems:
            raise StepFailed(f"the config of {self.step.name} is not valid: {'; '.join(problems)}")
        return self.step.config.model_validate_json(json.dumps({} if config is None else config))

    async def _workspace(self) -> Any:
        workspaces, name = self.outside.workspaces, self.request.workspace
        if self.request.claim:
            return await asyncio.to_thread(workspaces.claim, name)
        found = await asyncio.to_thread(workspaces.locate, name)
        if found is None and self.step.kind.effect is Effect.PURE:
            return workspaces.root / name / "files"
        if found is None:
            raise self._workspace_lost()
        return found

    async def _lost_its_workspace(self) -> bool:
        """Whether the workspace vanished below a step that works in it: then its outcome says nothing."""
        kind = self.step.kind
        if self.context is None or not (kind.effect is Effect.WORKSPACE or kind.restores):
            return False
        return not await asyncio.to_thread(self.context.workspace.is_dir)

    def _workspace_lost(self) -> ApplicationError:
        return ApplicationError(
            f"the workspace of promotion {self.request.context.promotion} is not on this host",
            type=WORKSPACE_LOST,
            non_retryable=True,
            category=ApplicationErrorCategory.BENIGN,
        )

    def _conclude(self, outcome: Outcome) -> StepResult:
        output = None if outcome.output is None else self.mask.json(dict(outcome.output))
        message = self.mask.text(outcome.message)
        size = len(pydantic_core.to_json(output))
        limit = self.outside.settings.step_output_limit
        if size > limit:
            message = f"its output has {size} bytes of JSON; at most {limit} are allowed (TOWPATH_STEP_OUTPUT_LIMIT)"
            outcome = Outcome(StepStatus.ERRORED, final=True)
            output = None
        warnings = [self.mask.text(warning) for warning in self.warnings]
        queue, config = self.outside.host_queue, self._shown_config()
        if outcome.question is not None:
            return StepResult(
                status=outcome.status,
                config=config,
                warnings=warnings,
                queue=queue,
                error_count=self.progress.errors,
                question=self._masked(outcome.question),
            )
        if outcome.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED):
            checks = self.context.health_checks if self.context else []
            return StepResult(
                status=outcome.status,
                output=output,
                config=config,
                message=message,
                health_checks=[check.model_copy(update={"config": self.mask.json(check.config)}) for check in checks],
                warnings=warnings,
                queue=queue,
                error_count=self.progress.errors,
            )
        if outcome.status is StepStatus.RUNNING:
            self.progress.errors = 0
        else:
            self.progress.errors += 1
        # The failure takes it along to the server, however short ago the last one was.
        self._heartbeat(ended=activity.info().attempt)
        failure = StepFailure(
            message=message,
            output=output,
            config=config,
            warnings=warnings,
            error_count=self.progress.errors,
            queue=queue,
        )
        details = failure.model_dump(mode="json", by_alias=True)
        # `from None`: the cause would carry its text past the mask.
        if outcome.again is not None:
            raise ApplicationError(
                message,
                details,
                type=NOT_YET,
                next_retry_delay=outcome.again,
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        threshold = self.request.step.effective_threshold()
        final = outcome.final or self.progress.errors >= threshold
        raise ApplicationError(
            message,
            details,
            type=FAILED if outcome.status is StepStatus.FAILED else ERRORED,
            non_retryable=final,
            next_retry_delay=None if final else pause_after(self.progress.errors),
        ) from None

    def _masked(self, question: Question) -> Question:
        """The question without secrets in what its config says."""
        said = {
            "display": self.mask.text(question.display),
            "input_schema": self.mask.json(question.input_schema),
            "responders": [rule.model_copy(update=self.mask.json(rule.model_dump())) for rule in question.responders],
        }
        return question.model_copy(update=said)

    def _shown_config(self) -> Json:
        """The config for people to read: without secrets, and None where it is too long to keep in histories."""
        shown = self.mask.json(self.config)
        return shown if len(pydantic_core.to_json(shown)) <= LONGEST_CONFIG else None

    def _heartbeat(self, **changes: int) -> None:
        self.progress = self.progress.model_copy(update=changes)
        activity.heartbeat(self.progress.model_dump(mode="json"))

    def _title(self) -> str:
        context = self.request.context
        return f"{context.project}/{context.promotion} step {self.request.step.alias} ({self.step.name})"


def pause_after(errors: int) -> timedelta:
    """How long to wait after so many errors in a row, before the next attempt."""
    doublings = max(0, min(errors - 1, 16))
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def step_activity(step: Step, outside: Outside, slots: asyncio.Semaphore) -> Callable[..., Any]:
    """The Temporal activity of a step, named like it."""

    @activity.defn(name=step.name)
    async def run(request: StepRequest) -> StepResult:
        return await Attempt(step, request, outside, slots).run()

    return run


def _as_json(output: BaseModel | Mapping[str, Json] | None) -> dict[str, Json] | None:
    if output is None:
        return None
    if isinstance(output, BaseModel):
        return output.model_dump(mode="json", by_alias=True, exclude_none=True)
    value: dict[str, Json] = pydantic_core.to_jsonable_python(dict(output))
    return value


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _disk_message(error: OSError) -> str:
    if _is_full(error):
        return f"the disk of worker host {socket.gethostname()} is full; free space there, then promote again"
    return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
