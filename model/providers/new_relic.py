"""The provider `newRelic`: an NRQL query."""

from __future__ import annotations

from model.base import Manifest


class NewRelicMetric(Manifest):
    """A query of the account that the Secret `profile` names."""

    #: Name of the Secret; without: `newrelic`.
    profile: str = ""
    query: str
    #: Seconds for the NRQL query; without: 5.
    timeout: int | None = None
