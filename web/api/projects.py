"""Projects, their ProjectConfig, and what belongs to a Project as a whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from model.roles import RoleKind, Verb, may
from starter import kinds
from starter.deleting import Reference
from starter.errors import NotFound
from starter.shapes import Resource
from web.access.guard import grants_of
from web.api.caller import Editing, Entering, Refreshing, Viewing
from web.api.config import as_refreshed, project_config
from web.api.events import events_of
from web.api.images import images_of
from web.api.names import ProjectName
from web.api.shapes import UNCHANGED, WATCHED, Shown, ShownList
from web.api.watching import watch
from web.api.watching_projects import watch_projects

router = APIRouter(prefix="/projects", tags=["Core"])


@router.get("", operation_id="ListProjects", responses=WATCHED)
async def list_projects(
    caller: Entering,
    mine: Annotated[bool, Query(description="Only those in which one has a role of one's own")] = False,
    filter_by: Annotated[str, Query(alias="filter", description="Part of the name, in any case")] = "",
    uid: Annotated[list[str] | None, Query(description="Only Projects with one of these UIDs")] = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=0, le=100_000, description="0: all of them")] = 0,
    page: Annotated[int, Query(ge=0, le=100_000, description="From 0, used with pageSize")] = 0,
    watched: Annotated[bool, Query(alias="watch", description="Server-sent events of what changes")] = False,
) -> Response:
    """All Projects that one may view, by name."""
    if watched:
        return await watch_projects(caller)
    grants = await grants_of(caller.request)
    found = [shown for shown in await caller.boards.projects() if may(grants, Verb.VIEW, shown["metadata"]["name"])]
    if mine:
        own = {grant.project for grant in grants}
        everywhere = any(not grant.project and grant.role is RoleKind.ADMIN for grant in grants)
        found = [shown for shown in found if everywhere or shown["metadata"]["name"] in own]
    if filter_by:
        found = [shown for shown in found if filter_by.lower() in shown["metadata"]["name"]]
    if uid:
        found = [shown for shown in found if shown["metadata"].get("uid") in uid]
    total = len(found)
    if page_size:
        found = found[page * page_size : (page + 1) * page_size]
    return await caller.json({"items": found, "total": total})


@router.get("/{project}", operation_id="GetProject", response_model=Shown, responses=UNCHANGED)
async def get_project(caller: Viewing, project: ProjectName) -> Response:
    """One Project."""
    return await caller.json(await one_project(caller, project))


@router.delete("/{project}", operation_id="DeleteProject", status_code=204)
async def delete_project(
    caller: Editing,
    project: ProjectName,
    force: Annotated[bool, Query(description="Also while promotions run: those are aborted")] = False,
) -> Response:
    """Delete a Project with all that is in it."""
    await caller.towpath.delete([Reference(kinds.PROJECT, project)], force=force)
    caller.boards.wrote(project)
    return Response(status_code=204)


@router.get(
    "/{project}/config", operation_id="GetProjectConfig", tags=["Config"], response_model=Shown, responses=WATCHED
)
async def get_project_config(
    caller: Viewing, project: ProjectName, watched: Annotated[bool, Query(alias="watch")] = False
) -> Response:
    """The ProjectConfig; URLs of its receivers are its status."""
    config = await project_config(caller, project)
    if watched:
        return await watch(caller, project, lambda seen: {project: as_refreshed(seen.config)} if seen.config else {})
    return await caller.json(config)


@router.post("/{project}/config/refresh", response_class=Response, operation_id="RefreshProjectConfig", tags=["Config"])
async def refresh_project_config(caller: Refreshing, project: ProjectName) -> Response:
    """Nothing needs it: a ProjectConfig takes effect when it is applied. Checks that there is one."""
    await project_config(caller, project)
    return Response(status_code=200)


@router.delete("/{project}/config", operation_id="DeleteProjectConfig", tags=["Config"], status_code=204)
async def delete_project_config(caller: Editing, project: ProjectName) -> Response:
    """Delete the ProjectConfig."""
    await caller.towpath.delete([Reference(kinds.PROJECT_CONFIG, project, project)])
    caller.boards.wrote(project)
    return Response(status_code=204)


@router.get(
    "/{project}/events",
    operation_id="ListProjectEvents",
    tags=["Events"],
    response_model=ShownList,
    responses=UNCHANGED,
)
async def list_events(caller: Viewing, project: ProjectName) -> Response:
    """What has happened lately in a Project, as Kubernetes' Events, the latest first."""
    return await caller.json(await events_of(caller, project))


@router.get("/{project}/images", operation_id="ListImages", responses=UNCHANGED)
async def list_images(caller: Viewing, project: ProjectName) -> Response:
    """Images that Stages hold or have held: by repository and tag, each Stage with how many promotions ago."""
    snapshot = await caller.boards.snapshot(project)
    return await caller.json(images_of(snapshot.stages), snapshot.version)


async def one_project(caller: Viewing, project: str) -> Resource:
    """Raises NotFound."""
    for shown in await caller.boards.projects():
        if shown["metadata"]["name"] == project:
            return shown
    # Visibility may not have told yet.
    caller.boards.wrote(project)
    found = (await caller.boards.snapshot(project, fresh=True)).resource
    if not found:
        raise NotFound(f"Project {project} not found")
    return found
