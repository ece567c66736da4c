"""The one place where all metric providers meet: how one is declared, what it is given, what it returns."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

import activities.metrics
from model.analysis import Measurement
from model.base import Json
from model.references import VerificationPhase

if TYPE_CHECKING:
    from activities.mask import Mask
    from activities.outside import Outside

#: Entry point group by which another package brings providers: each names a module that registers them on import.
ENTRY_POINTS = "towpath.metrics"


class MetricError(Exception):
    """A technical fault: the measurement ends in Error, with this text, and is taken again. Secrets are masked."""


@dataclass
class Reading:
    """What a provider read, before the metric's conditions judge it."""

    #: What conditions see as `result`.
    result: Json = None
    #: The value as it is recorded.
    value: str = ""
    #: What is kept beside the value, such as the name of a Job.
    metadata: dict[str, str] = field(default_factory=dict)
    #: Where the provider judges by itself: the phase; conditions are not asked.
    phase: VerificationPhase | None = None
    message: str = ""
    #: What is kept of the metric rather than of one measurement, such as the query as it was sent.
    resolved: dict[str, str] = field(default_factory=dict)
    #: Not finished yet (`phase` is Running): look again then.
    resume_at: datetime | None = None


@dataclass
class MetricContext:
    """What a provider is given besides its configuration."""

    project: str
    stage: str
    #: Name of the AnalysisRun.
    run: str
    metric: str
    #: Which measurement of this metric it is, from 1: with `run` and `metric` it names the same one in every attempt.
    number: int
    now: datetime
    #: The worker's ways to the outside: settings, credentials, Kubernetes.
    outside: Outside
    #: Secrets that a provider gets on its way, such as tokens, are added here.
    mask: Mask
    #: When the run began.
    run_started_at: datetime | None = None
    #: The metric's `interval`.
    interval: timedelta | None = None


Config = TypeVar("Config", bound=BaseModel)
Measure = Callable[[Any, MetricContext], Awaitable[Reading]]
#: Looks at, or ends, a measurement that is in flight.
Resume = Callable[[Any, MetricContext, Measurement], Awaitable[Reading]]


@dataclass(frozen=True)
class Provider:
    """A registered provider."""

    name: str
    config: type[BaseModel]
    measure: Measure
    resume: Resume | None = None
    terminate: Resume | None = None

    def read_config(self, config: Json) -> BaseModel:
        """The provider's configuration. Raises MetricError that names the field, never its value."""
        try:
            return self.config.model_validate(config)
        except ValidationError as error:
            problems = (
                f"{'.'.join(str(part) for part in problem['loc']) or 'configuration'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise MetricError(f"{self.name}: {'; '.join(problems)}") from None


#: Key of a measurement's metadata under which logs are kept; what is there may be longer than other metadata.
LOGS = "logs"

#: All providers this worker knows, by their name in manifests.
PROVIDERS: dict[str, Provider] = {}


def provider(
    name: str, *, config: type[Config], resume: Resume | None = None, terminate: Resume | None = None
) -> Callable[[Callable[[Config, MetricContext], Awaitable[Reading]]], Measure]:
    """Register an async function `(config, context) -> Reading` as the provider `name`.

    A provider whose measurements take long returns a Reading in phase Running, and brings `resume`, which looks at
    such a measurement again, and `terminate`, which ends it, and is called even where `measure` was cut short: what it
    started must be found again by `context.run`, `context.metric` and `context.number`. A provider of another package
    has a slash in its name, as manifests name it: `plugin: {acme/oracle: {…}}`.
    Raises ValueError when the name is taken.
    """

    def register(measure: Callable[[Config, MetricContext], Awaitable[Reading]]) -> Measure:
        if name in PROVIDERS:
            raise ValueError(f"metric provider {name} is registered already")
        PROVIDERS[name] = Provider(name, config, measure, resume, terminate)
        return measure

    return register


def load_providers() -> None:
    """Import every provider: those of this package, then those that installed packages bring.

    Raises ImportError, or ValueError where two providers have one name.
    """
    for module in pkgutil.iter_modules(activities.metrics.__path__):
        importlib.import_module(f"{activities.metrics.__name__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()


def find_provider(name: str) -> Provider:
    """The provider of that name. Raises MetricError when this worker has none."""
    found = PROVIDERS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, PROVIDERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(PROVIDERS))}"
        raise MetricError(f"metric provider {name!r} is not supported{hint}")
    return found
