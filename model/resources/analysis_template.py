"""AnalysisTemplate and ClusterAnalysisTemplate: how Freight is measured.

Argo Rollouts: pkg/apis/rollouts/v1alpha1/analysis_types.go.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from model.base import Json, Manifest
from model.providers.cloud_watch import CloudWatchMetric
from model.providers.datadog import DatadogMetric
from model.providers.graphite import GraphiteMetric
from model.providers.influxdb import InfluxdbMetric
from model.providers.job import JobMetric
from model.providers.kayenta import KayentaMetric
from model.providers.new_relic import NewRelicMetric
from model.providers.prometheus import PrometheusMetric
from model.providers.skywalking import SkyWalkingMetric
from model.providers.wavefront import WavefrontMetric
from model.providers.web import WebMetric
from model.resources.resource import ROLLOUTS, Resource, RolloutsVersion

#: A number, or text such as `"{{args.count}}"` that becomes one.
IntOrString = int | str


class MetricProvider(Manifest):
    """Where a measurement comes from: exactly one of these."""

    web: WebMetric | None = None
    prometheus: PrometheusMetric | None = None
    kayenta: KayentaMetric | None = None
    datadog: DatadogMetric | None = None
    wavefront: WavefrontMetric | None = None
    new_relic: NewRelicMetric | None = None
    job: JobMetric | None = None
    cloud_watch: CloudWatchMetric | None = None
    graphite: GraphiteMetric | None = None
    influxdb: InfluxdbMetric | None = None
    skywalking: SkyWalkingMetric | None = None
    plugin: dict[str, Json] | None = None

    def given(self) -> list[str]:
        """The providers that are given, by their names in manifests."""
        return [
            field.alias or name for name, field in type(self).model_fields.items() if getattr(self, name) is not None
        ]


class Metric(Manifest):
    """One thing to measure, how often, and when it is good. Texts may hold `{{args.x}}`, numbers be such texts."""

    name: str
    #: Go duration between two measurements.
    interval: str = ""
    #: Go duration before the first.
    initial_delay: str = ""
    count: IntOrString | None = None
    success_condition: str = ""
    failure_condition: str = ""
    #: More failed measurements than this fail the metric; -1: never.
    failure_limit: IntOrString | None = None
    inconclusive_limit: IntOrString | None = None
    #: More errors in a row than this end the metric in Error; 4 where nothing is said.
    consecutive_error_limit: IntOrString | None = None
    #: So many successes in a row end the metric as Successful.
    consecutive_success_limit: IntOrString | None = None
    provider: MetricProvider


class SecretKeyRef(Manifest):
    """One key of a Secret."""

    name: str
    key: str


class FieldRef(Manifest):
    """A field of the Rollout: without meaning outside Argo Rollouts."""

    field_path: str


class ValueFrom(Manifest):
    """Where an argument's value is read."""

    secret_key_ref: SecretKeyRef | None = None
    field_ref: FieldRef | None = None


class Argument(Manifest):
    """An argument of a template, with its default; without one, a Stage must give the value."""

    name: str
    value: str | None = None
    value_from: ValueFrom | None = None


class DryRun(Manifest):
    """Metrics (a regular expression, unanchored) that are measured but don't count."""

    metric_name: str


class MeasurementRetention(Manifest):
    """How many measurements are kept of metrics (a regular expression, unanchored)."""

    metric_name: str
    limit: int


class AnalysisTemplateRef(Manifest):
    """Another template whose metrics are taken in."""

    template_name: str = ""
    cluster_scope: bool = False


class AnalysisTemplateSpec(Manifest):
    """Metrics and their arguments."""

    metrics: list[Metric] = Field(default_factory=list)
    args: list[Argument] = Field(default_factory=list)
    dry_run: list[DryRun] = Field(default_factory=list)
    measurement_retention: list[MeasurementRetention] = Field(default_factory=list)
    templates: list[AnalysisTemplateRef] = Field(default_factory=list)


class AnalysisTemplate(Resource):
    """A template of one Project."""

    api_version: RolloutsVersion = ROLLOUTS
    kind: Literal["AnalysisTemplate"] = "AnalysisTemplate"
    spec: AnalysisTemplateSpec
    #: Templates have no status; the field is there so that all resources have the same shape.
    status: dict[str, Json] | None = None


class ClusterAnalysisTemplate(Resource):
    """A template for all Projects."""

    cluster_scoped: ClassVar[bool] = True

    api_version: RolloutsVersion = ROLLOUTS
    kind: Literal["ClusterAnalysisTemplate"] = "ClusterAnalysisTemplate"
    spec: AnalysisTemplateSpec
    #: Templates have no status; the field is there so that all resources have the same shape.
    status: dict[str, Json] | None = None
