"""Who calls an endpoint, once it is known that they may, and what they call it upon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import Response

from model.base import Json
from model.roles import Verb
from starter.client import Towpath, check_name
from starter.shapes import Resource
from web.access.guard import permit
from web.access.identity import Identity
from web.api.answers import Answers
from web.api.kargo import as_kargo
from web.board.boards import Boards


@dataclass(frozen=True)
class House:
    """What all endpoints share; the application's `state.house`."""

    towpath: Towpath
    boards: Boards
    answers: Answers


@dataclass(frozen=True)
class Caller:
    """Somebody who may do what the endpoint does."""

    request: Request
    identity: Identity
    house: House
    #: They want to see what Kargo has no fields for, too.
    beyond: bool = False

    @property
    def towpath(self) -> Towpath:
        """A client that acts in their name."""
        return self.house.towpath.acting(self.identity.actor)

    @property
    def boards(self) -> Boards:
        return self.house.boards

    async def json(self, value: Json, version: str = "") -> Response:
        """The answer to a read."""
        return await self.house.answers.json(self.request, value, version)

    def shown(self, resource: Resource) -> Resource:
        """A resource as the caller wants to see it."""
        return resource if self.beyond else as_kargo(resource)

    async def may(self, verb: Verb, project: str = "", stage: str = "") -> None:
        """Asks for a further permission. Raises Forbidden."""
        await permit(self.request, verb, project, stage)


#: Part of every read and of every answer with a resource.
Beyond = Annotated[bool, Query(description="Resources also with what Kargo has no fields for")]


def needs(verb: Verb) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, who may do this in the Project and with the Stage that the path names."""

    async def caller(request: Request, beyond: Beyond = False) -> Caller:
        project, stage = request.path_params.get("project", ""), request.path_params.get("stage", "")
        if project:
            check_name("Project", project)
        if stage:
            check_name("Stage", stage)
        identity = await permit(request, verb, project, stage)
        return Caller(request, identity, request.app.state.house, beyond)

    return caller


Entering = Annotated[Caller, Depends(needs(Verb.ENTER))]
Viewing = Annotated[Caller, Depends(needs(Verb.VIEW))]
Promoting = Annotated[Caller, Depends(needs(Verb.PROMOTE))]
Approving = Annotated[Caller, Depends(needs(Verb.VIEW))]
Verifying = Annotated[Caller, Depends(needs(Verb.VERIFY))]
Refreshing = Annotated[Caller, Depends(needs(Verb.REFRESH))]
Freezing = Annotated[Caller, Depends(needs(Verb.FREEZE))]
Editing = Annotated[Caller, Depends(needs(Verb.EDIT))]
