"""The provider `skywalking`: a GraphQL query."""

from __future__ import annotations

from model.base import Manifest


class SkyWalkingMetric(Manifest):
    """A GraphQL query with a variable `$duration`: from `interval` ago until now."""

    address: str = ""
    query: str = ""
    #: Go duration.
    interval: str = ""
