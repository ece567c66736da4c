"""ConfigMaps: plain settings that expressions read, where the workers read them.

Shapes are Kargo's (pkg/server/*_config_map.go).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from credentials.store import Entry
from model.base import Json, field_name, format_time
from model.resources.config_map import ConfigMap
from model.resources.metadata import ObjectMeta
from web.api.credentials import no_replicas
from web.api.places import DESCRIPTION, Changing, Place, PlaceRouter, Reading, Scope, described, stored

Values = Annotated[dict[str, str], Field(max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=field_name)


class NewData(_Body):
    """What replaces a ConfigMap: all of it."""

    data: Values = Field(min_length=1)
    description: str = ""
    replicate: bool = False


class NewConfigMap(NewData):
    """A ConfigMap, for `configMap()` and `sharedConfigMap()`."""

    name: str


class DataPatch(_Body):
    """Changes to a ConfigMap: keys to set, and keys to remove. An empty description is deleted."""

    data: Values = Field(default_factory=dict)
    remove_keys: list[str] = Field(default_factory=list, max_length=1000)
    description: str | None = None


def routers() -> list[APIRouter]:
    """Those of Projects, of what is shared, and of the system."""
    made: list[APIRouter] = []
    for scope in Scope:
        router = PlaceRouter(scope, "ConfigMaps")
        router.add("GET", "/configmaps", list_config_maps)
        router.add("POST", "/configmaps", create_config_map, 201)
        router.add("GET", "/configmaps/{name}", get_config_map)
        router.add("PUT", "/configmaps/{name}", update_config_map)
        router.add("PATCH", "/configmaps/{name}", patch_config_map)
        router.add("DELETE", "/configmaps/{name}", delete_config_map, 204)
        made.append(router)
    return made


async def list_config_maps(place: Reading) -> Response:
    """ConfigMaps, by name."""
    entries = await stored(place, "ConfigMap", place.shelf(ConfigMap).list)
    items = [_shown(entry, place) for entry in entries]
    return JSONResponse({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {}, "items": items})


async def create_config_map(place: Changing, body: NewConfigMap) -> Response:
    """Store a ConfigMap."""
    no_replicas(replicate=body.replicate)
    annotations = {DESCRIPTION: body.description} if body.description else {}
    made = ConfigMap(metadata=ObjectMeta(name=body.name, annotations=annotations), data=body.data)
    entry = await stored(place, f"ConfigMap/{body.name}", lambda: place.shelf(ConfigMap).create(made))
    return JSONResponse(_shown(entry, place), 201)


async def get_config_map(place: Reading, name: str) -> Response:
    """One ConfigMap."""
    entry = await stored(place, f"ConfigMap/{name}", lambda: place.shelf(ConfigMap).get(name))
    return JSONResponse(_shown(entry, place))


async def update_config_map(place: Changing, name: str, body: NewData) -> Response:
    """Replace a ConfigMap."""
    no_replicas(replicate=body.replicate)

    def change(held: ConfigMap) -> ConfigMap:
        held.data = body.data
        held.metadata.annotations = described(held.metadata.annotations, body.description)
        return held

    entry = await stored(place, f"ConfigMap/{name}", lambda: place.shelf(ConfigMap).change(name, change))
    return JSONResponse(_shown(entry, place))


async def patch_config_map(place: Changing, name: str, body: DataPatch) -> Response:
    """Change a ConfigMap."""

    def change(held: ConfigMap) -> ConfigMap:
        held.data = {key: value for key, value in held.data.items() if key not in body.remove_keys} | body.data
        held.metadata.annotations = described(held.metadata.annotations, body.description)
        if not held.data:
            raise HTTPException(400, "a ConfigMap without any key would be left: delete it instead")
        return held

    entry = await stored(place, f"ConfigMap/{name}", lambda: place.shelf(ConfigMap).change(name, change))
    return JSONResponse(_shown(entry, place))


async def delete_config_map(place: Changing, name: str) -> Response:
    """Delete a ConfigMap."""
    await stored(place, f"ConfigMap/{name}", lambda: place.shelf(ConfigMap).delete(name, lambda _: None))
    return Response(status_code=204)


def _shown(entry: Entry[ConfigMap], place: Place) -> dict[str, Json]:
    metadata = entry.manifest.metadata
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata.name,
            "namespace": place.directory,
            "creationTimestamp": format_time(entry.changed_at),
            **({"labels": metadata.labels} if metadata.labels else {}),
            **({"annotations": metadata.annotations} if metadata.annotations else {}),
        },
        "data": entry.manifest.data,
    }
