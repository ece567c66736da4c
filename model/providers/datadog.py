"""The provider `datadog`: a query, or several with a formula."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model.base import Manifest


class SecretRef(Manifest):
    """The Secret with Datadog's keys."""

    name: str = ""
    #: In the Project's namespace; else where Argo Rollouts runs, which here are the shared Secrets.
    namespaced: bool = False


class DatadogMetric(Manifest):
    """A timeseries query (v1), or a scalar query of one or several queries and a formula (v2)."""

    #: Go duration: how far back the query looks.
    interval: str = "5m"
    query: str = ""
    queries: dict[str, str] = Field(default_factory=dict)
    formula: str = ""
    api_version: Literal["v1", "v2"] = "v1"
    aggregator: Literal["", "avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"] = ""
    secret_ref: SecretRef = Field(default_factory=SecretRef)
    #: Go duration.
    request_timeout: str = "10s"

    @model_validator(mode="after")
    def _fits(self) -> DatadogMetric:
        if not self.query and not self.queries:
            raise ValueError("give either query or queries")
        if self.query and self.queries:
            raise ValueError("give either query or queries, not both")
        if self.api_version == "v1" and not self.query:
            raise ValueError("queries need apiVersion v2; v1 knows query alone")
        if self.formula and not self.queries:
            raise ValueError("a formula needs queries")
        if not self.formula and len(self.queries) > 1:
            raise ValueError("several queries need a formula")
        if self.api_version == "v1" and self.aggregator:
            raise ValueError("an aggregator needs apiVersion v2")
        return self
