"""The provider `cloudWatch`: metric data queries."""

from __future__ import annotations

from pydantic import Field

from model.base import Manifest


class Dimension(Manifest):
    """A name and value by which a metric is told from others of its name."""

    name: str = ""
    value: str = ""


class StatisticMetric(Manifest):
    """Which metric."""

    dimensions: list[Dimension] = Field(default_factory=list)
    metric_name: str = ""
    namespace: str | None = None


class MetricStat(Manifest):
    """A statistic of one metric."""

    metric: StatisticMetric = Field(default_factory=StatisticMetric)
    #: Seconds, or text that becomes them.
    period: int | str = 0
    stat: str = ""
    unit: str = ""


class MetricDataQuery(Manifest):
    """One query of a GetMetricData request: a statistic, or an expression over others."""

    id: str = ""
    expression: str | None = None
    label: str | None = None
    metric_stat: MetricStat | None = None
    period: int | str | None = None
    return_data: bool | None = None


class CloudWatchMetric(Manifest):
    """Queries over the time from `interval` ago until now."""

    #: Go duration; without: 5m.
    interval: str = ""
    metric_data_queries: list[MetricDataQuery]
