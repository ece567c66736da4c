"""The provider `influxdb`: a Flux query."""

from __future__ import annotations

from model.base import Manifest


class InfluxdbMetric(Manifest):
    """A Flux query of the server that the Secret `profile` names."""

    #: Name of the Secret; without: `influxdb`.
    profile: str = ""
    query: str = ""
