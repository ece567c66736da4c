"""The provider `prometheus`: a PromQL query."""

from __future__ import annotations

from pydantic import Field

from model.base import Manifest
from model.providers.authentication import Authentication, WebHeader


class RangeQuery(Manifest):
    """The window of a range query. `start` and `end` are expressions that give a time: `now() - duration("1h")`."""

    start: str = ""
    end: str = ""
    #: Go duration.
    step: str = ""


class PrometheusMetric(Manifest):
    """A query at this moment, or with `rangeQuery` over a window."""

    #: Empty: the one that the worker's settings name.
    address: str = ""
    query: str = ""
    authentication: Authentication | None = None
    #: Seconds; without: 30.
    timeout: int | None = None
    insecure: bool = False
    headers: list[WebHeader] = Field(default_factory=list)
    range_query: RangeQuery | None = None
