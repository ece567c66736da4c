"""The provider `wavefront`: a ts() query."""

from __future__ import annotations

from model.base import Manifest


class WavefrontMetric(Manifest):
    """A query; the token is the one that the Secret `wavefront-api-tokens` holds for the address."""

    #: Host name, without scheme.
    address: str = ""
    query: str = ""
