"""The provider `graphite`: a render query."""

from __future__ import annotations

from model.base import Manifest


class GraphiteMetric(Manifest):
    """The query string of a request to `/render`, such as `target=…&from=-5min`."""

    address: str = ""
    query: str = ""
