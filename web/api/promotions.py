"""Promotions: what was asked for, how far it came, and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from model.questions import Action, Answered
from model.roles import Verb
from starter import kinds
from starter.errors import NotFound
from starter.shapes import Resource
from web.access.answering import standing
from web.api.caller import Caller, Viewing
from web.api.names import ProjectName, PromotionName
from web.api.paging import Paging
from web.api.shapes import WATCHED, Shown, ShownList, list_of
from web.api.stages import admitted
from web.api.watching import event, signed, stream, watch
from web.board.snapshot import Snapshot
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}/promotions", tags=["Core"])


class AnswerRequest(BaseModel):
    """What somebody says to a step that asks people."""

    model_config = ConfigDict(extra="forbid")

    action: Action = Field(description="`input` gives values")
    step: str = Field(default="", max_length=1000, description="Alias; empty: the step that asks now")
    message: str = Field(default="", max_length=1000)
    values: dict[str, Any] = Field(default_factory=dict, max_length=1000)


class RerunRequest(BaseModel):
    """How a Promotion is repeated."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_failed_step: bool = Field(
        default=False, alias="fromFailedStep", description="What succeeded before counts as done"
    )
    override_window: str = Field(default="", alias="overrideWindow", max_length=1000)


@router.get("", operation_id="ListPromotions", response_model=ShownList, responses=WATCHED)
async def list_promotions(
    caller: Viewing,
    project: ProjectName,
    page: Paging,
    stage: Annotated[str, Query(description="Only those to this Stage")] = "",
    watched: Annotated[bool, Query(alias="watch", description="Server-sent events of what changes")] = False,
    version: Annotated[
        str, Query(alias="resourceVersion", description="Of a list: what it holds is not sent again")
    ] = "",
) -> Response:
    """A Project's Promotions, by name: those under way, and the last thousand that are over.

    A list holds no outputs of steps. What is watched are those under way, and the last one of each Stage.
    """

    def pick(snapshot: Snapshot) -> dict[str, Resource]:
        return {name: shown for name, shown in snapshot.promotions.items() if not stage or _of(shown) == stage}

    if watched:
        return await watch(caller, project, pick, version)
    snapshot, found = await caller.boards.promotions(project)
    items, rest = page.of_sorted([found[name] for name in sorted(found) if not stage or _of(found[name]) == stage])
    shown = map(caller.shown, items)
    return await caller.json(list_of(kinds.PROMOTION, shown, snapshot.version, rest), snapshot.version)


@router.get("/{promotion}", operation_id="GetPromotion", response_model=Shown, responses=WATCHED)
async def get_promotion(
    caller: Viewing,
    project: ProjectName,
    promotion: PromotionName,
    watched: Annotated[bool, Query(alias="watch")] = False,
) -> Response:
    """One Promotion, with its steps and what they gave out."""
    shown = await _existing(caller, project, promotion)
    if watched:
        return stream(signed(caller, project, _changes(caller, project, promotion, shown)))
    return await caller.json(caller.shown(versioned(shown)))


@router.post("/{promotion}/abort", response_class=Response, operation_id="AbortPromotion")
async def abort(caller: Viewing, project: ProjectName, promotion: PromotionName) -> Response:
    """Abort a Promotion; nothing changes where it is over."""
    shown = await _existing(caller, project, promotion)
    await caller.may(Verb.ABORT, project, _of(shown))
    await caller.towpath.abort_promotion(project, promotion)
    caller.boards.wrote(project, "Promotion", promotion)
    caller.boards.wrote(project, "Stage", _of(shown))
    return Response(status_code=200)


@router.post("/{promotion}/refresh", response_class=Response, operation_id="RefreshPromotion")
async def refresh(caller: Viewing, project: ProjectName, promotion: PromotionName) -> Response:
    """Have the step that waits look at once."""
    shown = await _existing(caller, project, promotion)
    await caller.may(Verb.REFRESH, project, _of(shown))
    if not over(shown):
        try:
            await caller.towpath.wake_promotion(project, promotion)
        except NotFound:
            # It ended in this very moment.
            return Response(status_code=200)
    return Response(status_code=200)


@router.post(
    "/{promotion}/rerun",
    operation_id="RerunPromotion",
    tags=["Beyond Kargo"],
    status_code=201,
    response_model=Shown,
)
async def rerun(caller: Viewing, project: ProjectName, promotion: PromotionName, body: RerunRequest) -> Response:
    """Repeat a Promotion with the same plan and Freight, whatever has been applied since."""
    shown = await _existing(caller, project, promotion)
    await caller.may(Verb.PROMOTE, project, _of(shown))
    if body.override_window:
        await caller.may(Verb.OVERRIDE, project, _of(shown))
    admission = await caller.towpath.promote_again(
        project, promotion, from_failed_step=body.from_failed_step, override_window=body.override_window
    )
    return JSONResponse(await admitted(caller, project, _of(shown), admission), 201)


@router.post(
    "/{promotion}/answer",
    operation_id="AnswerPromotion",
    tags=["Beyond Kargo"],
    response_model=Answered,
)
async def answer(caller: Viewing, project: ProjectName, promotion: PromotionName, body: AnswerRequest) -> Response:
    """Approve, reject, or give the values that a step of a Promotion waits for."""
    shown = await _existing(caller, project, promotion)
    await caller.may(Verb.APPROVE, project, _of(shown))
    claims, roles = await standing(caller.request, caller.identity, project)
    answered = await caller.towpath.answer_promotion(
        project,
        promotion,
        body.action,
        step=body.step,
        message=body.message,
        values=body.values or None,
        claims=claims,
        roles=roles,
    )
    caller.boards.wrote(project, "Promotion", promotion)
    return JSONResponse(answered.model_dump(mode="json", by_alias=True))


async def _changes(caller: Caller, project: str, name: str, shown: Resource) -> AsyncIterator[str]:
    """The Promotion whole, whenever it has changed, until it is over."""
    yield event("ADDED", caller.shown(versioned(shown)))
    seen: Resource | None = None
    changes = caller.boards.changes(project)
    while not over(shown):
        snapshot = await anext(changes)
        glance = snapshot.promotions.get(name)
        # One that another has followed is no longer on the board: then it is over.
        if glance is not None and glance is seen:
            continue
        seen = glance
        present = await caller.towpath.get_promotion(project, name)
        if present != shown:
            shown = present
            yield event("MODIFIED", caller.shown(versioned(shown)))
    while True:
        # Nothing changes any more; who watches on hears of its Project's end.
        await anext(changes)


async def _existing(caller: Caller, project: str, name: str) -> Resource:
    """Raises NotFound; also for one that was refused, which never was."""
    shown = await caller.towpath.get_promotion(project, name)
    if not shown.get("status", {}).get("phase"):
        raise NotFound(f"Promotion {name} not found in Project {project}")
    return shown


def over(shown: Resource) -> bool:
    return shown.get("status", {}).get("phase") not in ("Pending", "Running")


def _of(shown: Resource) -> str:
    stage: str = shown["spec"]["stage"]
    return stage
