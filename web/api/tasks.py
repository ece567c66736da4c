"""PromotionTasks of a Project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from starter import kinds
from web.api.caller import Viewing
from web.api.names import ProjectName
from web.api.shapes import UNCHANGED, Shown, ShownList, list_of
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}/promotion-tasks", tags=["Core"])

TaskName = Annotated[str, Path(description="Name of the PromotionTask", max_length=253)]


@router.get("", operation_id="ListPromotionTasks", response_model=ShownList, responses=UNCHANGED)
async def list_tasks(caller: Viewing, project: ProjectName) -> Response:
    """A Project's PromotionTasks, by name."""
    return await caller.json(list_of(kinds.PROMOTION_TASK, await caller.towpath.list_promotion_tasks(project)))


@router.get("/{name}", operation_id="GetPromotionTask", response_model=Shown, responses=UNCHANGED)
async def get_task(caller: Viewing, project: ProjectName, name: TaskName) -> Response:
    """One PromotionTask."""
    return await caller.json(versioned(await caller.towpath.get_promotion_task(project, name)))
