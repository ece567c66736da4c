"""Secret: credentials, read on the worker's side alone (Kubernetes: core/v1)."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from model.base import Json
from model.resources.resource import CORE, CoreVersion, Resource


class Secret(Resource):
    """A Secret manifest of a worker's credentials directory. Its values never show in its repr or in errors."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_version: CoreVersion = CORE
    kind: Literal["Secret"] = "Secret"
    type: str = "Opaque"
    immutable: bool | None = None
    #: Base64.
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    #: Plain text; wins over `data`.
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)
    #: Secrets have neither; the fields are there so that all resources have the same shape.
    spec: dict[str, Json] | None = None
    status: dict[str, Json] | None = None

    @field_validator("data")
    @classmethod
    def _base64(cls, data: dict[str, str]) -> dict[str, str]:
        for key, value in data.items():
            try:
                base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                raise ValueError(f"the value of {key} is not base64; plain text belongs in stringData") from None
        return data

    def values(self) -> dict[str, bytes]:
        """All values, decoded."""
        decoded = {key: base64.b64decode("".join(value.split())) for key, value in self.data.items()}
        return decoded | {key: value.encode() for key, value in self.string_data.items()}
