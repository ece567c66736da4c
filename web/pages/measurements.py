"""The measurements of a metric as a small chart, with the threshold where its condition has one. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.base import Json
from web.pages.states import Tone, tone

WIDTH, HEIGHT = 560, 128
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 22

_CONDITION = re.compile(
    r"(?:result(?:\[0\])?|asFloat\(\s*result(?:\[0\])?\s*\)|default\(\s*result\s*,[^)]*\))\s*"
    r"(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)"
)


@dataclass(frozen=True)
class Point:
    """One measurement in the chart."""

    x: float
    y: float
    value: float
    tone: Tone
    number: int
    phase: str


@dataclass(frozen=True)
class Chart:
    """A line of points within WIDTH × HEIGHT; `threshold` is its height, `limit` its number."""

    points: tuple[Point, ...]
    line: str
    low: str
    high: str
    threshold: float | None = None
    limit: str = ""
    #: In words, for who can't see it.
    words: str = ""


@dataclass(frozen=True)
class MetricView:
    """A metric with what was measured."""

    name: str
    phase: str
    message: str
    provider: str
    conditions: tuple[tuple[str, str], ...]
    measurements: tuple[Mapping[str, Json], ...]
    counts: tuple[tuple[str, int], ...]
    chart: Chart | None
    dry_run: bool = False

    @property
    def tone(self) -> Tone:
        return tone(self.phase)


def metric_views(run: Mapping[str, Json]) -> list[MetricView]:
    """The metrics of an AnalysisRun, in the order of its spec; those not begun too."""
    status, spec = run.get("status") or {}, run.get("spec") or {}
    results = {str(result.get("name")): result for result in status.get("metricResults") or []}
    specs = {str(metric.get("name")): metric for metric in spec.get("metrics") or []}
    return [_view(name, specs.get(name) or {}, results.get(name) or {}) for name in dict.fromkeys([*specs, *results])]


def _view(name: str, metric: Mapping[str, Json], result: Mapping[str, Json]) -> MetricView:
    conditions = tuple(
        (words, str(metric[key]))
        for key, words in (("successCondition", "succeeds when"), ("failureCondition", "fails when"))
        if metric.get(key)
    )
    measurements = tuple(result.get("measurements") or [])
    return MetricView(
        name=name,
        phase=str(result.get("phase") or "Pending"),
        message=str(result.get("message") or ""),
        provider=next(iter(metric.get("provider") or {}), ""),
        conditions=conditions,
        measurements=measurements,
        counts=tuple(
            (words, int(result[key]))
            for key, words in (
                ("successful", "successful"),
                ("failed", "failed"),
                ("inconclusive", "inconclusive"),
                ("error", "in error"),
            )
            if result.get(key)
        ),
        chart=chart(measurements, [text for _, text in conditions]),
        dry_run=bool(result.get("dryRun")),
    )


def number(value: object) -> float | None:
    """The number that a measurement's value is, alone or alone in a list; None: it is something else."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return float(found)


def limit(conditions: Sequence[str]) -> float | None:
    """The number that a condition compares the result to, where it is as simple as that."""
    for condition in conditions:
        found = _CONDITION.search(condition)
        if found is not None:
            return float(found[2])
    return None


def chart(measurements: Sequence[Mapping[str, Json]], conditions: Sequence[str]) -> Chart | None:
    """A chart of the values that are numbers; None: there is none."""
    values = [
        (place, value, str(measurement.get("phase") or ""))
        for place, measurement in enumerate(measurements, 1)
        if (value := number(measurement.get("value"))) is not None
    ]
    if not values:
        return None
    threshold = limit(conditions)
    seen = [value for _, value, _ in values] + ([threshold] if threshold is not None else [])
    low, high = min(seen), max(seen)
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    elif low > 0 and low < (high - low):
        low = 0.0

    def height(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    last = max(len(measurements), 2)
    points = tuple(
        Point(
            round(_LEFT + (place - 1) / (last - 1) * (WIDTH - _LEFT - _RIGHT), 1),
            height(value),
            value,
            tone(phase),
            place,
            phase,
        )
        for place, value, phase in values
    )
    lowest, highest = min(point.value for point in points), max(point.value for point in points)
    words = f"{len(points)} values from {lowest:g} to {highest:g}"
    if threshold is not None:
        words += f"; the threshold is {threshold:g}"
    return Chart(
        points,
        " ".join(f"{point.x},{point.y}" for point in points),
        f"{low:.4g}",
        f"{high:.4g}",
        height(threshold) if threshold is not None else None,
        f"{threshold:g}" if threshold is not None else "",
        words,
    )
