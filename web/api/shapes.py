"""The bodies of answers, for the OpenAPI document: Kubernetes' frame, with what is Kargo's in it left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from starter.kinds import Kind
from starter.shapes import Resource
from web.api.errors import ErrorAnswer


class ObjectMeta(BaseModel):
    """What every resource has; the fields of Kubernetes' ObjectMeta."""

    model_config = ConfigDict(extra="allow")

    name: str
    namespace: str | None = None
    creationTimestamp: str | None = None  # noqa: N815  # Kubernetes' spelling
    resourceVersion: str | None = None  # noqa: N815  # Kubernetes' spelling
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Shown(BaseModel):
    """A resource in Kubernetes' shape, with Kargo's fields in `spec` and `status` (Freight has its own at the top)."""

    model_config = ConfigDict(extra="allow")

    apiVersion: str  # noqa: N815  # Kubernetes' spelling
    kind: str
    metadata: ObjectMeta


class ShownList(BaseModel):
    """A list of resources of one kind."""

    model_config = ConfigDict(extra="allow")

    apiVersion: str  # noqa: N815  # Kubernetes' spelling
    kind: str
    metadata: dict[str, str | int]
    items: list[Shown]


class Done(BaseModel):
    """What was done, in a sentence."""

    message: str


#: The answers that any endpoint may give instead of its own.
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The request makes no sense; the error says which part of it"},
    401: {"model": ErrorAnswer, "description": "Who asks is not known"},
    403: {"model": ErrorAnswer, "description": "Who asks may not"},
    404: {"model": ErrorAnswer, "description": "There is no such thing"},
    408: {"model": ErrorAnswer, "description": "The body did not come in time"},
    409: {"model": ErrorAnswer, "description": "Its owner says no; nothing was changed"},
    413: {"model": ErrorAnswer, "description": "The body is too large"},
    422: {"model": ErrorAnswer, "description": "The manifests have problems; nothing was changed"},
    502: {"model": ErrorAnswer, "description": "Temporal gave an answer that nobody expected"},
    503: {"model": ErrorAnswer, "description": "Temporal or its workers don't answer; try again"},
}

#: Of reads: the one known already is still right.
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "What `If-None-Match` names is still so"}}

#: Of reads that may be watched.
WATCHED: dict[int | str, dict[str, Any]] = {
    **UNCHANGED,
    200: {
        "description": 'The resource; with `watch=true` events, each `data: {"type": …, "object": …}`',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


def list_of(
    kind: Kind, items: Iterable[Resource], version: str = "", rest: Mapping[str, str | int] | None = None
) -> Resource:
    """A list in Kubernetes' shape: `StageList`. `rest`: of a page, what `Page` says of those that follow."""
    metadata: Resource = {**({"resourceVersion": version} if version else {}), **(rest or {})}
    return {"apiVersion": kind.api_version, "kind": f"{kind.name}List", "metadata": metadata, "items": list(items)}
