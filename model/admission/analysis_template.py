"""Rules about an AnalysisTemplate: what would end every run in Error before it measures.

Argo Rollouts: utils/analysis/factory.go. What holds `{{args.x}}` is checked when the run starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from model.base import parse_duration
from model.findings import Findings, Path, error, warning
from model.providers.web import WebMetric
from model.resources import AnalysisTemplate, ClusterAnalysisTemplate
from model.resources.analysis_template import IntOrString, Metric


def check_analysis_template(template: AnalysisTemplate | ClusterAnalysisTemplate) -> Findings:
    """Its metrics and arguments."""
    spec = template.spec
    if not spec.metrics:
        yield warning(("spec", "metrics"), "there are no metrics: alone, its runs would end in Error")
    yield from _unique([metric.name for metric in spec.metrics], ("spec", "metrics"), "name", "metric")
    yield from _unique([argument.name for argument in spec.args], ("spec", "args"), "name", "argument")
    for place, metric in enumerate(spec.metrics):
        yield from _metric(metric, ("spec", "metrics", place))
    for field, patterns in (
        ("dryRun", [entry.metric_name for entry in spec.dry_run]),
        ("measurementRetention", [entry.metric_name for entry in spec.measurement_retention]),
    ):
        yield from _unique(patterns, ("spec", field), "metricName", "pattern")
        yield from _patterns(patterns, spec.metrics, ("spec", field))


def _metric(metric: Metric, path: Path) -> Findings:
    given = metric.provider.given()
    if len(given) != 1:
        found = f"not {' and '.join(given)}" if given else "there is none"
        yield error((*path, "provider"), f"a metric needs exactly one provider; {found}")
    for field, text in (("interval", metric.interval), ("initialDelay", metric.initial_delay)):
        if text and "{{" not in text:
            try:
                parse_duration(text)
            except ValueError as bad:
                yield error((*path, field), str(bad))
    yield from _limits(metric, path)
    if metric.provider.web:
        yield from _web(metric.provider.web, (*path, "provider", "web"))


def _limits(metric: Metric, path: Path) -> Findings:
    numbers: dict[str, int] = {}
    for field, value in (
        ("count", metric.count),
        ("failureLimit", metric.failure_limit),
        ("inconclusiveLimit", metric.inconclusive_limit),
        ("consecutiveErrorLimit", metric.consecutive_error_limit),
        ("consecutiveSuccessLimit", metric.consecutive_success_limit),
    ):
        number = _number(value)
        if number is None:
            if isinstance(value, str) and "{{" not in value:
                yield error((*path, field), f"{value!r} is no number")
            return
        numbers[field] = number
        if number < 0 and field not in ("count", "failureLimit"):
            yield error((*path, field), "can't be negative")
    count, failures, successes = numbers["count"], numbers["failureLimit"], numbers["consecutiveSuccessLimit"]
    if failures < -1:
        yield error((*path, "failureLimit"), "must be -1 (never) or more")
    if failures == -1 and not successes:
        yield error((*path, "failureLimit"), "-1 needs a consecutiveSuccessLimit, or the metric could never end well")
    needed = successes + max(failures, 0)
    if 0 < count < needed:
        yield error((*path, "count"), f"{count} measurements are fewer than the limits need ({needed})")
    if 0 < count < numbers["inconclusiveLimit"]:
        yield error((*path, "count"), f"{count} measurements are fewer than inconclusiveLimit")
    if count > 1 and not metric.interval:
        yield error((*path, "interval"), f"{count} measurements need an interval between them")


def _number(value: IntOrString | None) -> int | None:
    """0 where nothing is said; None: not known before the arguments are."""
    if value is None:
        return 0
    try:
        return int(value)
    except ValueError:
        return None


def _web(web: WebMetric, path: Path) -> Findings:
    if web.body and web.json_body is not None:
        yield error((*path, "jsonBody"), "a request has either body or jsonBody")
    if web.method in ("GET", "") and (web.body or web.json_body is not None):
        yield error((*path, "method"), "a request with a body needs the method POST or PUT")
    if web.authentication and web.authentication.oauth2:
        oauth2 = web.authentication.oauth2
        for field, value in (
            ("tokenUrl", oauth2.token_url),
            ("clientId", oauth2.client_id),
            ("clientSecret", oauth2.client_secret),
        ):
            if not value:
                yield error((*path, "authentication", "oauth2", field), "is required")
        if oauth2.client_secret and "{{" not in oauth2.client_secret:
            yield warning(
                (*path, "authentication", "oauth2", "clientSecret"),
                "stands here in plain text, and so in the history of workflows; "
                "take it from an argument with secretKeyRef",
            )


def _unique(names: Sequence[str], path: Path, field: str, what: str) -> Findings:
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in first:
            yield error((*path, place, field), f"the {what} {name} stands at {path[-1]}[{first[name]}] already")
        first.setdefault(name, place)


def _patterns(patterns: Sequence[str], metrics: Sequence[Metric], path: Path) -> Findings:
    for place, pattern in enumerate(patterns):
        if "{{" in pattern:
            continue
        try:
            matcher = re2.compile(pattern, _QUIET)
        except re2.error:
            yield error((*path, place, "metricName"), f"{pattern} is no regular expression; .* stands for all metrics")
            continue
        if not any(matcher.search(metric.name) for metric in metrics):
            yield warning((*path, place, "metricName"), f"{pattern} matches no metric of this template")


_QUIET = re2.Options()
_QUIET.log_errors = False
