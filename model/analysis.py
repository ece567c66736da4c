"""An AnalysisRun: measurements, what they add up to for a metric, and what the metrics add up to for the run.

The rules are Argo Rollouts' (analysis/analysis.go, docs/features/analysis.md); the shape is that of its
AnalysisRun, so that who knows one can read the other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from model.base import Json, Message, Time
from model.metrics import MetricSchedule
from model.references import VerificationPhase

#: After a measurement in Error the next is taken after this, whatever the interval.
ERROR_RETRY_INTERVAL = timedelta(seconds=10)
#: A shorter interval is this long: it bounds how fast a run can write history.
SHORTEST_INTERVAL = timedelta(seconds=1)

_BEST_TO_WORST = (
    VerificationPhase.SUCCESSFUL,
    VerificationPhase.RUNNING,
    VerificationPhase.PENDING,
    VerificationPhase.INCONCLUSIVE,
    VerificationPhase.ERROR,
    VerificationPhase.FAILED,
)
_STOPPING = (VerificationPhase.FAILED, VerificationPhase.ERROR, VerificationPhase.INCONCLUSIVE)


class Measurement(Message):
    """One value of a metric, taken at one moment. `value` is JSON or text, as the provider records it."""

    phase: VerificationPhase
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    value: str = ""
    #: What the provider wants kept, such as the name of a Job.
    metadata: dict[str, str] = Field(default_factory=dict)
    #: Still in flight: to be looked at again then.
    resume_at: Time | None = None


class MetricResult(Message):
    """What the measurements of one metric add up to. `count` leaves out those in Error."""

    name: str
    phase: VerificationPhase = VerificationPhase.PENDING
    #: The last ones only (measurementRetention); the counters count all.
    measurements: list[Measurement] = Field(default_factory=list)
    message: str = ""
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    dry_run: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def last(self) -> Measurement | None:
        return self.measurements[-1] if self.measurements else None

    @property
    def in_flight(self) -> bool:
        return self.last is not None and not self.last.phase.terminal


class RunSummary(Message):
    """How many metrics there are, and how many completed in each way."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


class AnalysisRunStatus(Message):
    """Where a run stands."""

    phase: VerificationPhase = VerificationPhase.PENDING
    message: str = ""
    metric_results: list[MetricResult] = Field(default_factory=list)
    started_at: Time | None = None
    completed_at: Time | None = None
    run_summary: RunSummary = Field(default_factory=RunSummary)
    dry_run_summary: RunSummary = Field(default_factory=RunSummary)

    def result(self, metric: str) -> MetricResult | None:
        """The result of a metric; None before its first measurement."""
        return next((result for result in self.metric_results if result.name == metric), None)

    @property
    def in_flight(self) -> bool:
        return any(result.in_flight for result in self.metric_results)

    def shown(self) -> dict[str, Json]:
        """As Kubernetes shows it: what is empty or zero is left out, `phase` never."""
        shown: dict[str, Json] = _without_empty(self.model_dump(mode="json", by_alias=True))
        return shown


def _without_empty(value: Json) -> Json:
    if isinstance(value, dict):
        shown = {key: _without_empty(entry) for key, entry in value.items()}
        return {key: entry for key, entry in shown.items() if entry not in (None, "", 0, {}, [])}
    if isinstance(value, list):
        return [_without_empty(entry) for entry in value]
    return value


def assess_measurement(success: bool | None, failure: bool | None) -> VerificationPhase:
    """Phase of a measurement from what its conditions say; None: the condition isn't given."""
    if success is None and failure is None:
        return VerificationPhase.SUCCESSFUL
    failed = not success if failure is None else failure
    succeeded = not failure if success is None else success
    if failed:
        return VerificationPhase.FAILED
    return VerificationPhase.SUCCESSFUL if succeeded else VerificationPhase.INCONCLUSIVE


def record_measurement(result: MetricResult, measurement: Measurement) -> None:
    """Add a measurement, or what has become of the one in flight, and count it when it is finished."""
    if result.in_flight:
        result.measurements[-1] = measurement
    else:
        result.measurements.append(measurement)
    match measurement.phase:
        case VerificationPhase.SUCCESSFUL:
            result.successful += 1
            result.consecutive_success += 1
        case VerificationPhase.FAILED:
            result.failed += 1
        case VerificationPhase.INCONCLUSIVE:
            result.inconclusive += 1
        case VerificationPhase.ERROR:
            result.error += 1
        case _:
            return
    if measurement.phase is VerificationPhase.ERROR:
        result.consecutive_error += 1
    else:
        result.count += 1
        result.consecutive_error = 0
    if measurement.phase is not VerificationPhase.SUCCESSFUL:
        result.consecutive_success = 0


def limit_exceeded(metric: MetricSchedule, result: MetricResult) -> tuple[VerificationPhase, str] | None:
    """The limit a metric has gone over, and how: too many errors in a row, inconclusive, or failed measurements."""
    if result.consecutive_error > metric.consecutive_error_limit:
        errors, limit = result.consecutive_error, metric.consecutive_error_limit
        return VerificationPhase.ERROR, f"consecutiveErrors ({errors}) > consecutiveErrorLimit ({limit})"
    if result.inconclusive > metric.inconclusive_limit:
        limit = metric.inconclusive_limit
        return VerificationPhase.INCONCLUSIVE, f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({limit})"
    if 0 <= metric.failure_limit < result.failed:
        return VerificationPhase.FAILED, f"failed ({result.failed}) > failureLimit ({metric.failure_limit})"
    return None


def metric_phase(metric: MetricSchedule, result: MetricResult, terminating: bool) -> VerificationPhase:
    """Phase of a metric: the first rule that applies. A complete phase never changes."""
    if result.phase.terminal:
        return result.phase
    if result.last is None:
        return VerificationPhase.SUCCESSFUL if terminating else VerificationPhase.PENDING
    if result.in_flight:
        return VerificationPhase.RUNNING
    if exceeded := limit_exceeded(metric, result):
        return exceeded[0]
    if 0 < metric.consecutive_success_limit <= result.consecutive_success:
        return VerificationPhase.SUCCESSFUL
    count = metric.effective_count
    if count is not None and result.count >= count:
        if not metric.consecutive_success_limit:
            return VerificationPhase.SUCCESSFUL
        # The successes in a row did not come; nothing but a limit on failures could still call that a clear no.
        return VerificationPhase.INCONCLUSIVE if metric.failure_limit >= 0 else VerificationPhase.FAILED
    return VerificationPhase.SUCCESSFUL if terminating else VerificationPhase.RUNNING


def next_measurement_at(metric: MetricSchedule, result: MetricResult | None, started_at: datetime) -> datetime | None:
    """When a metric is to be measured next, or its measurement in flight to be looked at again; None: never."""
    if result is None or result.last is None:
        return started_at + metric.initial_delay
    if result.phase.terminal:
        return None
    last = result.last
    if result.in_flight:
        return last.resume_at
    count = metric.effective_count
    if last.finished_at is None or (count is not None and result.count >= count):
        return None
    if last.phase is VerificationPhase.ERROR:
        return last.finished_at + ERROR_RETRY_INTERVAL
    return last.finished_at + max(metric.interval or ERROR_RETRY_INTERVAL, SHORTEST_INTERVAL)


def is_terminating(status: AnalysisRunStatus, terminate: bool) -> bool:
    """Is the run coming to its end early: because it was told to, or because a metric that counts went wrong?"""
    return terminate or any(result.phase in _STOPPING and not result.dry_run for result in status.metric_results)


def worse(phase: VerificationPhase, other: VerificationPhase) -> bool:
    """Is `phase` worse than `other`? For a run, Failed is worse than Error."""
    return _BEST_TO_WORST.index(phase) > _BEST_TO_WORST.index(other)


def run_phase(
    status: AnalysisRunStatus, metrics: list[MetricSchedule], terminate: bool
) -> tuple[VerificationPhase, str]:
    """Phase and message of a run whose metrics' phases are up to date: the worst, once all are complete."""
    worst: VerificationPhase | None = None
    message = "Run Terminated" if terminate else ""
    complete = True
    for metric in metrics:
        result = status.result(metric.name)
        if result is None or not result.phase.terminal:
            complete = False
            continue
        if metric.dry_run:
            worst = worst or VerificationPhase.SUCCESSFUL
            continue
        if worst is None or worse(result.phase, worst):
            worst = result.phase
            if exceeded := limit_exceeded(metric, result):
                message = f'Metric "{metric.name}" assessed {result.phase} due to {exceeded[1]}'
                if result.message:
                    message += f': "Error Message: {result.message}"'
    if is_terminating(status, terminate):
        if status.in_flight:
            return VerificationPhase.RUNNING, ""
        return worst or VerificationPhase.SUCCESSFUL, message
    if not complete or worst is None:
        return VerificationPhase.RUNNING, ""
    return worst, message


def _assess_metrics(status: AnalysisRunStatus, metrics: list[MetricSchedule], terminating: bool) -> None:
    for metric in metrics:
        result = status.result(metric.name)
        if result is None:
            continue
        phase = metric_phase(metric, result, terminating)
        if phase is not result.phase:
            result.phase = phase
            result.message = result.last.message if result.last else ""
        if metric.dry_run and phase.terminal and (exceeded := limit_exceeded(metric, result)):
            result.message = f"Metric assessed {phase} due to {exceeded[1]}"


def _summaries(status: AnalysisRunStatus, metrics: list[MetricSchedule]) -> tuple[RunSummary, RunSummary]:
    run, dry = RunSummary(), RunSummary()
    for metric in metrics:
        summary = dry if metric.dry_run else run
        summary.count += 1
        result = status.result(metric.name)
        if result is None or not result.phase.terminal:
            continue
        match result.phase:
            case VerificationPhase.ERROR:
                summary.error += 1
            case VerificationPhase.FAILED:
                summary.failed += 1
            case VerificationPhase.INCONCLUSIVE:
                summary.inconclusive += 1
            case _:
                summary.successful += 1
    return run, dry


def assess_run(status: AnalysisRunStatus, metrics: list[MetricSchedule], *, terminate: bool, now: datetime) -> None:
    """Bring phases, messages and summaries of a run up to date, in place."""
    if status.phase.terminal:
        return
    terminating = is_terminating(status, terminate)
    _assess_metrics(status, metrics, terminating)
    if not terminating and is_terminating(status, terminate):
        _assess_metrics(status, metrics, terminating=True)
    status.run_summary, status.dry_run_summary = _summaries(status, metrics)
    phase, message = run_phase(status, metrics, terminate)
    if phase is not status.phase:
        status.phase, status.message = phase, message
        if phase.terminal:
            status.completed_at = now


def trim_measurements(metric: MetricSchedule, result: MetricResult) -> None:
    """Keep the last measurements only, as many as measurementRetention says."""
    del result.measurements[: -metric.retention]
