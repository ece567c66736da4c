"""Stages: reading them, promoting to them, verifying what they hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from model.explanation import StageExplanation
from model.previews import PreviewResult
from model.promotions import Admission
from model.roles import Verb
from starter import kinds
from starter.deleting import Reference
from starter.errors import NotFound
from starter.shapes import Resource
from web.api.caller import Caller, Editing, Freezing, Promoting, Refreshing, Verifying, Viewing
from web.api.errors import Unfit
from web.api.names import ProjectName, StageName
from web.api.paging import Paging
from web.api.shapes import UNCHANGED, WATCHED, Done, Shown, ShownList, list_of
from web.api.watching import watch
from web.board.snapshot import Snapshot
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}/stages", tags=["Core"])


class PromoteRequest(BaseModel):
    """Which Freight is to be promoted: exactly one of these."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    freight: str = Field(default="", max_length=253, description="Its name")
    freight_alias: str = Field(default="", alias="freightAlias", max_length=253)
    origin: str = Field(
        default="",
        max_length=253,
        description="`Warehouse/<name>`: what auto-promotion would pick of it, when the Stage decides",
    )
    override_window: str = Field(
        default="",
        alias="overrideWindow",
        max_length=1000,
        description="Beyond Kargo: why it may start although a promotion window is closed",
    )


class DownstreamRequest(BaseModel):
    """Which Freight is to be promoted: exactly one of these."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    freight: str = Field(default="", max_length=253, description="Its name")
    freight_alias: str = Field(default="", alias="freightAlias", max_length=253)


class Reason(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000)


@router.get("", operation_id="ListStages", response_model=ShownList, responses=WATCHED)
async def list_stages(
    caller: Viewing,
    project: ProjectName,
    page: Paging,
    origins: Annotated[
        list[str] | None,
        Query(alias="freightOrigins", description="Only Stages that request Freight of these Warehouses"),
    ] = None,
    watched: Annotated[bool, Query(alias="watch", description="Server-sent events of what changes")] = False,
    version: Annotated[
        str, Query(alias="resourceVersion", description="Of a list: what it holds is not sent again")
    ] = "",
) -> Response:
    """A Project's Stages, by name."""

    def pick(snapshot: Snapshot) -> dict[str, Resource]:
        return {name: shown for name, shown in snapshot.stages.items() if not origins or _requests(shown, origins)}

    if watched:
        return await watch(caller, project, pick, version)
    snapshot = await caller.boards.snapshot(project)
    stages, rest = page.of_sorted(list(pick(snapshot).values()))
    return await caller.json(list_of(kinds.STAGE, map(caller.shown, stages), snapshot.version, rest), snapshot.version)


@router.get("/{stage}", operation_id="GetStage", response_model=Shown, responses=WATCHED)
async def get_stage(
    caller: Viewing, project: ProjectName, stage: StageName, watched: Annotated[bool, Query(alias="watch")] = False
) -> Response:
    """One Stage."""
    shown = await caller.towpath.get_stage(project, stage)
    if watched:
        return await watch(caller, project, lambda seen: _only(seen.stages, stage))
    return await caller.json(caller.shown(versioned(shown)))


@router.get("/{stage}/links", operation_id="GetStageLinks", responses=UNCHANGED)
async def get_links(caller: Viewing, project: ProjectName, stage: StageName) -> Response:
    """Deep links of a Stage: none, as no config that holds any is accepted so far."""
    await caller.towpath.get_stage(project, stage)
    return await caller.json({"links": []})


@router.delete("/{stage}", operation_id="DeleteStage", status_code=204)
async def delete_stage(
    caller: Editing,
    project: ProjectName,
    stage: StageName,
    force: Annotated[bool, Query(description="Also while a promotion runs: it is aborted")] = False,
) -> Response:
    """Delete a Stage."""
    await caller.towpath.delete([Reference(kinds.STAGE, stage, project)], force=force)
    caller.boards.wrote(project, "Stage", stage)
    caller.boards.wrote(project)
    return Response(status_code=204)


@router.post("/{stage}/refresh", response_class=Response, operation_id="RefreshStage")
async def refresh_stage(caller: Refreshing, project: ProjectName, stage: StageName) -> Response:
    """Have the Stage look at its health, and at everything else, anew."""
    await caller.towpath.refresh_stage(project, stage)
    caller.boards.wrote(project, "Stage", stage)
    return Response(status_code=200)


@router.post("/{stage}/promotions", operation_id="PromoteToStage", status_code=201, response_model=Shown)
async def promote(caller: Promoting, project: ProjectName, stage: StageName, body: PromoteRequest) -> Response:
    """Promote Freight to a Stage."""
    if sum(map(bool, (body.freight, body.freight_alias, body.origin))) != 1:
        raise Unfit(400, "exactly one of freight, freightAlias and origin must be given")
    kind, _, warehouse = body.origin.partition("/")
    if body.origin and (kind != "Warehouse" or not warehouse):
        raise Unfit(400, f"{body.origin!r} is no origin: expected Warehouse/<name>")
    if body.override_window:
        await caller.may(Verb.OVERRIDE, project, stage)
    await caller.towpath.get_stage(project, stage)
    admission = await caller.towpath.promote(
        project,
        stage,
        freight=body.freight,
        alias=body.freight_alias,
        warehouse=warehouse,
        override_window=body.override_window,
    )
    return JSONResponse(await admitted(caller, project, stage, admission), 201)


@router.post("/{stage}/promotions/downstream", operation_id="PromoteDownstream", status_code=201)
async def promote_downstream(
    caller: Viewing, project: ProjectName, stage: StageName, body: DownstreamRequest
) -> Response:
    """Promote Freight to all Stages immediately downstream, or to none."""
    if bool(body.freight) == bool(body.freight_alias):
        raise Unfit(400, "exactly one of freight and freightAlias must be given")
    await caller.towpath.get_stage(project, stage)
    record = await caller.towpath.find_freight(project, body.freight, body.freight_alias)
    snapshot = await caller.boards.snapshot(project)
    downstream = [
        name
        for name, shown in snapshot.stages.items()
        if any(
            request["origin"]["name"] == record.reference.origin.name
            and stage in (request.get("sources", {}).get("stages") or [])
            for request in shown["spec"].get("requestedFreight", [])
        )
    ]
    if not downstream:
        raise NotFound(f"no Stage is downstream of Stage {stage}")
    for name in downstream:
        await caller.may(Verb.PROMOTE, project, name)
    admission = await caller.towpath.promote_downstream(project, stage, freight=record.name)
    if not admission.accepted:
        raise Unfit(400, admission.reason)
    for name in admission.promotions:
        caller.boards.wrote(project, "Promotion", name)
    made = [caller.shown(versioned(await caller.towpath.get_promotion(project, name))) for name in admission.promotions]
    answer: Resource = {"promotions": made}
    if admission.notes:
        answer["notes"] = admission.notes
    return JSONResponse(answer, 201)


@router.post("/{stage}/verification", response_class=Response, operation_id="Reverify", tags=["Verifications"])
async def verify(caller: Verifying, project: ProjectName, stage: StageName) -> Response:
    """Verify again what the Stage holds."""
    await caller.towpath.verify(project, stage)
    caller.boards.wrote(project, "Stage", stage)
    return Response(status_code=200)


@router.post(
    "/{stage}/verification/abort", response_class=Response, operation_id="AbortVerification", tags=["Verifications"]
)
async def abort_verification(caller: Verifying, project: ProjectName, stage: StageName) -> Response:
    """Abort the verification that runs in the Stage."""
    await caller.towpath.abort_verification(project, stage)
    caller.boards.wrote(project, "Stage", stage)
    return Response(status_code=200)


@router.get(
    "/{stage}/explain",
    operation_id="ExplainStage",
    tags=["Beyond Kargo"],
    response_model=StageExplanation,
    responses=UNCHANGED,
)
async def explain(
    caller: Viewing,
    project: ProjectName,
    stage: StageName,
    freight: Annotated[
        list[str] | None, Query(max_length=20, description="Names of Freight of which more is wanted")
    ] = None,
    alias: Annotated[list[str] | None, Query(max_length=20, description="Or its aliases")] = None,
) -> Response:
    """Why a Stage does what it does, and of each piece of Freight whether it may come, and why."""
    told = await caller.towpath.explain_stage(project, stage, freight or [], alias or [])
    return await caller.json(told.model_dump(mode="json", by_alias=True))


@router.post("/{stage}/preview", operation_id="PreviewPromotion", tags=["Beyond Kargo"], response_model=PreviewResult)
async def preview(caller: Promoting, project: ProjectName, stage: StageName, body: DownstreamRequest) -> Response:
    """What a Promotion would commit: its workspace steps run in a workspace that is thrown away."""
    if bool(body.freight) == bool(body.freight_alias):
        raise Unfit(400, "exactly one of freight and freightAlias must be given")
    await caller.towpath.get_stage(project, stage)
    result = await caller.towpath.preview(project, stage, freight=body.freight, alias=body.freight_alias)
    return JSONResponse(result.model_dump(mode="json", by_alias=True))


@router.post("/{stage}/freeze", operation_id="FreezeStage", tags=["Beyond Kargo"], response_model=Done)
async def freeze(caller: Freezing, project: ProjectName, stage: StageName, body: Reason) -> Done:
    """Let nothing new start in the Stage until it is thawed."""
    outcome = await caller.towpath.freeze(body.reason, project, stage)
    caller.boards.wrote(project, "Stage", stage)
    return Done(message=outcome.message)


@router.post("/{stage}/thaw", operation_id="ThawStage", tags=["Beyond Kargo"], response_model=Done)
async def thaw(caller: Freezing, project: ProjectName, stage: StageName) -> Done:
    """End the freeze of this Stage."""
    outcome = await caller.towpath.thaw(project, stage)
    caller.boards.wrote(project, "Stage", stage)
    return Done(message=outcome.message)


async def admitted(caller: Caller, project: str, stage: str, admission: Admission) -> Resource:
    """The Promotion that was made. Raises Unfit with the Stage's reason where none was."""
    if not admission.accepted:
        raise Unfit(400, admission.reason)
    caller.boards.wrote(project, "Promotion", admission.name)
    caller.boards.wrote(project, "Stage", stage)
    return caller.shown(versioned(await caller.towpath.get_promotion(project, admission.name)))


def _requests(shown: Resource, warehouses: list[str]) -> bool:
    return any(request["origin"]["name"] in warehouses for request in shown["spec"].get("requestedFreight", []))


def _only(found: object, name: str) -> dict[str, Resource]:
    assert isinstance(found, dict)
    return {name: found[name]} if name in found else {}
