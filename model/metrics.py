"""When and how often a metric of an AnalysisTemplate is measured, and the limits it is judged by.

Sources: Argo Rollouts docs/features/analysis.md, utils/analysis/factory.go (validation), analysis_types.go (fields).
"""

from __future__ import annotations

from datetime import timedelta

import re2
from pydantic import Field

from model.base import Duration, Json, Message, parse_duration

#: Measurements kept for each metric where no measurementRetention says otherwise.
DEFAULT_RETENTION = 10
#: Errors in a row that a metric survives where it does not say itself.
DEFAULT_CONSECUTIVE_ERROR_LIMIT = 4

#: Fields of a metric that say when and how it is judged; `provider` stands beside them.
METRIC_FIELDS = frozenset(
    {
        "name",
        "interval",
        "initialDelay",
        "count",
        "successCondition",
        "failureCondition",
        "failureLimit",
        "inconclusiveLimit",
        "consecutiveErrorLimit",
        "consecutiveSuccessLimit",
        "provider",
    }
)


class InvalidAnalysis(ValueError):
    """An analysis that can't be run: the run ends in Error before anything is measured. The text is for the user."""


class MetricSchedule(Message):
    """One metric with its arguments resolved, apart from what its provider is asked. Numbers are whole."""

    name: str
    #: Kind of provider: `web`, `prometheus`, `job` …
    provider: str = ""
    #: Its provider starts what must be ended when the run ends early.
    lasting: bool = False
    #: Between the end of a measurement and the start of the next. None: measured once.
    interval: Duration | None = None
    #: Between the start of the run and the first measurement.
    initial_delay: Duration = timedelta(0)
    #: As written; see `effective_count`.
    count: int = 0
    #: Negative: failures never fail the metric.
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = DEFAULT_CONSECUTIVE_ERROR_LIMIT
    #: 0: successes in a row don't end the metric.
    consecutive_success_limit: int = 0
    #: Measured and shown, but without influence on the run.
    dry_run: bool = False
    #: How many of the last measurements are kept.
    retention: int = Field(default=DEFAULT_RETENTION, ge=1)

    @property
    def effective_count(self) -> int | None:
        """How many measurements complete the metric; None: it runs until a limit or the end of the run."""
        if self.count:
            return self.count
        return 1 if self.interval is None else None


def _whole(metric: dict[str, Json], field: str, default: int = 0) -> int:
    value = metric.get(field)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InvalidAnalysis(f"{field} must be a whole number, not {value!r}")
    try:
        return int(value)
    except ValueError:
        raise InvalidAnalysis(f"{field} must be a whole number, not {value!r}") from None


def _duration(metric: dict[str, Json], field: str) -> timedelta | None:
    value = metric.get(field)
    if value is None or value == "":
        return None
    try:
        return parse_duration(str(value))
    except ValueError as error:
        raise InvalidAnalysis(f"{field}: {error}") from None


def provider_of(metric: dict[str, Json]) -> tuple[str, Json]:
    """Kind and configuration of a metric's provider; of a plugin, the plugin's name.

    Raises InvalidAnalysis unless there is exactly one.
    """
    providers = metric.get("provider")
    if not isinstance(providers, dict) or not providers:
        raise InvalidAnalysis("no provider specified")
    named = [(kind, config) for kind, config in providers.items() if config is not None]
    if not named:
        raise InvalidAnalysis("no provider specified")
    if len(named) > 1:
        kinds = ", ".join(kind for kind, _ in named)
        raise InvalidAnalysis(f"multiple providers specified ({kinds}): a metric has exactly one")
    kind, config = named[0]
    if kind != "plugin":
        return kind, config
    if not isinstance(config, dict) or len(config) != 1:
        raise InvalidAnalysis(
            "plugin must name exactly one provider, with its configuration: plugin: {acme/oracle: {…}}"
        )
    name = next(iter(config))
    if "/" not in name:
        raise InvalidAnalysis(f"plugin {name!r}: the name of a plugin has a slash, like acme/oracle")
    return name, config[name]


def read_metric(metric: dict[str, Json]) -> MetricSchedule:
    """Read a metric whose arguments are resolved, by Rollouts' rules. Raises InvalidAnalysis with what is wrong."""
    if unknown := sorted(set(metric) - METRIC_FIELDS):
        raise InvalidAnalysis(f"unknown field {unknown[0]!r}")
    count = _whole(metric, "count")
    failure_limit = _whole(metric, "failureLimit")
    inconclusive_limit = _whole(metric, "inconclusiveLimit")
    error_limit = _whole(metric, "consecutiveErrorLimit", DEFAULT_CONSECUTIVE_ERROR_LIMIT)
    success_limit = _whole(metric, "consecutiveSuccessLimit")
    if count < 0:
        raise InvalidAnalysis("count must be >= 0")
    if success_limit < 0:
        raise InvalidAnalysis("consecutiveSuccessLimit must be >= 0")
    if failure_limit < -1:
        raise InvalidAnalysis("failureLimit must be >= 0, or -1 to switch it off")
    if success_limit == 0 and failure_limit == -1:
        raise InvalidAnalysis("failureLimit and consecutiveSuccessLimit can't both be switched off")
    if inconclusive_limit < 0:
        raise InvalidAnalysis("inconclusiveLimit must be >= 0")
    if error_limit < 0:
        raise InvalidAnalysis("consecutiveErrorLimit must be >= 0")
    if count > 0:
        needed = max(failure_limit, 0) + success_limit
        if count < needed:
            raise InvalidAnalysis(
                f"count ({count}) must be >= failureLimit + consecutiveSuccessLimit "
                f"({max(failure_limit, 0)} + {success_limit})"
            )
        if count < inconclusive_limit:
            raise InvalidAnalysis(f"count ({count}) must be >= inconclusiveLimit ({inconclusive_limit})")
    interval = _duration(metric, "interval")
    if count > 1 and interval is None:
        raise InvalidAnalysis("interval must be given when count > 1")
    initial_delay = _duration(metric, "initialDelay")
    kind, _ = provider_of(metric)
    return MetricSchedule(
        name=str(metric.get("name") or ""),
        provider=kind,
        interval=interval,
        initial_delay=initial_delay or timedelta(0),
        count=count,
        failure_limit=failure_limit,
        inconclusive_limit=inconclusive_limit,
        consecutive_error_limit=error_limit,
        consecutive_success_limit=success_limit,
    )


def read_metrics(metrics: list[dict[str, Json]]) -> list[MetricSchedule]:
    """Read all metrics of a run. Raises InvalidAnalysis, naming the place and the metric."""
    if not metrics:
        raise InvalidAnalysis("no metrics specified")
    schedules: list[MetricSchedule] = []
    names: set[str] = set()
    for place, metric in enumerate(metrics):
        name = str(metric.get("name") or "")
        if not name:
            raise InvalidAnalysis(f"metrics[{place}]: name is missing")
        if name in names:
            raise InvalidAnalysis(f"metrics[{place}]: duplicate name {name!r}")
        names.add(name)
        try:
            schedules.append(read_metric(metric))
        except InvalidAnalysis as error:
            raise InvalidAnalysis(f"metrics[{place}] ({name}): {error}") from None
    return schedules


def _matching(rule: str, pattern: str, metrics: list[MetricSchedule]) -> list[MetricSchedule]:
    try:
        expression = re2.compile(pattern)
    except re2.error as error:
        raise InvalidAnalysis(f"{rule}: {pattern!r} is not a regular expression: {error}") from None
    matching = [metric for metric in metrics if expression.search(metric.name)]
    if not matching:
        names = ", ".join(metric.name for metric in metrics)
        raise InvalidAnalysis(f"{rule}: {pattern!r} matches no metric; there are {names}")
    return matching


def apply_rules(
    metrics: list[MetricSchedule], dry_run: list[dict[str, Json]], retention: list[dict[str, Json]]
) -> None:
    """Mark what `dryRun` and `measurementRetention` name: unanchored Go regular expressions on metric names.

    A later rule on the same metric wins. Raises InvalidAnalysis for a rule that matches no metric.
    """
    for place, rule in enumerate(dry_run):
        for metric in _matching(f"dryRun[{place}]", str(rule.get("metricName") or ""), metrics):
            metric.dry_run = True
    for place, rule in enumerate(retention):
        where = f"measurementRetention[{place}]"
        limit = _whole(rule, "limit")
        for metric in _matching(where, str(rule.get("metricName") or ""), metrics):
            metric.retention = limit if limit > 0 else DEFAULT_RETENTION
