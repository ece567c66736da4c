"""The one place where all steps meet: how a step is declared, what it is given, how it says no."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict

from model.base import Json, field_name
from model.questions import Question
from model.references import FreightCollection, FreightReference, HealthCheckStep, RequestedOrigin
from model.steps import Effect, StepKind

if TYPE_CHECKING:
    from activities.outside import Outside


class StepConfig(BaseModel):
    """Base of step configurations: Kargo's field names, unknown fields refused, no silent conversions."""

    model_config = ConfigDict(extra="forbid", alias_generator=field_name, populate_by_name=True, strict=True)


class StepOutput(BaseModel):
    """Base of step outputs: Kargo's field names."""

    model_config = ConfigDict(alias_generator=field_name, populate_by_name=True)


class StepFailed(Exception):
    """A clear no: the step is Failed, and not tried again."""

    def __init__(self, message: str, output: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.output = output


class StepErrored(Exception):
    """A technical fault: counts against retry.errorThreshold, then the step is Errored.

    `final=True`: trying again can't help.
    """

    def __init__(self, message: str, output: Mapping[str, Json] | None = None, *, final: bool = False) -> None:
        super().__init__(message)
        self.output = output
        self.final = final


class StepSkipped(Exception):
    """There was nothing to do: the step is Skipped, its output counts all the same."""

    def __init__(self, message: str, output: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.output = output


class NotYet(Exception):
    """What the step waits for isn't there yet: asked again after `after`, or the kind's poll interval."""

    def __init__(
        self, message: str, output: Mapping[str, Json] | None = None, *, after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.output = output
        self.after = after


class Asks(Exception):
    """The step asks people: it is Running until their answers, which the promotion takes, have decided it.

    For steps that are registered with `asks`. Nothing waits on the worker.
    """

    def __init__(self, question: Question) -> None:
        super().__init__(question.kind)
        self.question = question


@dataclass
class StepContext:
    """What a step is given besides its config."""

    project: str
    stage: str
    promotion: str
    alias: str
    actor: str
    #: The promotion's directory; every path of a config goes through `path()`.
    workspace: Path
    freight: FreightReference
    collection: FreightCollection
    origins: list[RequestedOrigin]
    #: When the step started first: the date of what it makes, also in a rebuild.
    started_at: datetime
    #: The worker's ways to the outside: settings, credentials, Git mirrors, HTTP, Kubernetes.
    outside: Outside
    #: The output of the earlier run, when the workspace is rebuilt.
    recorded: Mapping[str, Json] | None = None
    #: An earlier attempt may have acted without its outcome being known: look before acting.
    repeated: bool = False
    #: The workspace is thrown away: nothing outside of it may change. Steps with the effect `external` aren't run then.
    preview: bool = False
    health_checks: list[HealthCheckStep] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """A path of a step's config, re-rooted in the workspace (`/out` and `../out` are `<workspace>/out`).

        Raises StepFailed where it would lead out of the workspace through a symbolic link.
        """
        from activities.workspace import caged

        return caged(self.workspace, name)

    def warn(self, sentence: str) -> None:
        """Show the user a sentence beside the step's outcome."""
        self.warnings.append(sentence)

    def register_health_check(self, check: HealthCheckStep) -> None:
        """Have the Stage run this check for as long as the promoted Freight is current there."""
        self.health_checks.append(check)


Config = TypeVar("Config", bound=StepConfig)
StepFunction = Callable[[Any, StepContext], Awaitable[StepOutput | Mapping[str, Json] | None]]


@dataclass(frozen=True)
class Step:
    """A registered step."""

    kind: StepKind
    config: type[StepConfig]
    output: type[StepOutput] | None
    run: StepFunction

    @property
    def name(self) -> str:
        return self.kind.name


#: All steps this worker knows, by name.
STEPS: dict[str, Step] = {}


def step(
    name: str,
    *,
    config: type[Config],
    effect: Effect,
    output: type[StepOutput] | None = None,
    polls: bool = False,
    asks: bool = False,
    restores: bool = False,
    timeout: timedelta | None = None,
    error_threshold: int = 1,
    poll_interval: timedelta = timedelta(minutes=5),
) -> Callable[
    [Callable[[Config, StepContext], Awaitable[StepOutput | Mapping[str, Json] | None]]],
    Callable[[Config, StepContext], Awaitable[StepOutput | Mapping[str, Json] | None]],
]:
    """Register an async function `(config, context) -> output` as the step `name`.

    `effect` says whether it may run twice (model.steps.Effect). `polls` lets it raise NotYet,
    `asks` lets it raise Asks.
    `restores`: an external step that changes the workspace too; with `context.recorded` it does that alone.
    Raises ValueError when the name is taken.
    """

    def register(
        run: Callable[[Config, StepContext], Awaitable[StepOutput | Mapping[str, Json] | None]],
    ) -> Callable[[Config, StepContext], Awaitable[StepOutput | Mapping[str, Json] | None]]:
        if name in STEPS:
            raise ValueError(f"step {name} is registered already")
        kind = StepKind(
            name=name,
            effect=effect,
            polls=polls,
            asks=asks,
            restores=restores,
            timeout=timeout,
            error_threshold=error_threshold,
            poll_interval=poll_interval,
        )
        STEPS[name] = Step(kind=kind, config=config, output=output, run=run)
        return run

    return register
