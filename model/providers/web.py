"""The provider `web`: any HTTP request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.base import Json, Manifest
from model.providers.authentication import Authentication, WebHeader


class WebMetric(Manifest):
    """An HTTP request whose answer is the measurement."""

    url: str
    method: Literal["GET", "POST", "PUT", ""] = "GET"
    headers: list[WebHeader] = Field(default_factory=list)
    body: str = ""
    json_body: Json = None
    #: For the whole request; 0 or less: ten seconds.
    timeout_seconds: int = 0
    #: Kubernetes' JSONPath; empty: the whole answer.
    json_path: str = ""
    insecure: bool = False
    authentication: Authentication | None = None
