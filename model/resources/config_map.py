"""ConfigMap: plain settings that expressions may read, on the worker's side (Kubernetes: core/v1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.base import Json
from model.resources.resource import CORE, CoreVersion, Resource


class ConfigMap(Resource):
    """A ConfigMap manifest."""

    api_version: CoreVersion = CORE
    kind: Literal["ConfigMap"] = "ConfigMap"
    immutable: bool | None = None
    data: dict[str, str] = Field(default_factory=dict)
    #: Base64.
    binary_data: dict[str, str] = Field(default_factory=dict)
    #: ConfigMaps have neither; the fields are there so that all resources have the same shape.
    spec: dict[str, Json] | None = None
    status: dict[str, Json] | None = None
