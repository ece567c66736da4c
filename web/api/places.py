"""Where credentials, ConfigMaps, roles and tokens belong: to a Project, to all of them (shared), or to the system."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException

from credentials.directory import CLUSTER, SHARED
from credentials.store import AlreadyThere, Kept, NotOurs, NotThere, Shelf, StoreUnwritable, Unfit
from model.roles import Verb
from starter import kinds
from starter.client import Towpath, check_name
from starter.deleting import Reference
from web.access.access import Access
from web.access.guard import note, permit
from web.access.identity import Identity

T = TypeVar("T")

#: What any of these may answer instead.
_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request makes no sense; the error says which part of it"},
    401: {"description": "Who asks is not known"},
    403: {"description": "Who asks may not"},
    404: {"description": "There is no such thing"},
    409: {"description": "It is there already, or is not what the path says; nothing was changed"},
    501: {"description": "It can't be done here; the error says what to do instead"},
    503: {"description": "Temporal or its workers don't answer; try again"},
}

DESCRIPTION = "kargo.akuity.io/description"
#: Instead of what nobody reads again; Kargo's words.
REDACTED = "*** REDACTED ***"


class Scope(StrEnum):
    """The beginnings of paths, below the API's own."""

    PROJECT = "/projects/{project}"
    SHARED = "/shared"
    SYSTEM = "/system"


@dataclass(frozen=True)
class Place:
    """What a request is about, asked for by somebody who may."""

    request: Request
    identity: Identity
    #: Empty: no Project.
    project: str
    #: Below the credentials directory.
    directory: str

    @property
    def access(self) -> Access:
        access: Access = self.request.state.access
        return access

    @property
    def towpath(self) -> Towpath:
        """A client that acts for whoever asks."""
        return self.access.towpath.acting(self.identity.actor)

    def shelf(self, kind: type[Kept]) -> Shelf[Kept]:
        return Shelf(self.access.settings.credentials_directory, self.directory, kind)


async def _place(request: Request, *, changes: bool) -> Place:
    path = request.url.path.removeprefix("/v1beta1")
    if path.startswith("/projects/"):
        project = check_name("Project", request.path_params["project"])
        identity = await permit(request, Verb.ADMIN if changes else Verb.VIEW, project)
        if changes and project == SHARED:
            # What lies in its directory, all Projects use.
            await permit(request, Verb.ADMIN)
        towpath: Towpath = request.state.access.towpath
        await towpath.check_there(Reference(kinds.PROJECT, project))
        return Place(request, identity, project, project)
    shared = path.startswith(f"{Scope.SHARED}/")
    reads = Verb.ENTER if shared else Verb.VIEW
    identity = await permit(request, Verb.ADMIN if changes else reads)
    return Place(request, identity, "", SHARED if shared else CLUSTER)


async def _reading(request: Request) -> Place:
    return await _place(request, changes=False)


async def _changing(request: Request) -> Place:
    return await _place(request, changes=True)


#: The place, where whoever asks may see what lies there.
Reading = Annotated[Place, Depends(_reading)]
#: The place, where whoever asks may change what lies there.
Changing = Annotated[Place, Depends(_changing)]


class PlaceRouter(APIRouter):
    """Endpoints of one scope. The Project of their paths is read by `Reading` and `Changing`, and documented here."""

    def __init__(self, scope: Scope, tag: str) -> None:
        super().__init__(prefix=scope.value, tags=[tag])
        self._scope = scope
        self._documented: dict[str, Any] | None = None
        if scope is Scope.PROJECT:
            parameter = {"name": "project", "in": "path", "required": True, "schema": {"type": "string"}}
            self._documented = {"parameters": [parameter]}

    def add(self, method: str, path: str, endpoint: Callable[..., Any], status: int = 200, operation: str = "") -> None:
        """One endpoint. `operation`: its name in Kargo, where that is not the function's with the scope in it."""
        verb, *rest = endpoint.__name__.split("_")
        name = "".join(part.capitalize() for part in (verb, self._scope.name.lower(), *rest)).replace("Api", "API")
        self.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=status,
            operation_id=operation or name,
            response_model=None,
            responses=_ANSWERS,
            openapi_extra=self._documented,
        )


async def stored(place: Place, what: str, act: Callable[[], T]) -> T:
    """What the store does, in a thread, its errors as answers. `what`: `Secret/name`, for the audit log."""
    note(place.request, what)
    try:
        return await asyncio.to_thread(act)
    except NotThere as error:
        raise HTTPException(404, str(error)) from error
    except AlreadyThere as error:
        raise HTTPException(409, str(error)) from error
    except NotOurs as error:
        raise HTTPException(409, f"{error}: change it there") from error
    except Unfit as error:
        raise HTTPException(400, str(error)) from error
    except StoreUnwritable as error:
        kind, _, name = what.partition("/")
        raise HTTPException(
            501,
            f"{error}: give this process TOWPATH_CREDENTIALS_DIRECTORY, the workers' own, to write to; or put the "
            f"{kind} {name} into {place.directory}/ of that directory by hand",
        ) from error


def described(annotations: dict[str, str], description: str | None) -> dict[str, str]:
    """The annotations with that description; None: as it was; empty: without."""
    if description is None:
        return annotations
    others = {key: value for key, value in annotations.items() if key != DESCRIPTION}
    return {**others, DESCRIPTION: description} if description else others
