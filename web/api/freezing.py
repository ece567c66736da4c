"""Freezing a Project, or everything: beyond Kargo."""

from __future__ import annotations

from fastapi import APIRouter

from web.api.caller import Freezing
from web.api.names import ProjectName
from web.api.shapes import Done
from web.api.stages import Reason

router = APIRouter(tags=["Beyond Kargo"])


@router.post("/projects/{project}/freeze", operation_id="FreezeProject", response_model=Done)
async def freeze_project(caller: Freezing, project: ProjectName, body: Reason) -> Done:
    """Let nothing new start in the Project until it is thawed."""
    outcome = await caller.towpath.freeze(body.reason, project)
    caller.boards.wrote(project)
    return Done(message=outcome.message)


@router.post("/projects/{project}/thaw", operation_id="ThawProject", response_model=Done)
async def thaw_project(caller: Freezing, project: ProjectName) -> Done:
    """End the freeze of this Project; one of everything, or of a Stage, stays."""
    outcome = await caller.towpath.thaw(project)
    caller.boards.wrote(project)
    return Done(message=outcome.message)


@router.post("/system/freeze", operation_id="FreezeEverything", response_model=Done)
async def freeze_everything(caller: Freezing, body: Reason) -> Done:
    """Let nothing new start anywhere until it is thawed."""
    return Done(message=(await caller.towpath.freeze(body.reason)).message)


@router.post("/system/thaw", operation_id="ThawEverything", response_model=Done)
async def thaw_everything(caller: Freezing) -> Done:
    """End the freeze of everything; one of a Project or a Stage stays."""
    return Done(message=(await caller.towpath.thaw()).message)
