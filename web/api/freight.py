"""Freight: asking for it in groups, approving it, its alias."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from model.availability import availability
from model.freight_status import FreightRecord
from model.resources.stage import StageSpec
from model.roles import Verb
from starter.errors import NotFound
from starter.shapes import Resource
from web.api.caller import Approving, Editing, Viewing
from web.api.errors import Unfit
from web.api.freight_groups import grouped
from web.api.names import FreightName, ProjectName
from web.api.paging import Paging
from web.api.shapes import UNCHANGED, WATCHED, Shown
from web.api.watching import watch
from web.board.snapshot import Snapshot
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}/freight", tags=["Core"])


class FreightGroup(BaseModel):
    """Freight of one group."""

    items: list[Shown]


class FreightGroups(BaseModel):
    """Freight by group; without `groupBy` there is one, whose name is empty."""

    groups: dict[str, FreightGroup]
    resourceVersion: str = ""  # noqa: N815  # Kubernetes' spelling
    continue_: str | None = Field(default=None, alias="continue")
    remainingItemCount: int | None = None  # noqa: N815  # Kubernetes' spelling


@router.get("", operation_id="QueryFreightsRest", response_model=FreightGroups, responses=WATCHED)
async def query_freight(
    caller: Viewing,
    project: ProjectName,
    page: Paging,
    stage: Annotated[str, Query(description="Only what is available to this Stage")] = "",
    origins: Annotated[list[str] | None, Query(description="Only what comes from these Warehouses")] = None,
    group: Annotated[str, Query(description="Only this group; needs groupBy")] = "",
    group_by: Annotated[Literal["", "image_repo", "git_repo", "chart_repo"], Query(alias="groupBy")] = "",
    order_by: Annotated[Literal["", "first_seen", "tag"], Query(alias="orderBy")] = "",
    reverse: Annotated[bool, Query(description="The other way round: newest first")] = False,
    watched: Annotated[bool, Query(alias="watch", description="Server-sent events of what changes")] = False,
    version: Annotated[
        str, Query(alias="resourceVersion", description="Of a list: what it holds is not sent again")
    ] = "",
) -> Response:
    """A Project's Freight, oldest first, in groups."""
    if watched:
        return await watch(caller, project, lambda seen: _from(seen, origins), version)
    if group and not group_by:
        raise Unfit(400, "group needs groupBy")
    if order_by == "tag" and group_by not in ("image_repo", "chart_repo"):
        raise Unfit(400, "orderBy tag needs groupBy image_repo or chart_repo")
    snapshot = await caller.boards.snapshot(project)
    if stage:
        found: Iterable[Resource] = _available(snapshot, stage)
    else:
        found = _from(snapshot, origins).values()
    groups = grouped(found, group_by, group, order_by, reverse=reverse)
    rest: dict[str, str | int] = {}
    if page.limit or page.after:
        if len(groups) > 1:
            raise Unfit(400, "limit and continue go with one group: say which with group")
        for name, items in groups.items():
            groups[name], rest = page.of(items)
    value = {"groups": {name: {"items": list(map(caller.shown, items))} for name, items in groups.items()}, **rest}
    # What is available may change by time alone.
    if stage:
        return await caller.json(value)
    return await caller.json({**value, "resourceVersion": snapshot.version}, snapshot.version)


@router.get("/{freight}", operation_id="GetFreight", response_model=Shown, responses=WATCHED)
async def get_freight(
    caller: Viewing, project: ProjectName, freight: FreightName, watched: Annotated[bool, Query(alias="watch")] = False
) -> Response:
    """One piece of Freight, by name or alias."""
    shown = await caller.towpath.get_freight(project, freight)
    if watched:
        name = shown["metadata"]["name"]
        return await watch(caller, project, lambda seen: {it: seen.freight[it] for it in [name] if it in seen.freight})
    return await caller.json(caller.shown(versioned(shown)))


@router.get("/{freight}/links", operation_id="GetFreightLinks", responses=UNCHANGED)
async def get_links(caller: Viewing, project: ProjectName, freight: FreightName) -> Response:
    """Deep links of Freight: none, as no config that holds any is accepted so far."""
    await caller.towpath.find_freight(project, freight)
    return await caller.json({"links": []})


@router.post("/{freight}/approve", response_class=Response, operation_id="ApproveFreight")
async def approve(
    caller: Approving,
    project: ProjectName,
    freight: FreightName,
    stage: Annotated[str, Query(min_length=1, max_length=253, description="The Stage it is approved for")],
) -> Response:
    """Approve Freight for a Stage, whatever was or wasn't verified upstream."""
    await caller.may(Verb.APPROVE, project, stage)
    record = await caller.towpath.find_freight(project, freight)
    shown = await caller.towpath.get_stage(project, stage)
    origin = record.reference.origin
    if all(request["origin"]["name"] != origin.name for request in shown["spec"].get("requestedFreight", [])):
        raise Unfit(400, f"Stage {stage} requests no Freight from {origin}")
    await caller.towpath.approve(project, stage, record.name)
    _wrote(caller, project, record)
    return Response(status_code=200)


@router.patch("/{freight}/alias", response_class=Response, operation_id="PatchFreightAlias")
async def patch_alias(
    caller: Editing,
    project: ProjectName,
    freight: FreightName,
    new_alias: Annotated[str, Query(alias="newAlias", min_length=1, max_length=253, description="The new alias")],
) -> Response:
    """Give Freight another alias."""
    record = await caller.towpath.find_freight(project, freight)
    await caller.towpath.set_alias(project, new_alias, record.name)
    _wrote(caller, project, record)
    return Response(status_code=200)


@router.delete("/{freight}", operation_id="DeleteFreight", status_code=204)
async def delete_freight(caller: Editing, project: ProjectName, freight: FreightName) -> Response:
    """Delete Freight that no Stage holds."""
    record = await caller.towpath.find_freight(project, freight)
    await caller.towpath.delete_freight(project, record.name)
    _wrote(caller, project, record)
    return Response(status_code=204)


def _wrote(caller: Editing, project: str, record: FreightRecord) -> None:
    caller.boards.wrote(project, "Warehouse", record.reference.origin.name)


def _from(snapshot: Snapshot, origins: list[str] | None) -> dict[str, Resource]:
    return {
        name: shown for name, shown in snapshot.freight.items() if not origins or shown["origin"]["name"] in origins
    }


def _available(snapshot: Snapshot, stage: str) -> list[Resource]:
    """Freight that may be promoted to a Stage now. Raises NotFound."""
    shown = snapshot.stages.get(stage)
    if shown is None:
        raise NotFound(f"Stage {stage} not found in Project {snapshot.project}")
    requests = StageSpec.model_validate(shown["spec"])
    passing = [name for name, other in snapshot.stages.items() if control_flow(other)]
    now = datetime.now(UTC)
    return [
        snapshot.freight[name]
        for name, record in snapshot.records.items()
        if availability(stage, requests.requested_freight, record, now, passing).available
    ]


def control_flow(stage: Resource) -> bool:
    """Whether Freight only passes through the Stage."""
    template = stage.get("spec", {}).get("promotionTemplate") or {}
    return not template.get("spec", {}).get("steps")
