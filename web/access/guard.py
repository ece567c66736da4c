"""`permit`: what every endpoint and every page asks before it does anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request

from model.roles import EVERYTHING, Grant, Verb, may
from web.access.identity import Identity, IdentityKind


class Unauthenticated(HTTPException):
    """Nobody knows who asks: log in, or send a token that is valid."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, {"WWW-Authenticate": 'Bearer realm="towpath"'})


class Forbidden(HTTPException):
    """Who asks is known, and may not."""

    def __init__(self, detail: str) -> None:
        super().__init__(403, detail)


class GrantSource(Protocol):
    """Knows the roles of somebody; what the middleware leaves in `request.state.access`."""

    async def grants(self, identity: Identity, project: str | None = None) -> Sequence[Grant]:
        """The roles, in one Project and of the system, or all of them. Raises TowpathError."""


async def permit(request: Request, verb: Verb, project: str = "", stage: str = "") -> Identity:
    """Who asks, where they may. Raises Unauthenticated, Forbidden, TowpathError.

    `project` empty: of the system. `stage` empty: of the whole Project. For a Promotion downstream, ask once for each
    Stage that would get one; in a stream that lasts, ask again every few seconds: it costs no call to Temporal.
    """
    identity = identified(request)
    asked = request.state.asked
    asked.append((verb, project, stage))
    grants = await grants_of(request, project if verb is not Verb.ENTER else None)
    if not may(grants, verb, project, stage):
        request.state.denied = True
        raise Forbidden(_no(identity, grants, verb, project, stage))
    return identity


def identified(request: Request) -> Identity:
    """Who asks, without asking whether they may do anything. Raises Unauthenticated."""
    identity: Identity | None = getattr(request.state, "identity", None)
    if identity is None:
        raise Unauthenticated(getattr(request.state, "problem", "") or "log in, or send a token")
    return identity


async def grants_of(request: Request, project: str | None = None) -> Sequence[Grant]:
    """The roles of whoever asks, for `model.roles.may`: to leave out of a list, or of a page, what they may not.

    `project` None: in all Projects. Raises Unauthenticated, TowpathError.
    """
    identity = identified(request)
    if identity.kind in (IdentityKind.MACHINE, IdentityKind.ADMIN):
        return EVERYTHING
    source: GrantSource = request.state.access
    return await source.grants(identity, project)


def _no(identity: Identity, grants: Sequence[Grant], verb: Verb, project: str, stage: str) -> str:
    if verb is Verb.ENTER:
        return f"{identity.display} has no role here; ask an admin for one"
    where = f" in Project {project}" if project else " for the whole installation"
    what = f"{verb} Stage {stage}" if stage else f"{verb}"
    # Whether a Project is there is nobody's business who may not see it.
    return f"{identity.display} may not {what}{where}; ask an admin for a role"


def note(request: Request, *objects: str) -> None:
    """What a request is about, as `Stage/dev`, for its line in the audit log; endpoints say it of what bodies name."""
    request.state.noted.extend(objects)
