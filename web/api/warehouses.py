"""Warehouses: reading them, having them look, making Freight of what they found."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from model.freight_choice import Choice
from starter import kinds
from starter.deleting import Reference
from web.api.caller import Editing, Refreshing, Viewing
from web.api.names import ProjectName, WarehouseName
from web.api.paging import Paging
from web.api.shapes import WATCHED, Shown, ShownList, list_of
from web.api.watching import watch
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}/warehouses", tags=["Core"])


class FreightByHand(BaseModel):
    """Which artifacts the Freight is made of: exactly one for each subscription."""

    model_config = ConfigDict(extra="forbid")

    choices: list[Choice] = Field(max_length=100)
    alias: str = Field(default="", max_length=253, description="Empty: one is made up")


@router.get("", operation_id="ListWarehouses", response_model=ShownList, responses=WATCHED)
async def list_warehouses(
    caller: Viewing,
    project: ProjectName,
    page: Paging,
    watched: Annotated[bool, Query(alias="watch", description="Server-sent events of what changes")] = False,
    version: Annotated[
        str, Query(alias="resourceVersion", description="Of a list: what it holds is not sent again")
    ] = "",
) -> Response:
    """A Project's Warehouses, by name."""
    if watched:
        return await watch(caller, project, lambda seen: seen.warehouses, version)
    snapshot = await caller.boards.snapshot(project)
    found, rest = page.of_sorted(list(snapshot.warehouses.values()))
    return await caller.json(
        list_of(kinds.WAREHOUSE, map(caller.shown, found), snapshot.version, rest), snapshot.version
    )


@router.get("/{warehouse}", operation_id="GetWarehouse", response_model=Shown, responses=WATCHED)
async def get_warehouse(
    caller: Viewing,
    project: ProjectName,
    warehouse: WarehouseName,
    watched: Annotated[bool, Query(alias="watch")] = False,
) -> Response:
    """One Warehouse, with what it has discovered."""
    shown = await caller.towpath.get_warehouse(project, warehouse)
    if watched:
        return await watch(
            caller, project, lambda seen: {name: it for name, it in seen.warehouses.items() if name == warehouse}
        )
    return await caller.json(caller.shown(versioned(shown)))


@router.post("/{warehouse}/refresh", response_class=Response, operation_id="RefreshWarehouse")
async def refresh_warehouse(caller: Refreshing, project: ProjectName, warehouse: WarehouseName) -> Response:
    """Have the Warehouse look for new artifacts now."""
    await caller.towpath.refresh_warehouse(project, warehouse)
    caller.boards.wrote(project, "Warehouse", warehouse)
    return Response(status_code=200)


@router.delete("/{warehouse}", operation_id="DeleteWarehouse", status_code=204)
async def delete_warehouse(
    caller: Editing,
    project: ProjectName,
    warehouse: WarehouseName,
    force: Annotated[bool, Query(description="Also while Stages hold its Freight")] = False,
) -> Response:
    """Delete a Warehouse and its Freight."""
    await caller.towpath.delete([Reference(kinds.WAREHOUSE, warehouse, project)], force=force)
    caller.boards.wrote(project, "Warehouse", warehouse)
    caller.boards.wrote(project)
    return Response(status_code=204)


@router.post(
    "/{warehouse}/freight",
    operation_id="CreateFreight",
    tags=["Beyond Kargo"],
    status_code=201,
    response_model=Shown,
)
async def create_freight(
    caller: Editing, project: ProjectName, warehouse: WarehouseName, body: FreightByHand
) -> Response:
    """Make Freight of artifacts that one chooses."""
    created = await caller.towpath.create_freight(project, warehouse, body.choices, body.alias)
    caller.boards.wrote(project, "Warehouse", warehouse)
    return JSONResponse(caller.shown(versioned(await caller.towpath.get_freight(project, created.name))), 201)
