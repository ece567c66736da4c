"""What all pages share: the client, the boards, what was drawn, and the frame around everything."""

from __future__ import annotations

import functools
import gzip
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from model.roles import Verb, may
from starter.client import Towpath
from starter.errors import InvalidInput, NotFound, Refused, ServerSilent, TowpathError, WorkerSilent
from starter.shapes import Resource
from web.access.guard import Unauthenticated, grants_of, identified
from web.access.identity import IdentityKind
from web.board.boards import Boards
from web.board.snapshot import Snapshot
from web.pages.drawing import Drawing
from web.pages.live import Gallery
from web.pages.rendering import path, render

logger = logging.getLogger("towpath.web")

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

#: Projects whose drawings are remembered.
_DRAWINGS = 50
#: Bytes from which on a page is sent compressed.
_WORTH_ZIPPING = 4096


class Site:
    """One for the application. `temporal_ui`: URL of Temporal's own UI, without a slash at the end; empty: unknown."""

    def __init__(self, towpath: Towpath, boards: Boards, temporal_ui: str = "") -> None:
        self.towpath = towpath
        self.boards = boards
        self.gallery = Gallery()
        self._temporal_ui = temporal_ui.rstrip("/")
        self._drawings: dict[str, Drawing] = {}

    def drawing(self, project: str) -> Drawing:
        """What draws a Project's pipeline."""
        found = self._drawings.pop(project, None) or Drawing(project)
        while len(self._drawings) >= _DRAWINGS:
            del self._drawings[next(iter(self._drawings))]
        self._drawings[project] = found
        return found

    def temporal_url(self, workflow_id: str) -> str:
        """Where Temporal's UI shows a run; empty where that UI isn't known."""
        if not self._temporal_ui:
            return ""
        namespace = quote(self.towpath.namespace, safe="")
        return f"{self._temporal_ui}/namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}"


async def allowed(request: Request, project: str, stage: str = "") -> frozenset[Verb]:
    """What whoever asks may do there: what they may not isn't offered."""
    grants = await grants_of(request, project)
    return frozenset(verb for verb in Verb if may(grants, verb, project, stage))


def framed(request: Request, template: str, *, status: int = 200, project: str = "", **values: object) -> Response:
    """A whole page."""
    identity = getattr(request.state, "identity", None)
    frame = {
        "csrf": getattr(request.state, "csrf", ""),
        "who": identity,
        "can_leave": identity is not None and identity.kind is not IdentityKind.MACHINE,
        "project": project,
        "tab": "",
        "live": "",
        "digest": "",
    }
    html, headers = (
        render(template, **(frame | values)).encode(),
        {"Cache-Control": "no-store", "Vary": "Accept-Encoding"},
    )
    if len(html) > _WORTH_ZIPPING and "gzip" in request.headers.get("accept-encoding", ""):
        html, headers["Content-Encoding"] = gzip.compress(html, 1), "gzip"
    return HTMLResponse(html, status, headers)


def fragment(html: str, status: int = 200, **events: Mapping[str, str]) -> Response:
    """A piece for a place on a page; `events` are told to the page."""
    headers = {"Cache-Control": "no-store"}
    if events:
        headers["HX-Trigger"] = json.dumps(events)
    return HTMLResponse(html, status, headers)


_STATUS: tuple[tuple[type[TowpathError], int], ...] = (
    (NotFound, 404),
    (InvalidInput, 422),
    (Refused, 409),
    (ServerSilent, 503),
    (WorkerSilent, 503),
)


def status_of(error: TowpathError) -> int:
    """The HTTP status that says it."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 409)


def page(endpoint: Endpoint) -> Endpoint:
    """Errors become pages too: what went wrong, in a sentence. Who has to log in is led to where one does."""

    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        try:
            identified(request)
            return await endpoint(request)
        except Unauthenticated:
            if request.method == "GET" and "hx-request" not in request.headers:
                where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(path("login", next=where), 303)
            return _failure(request, 401, "Nobody is logged in any more: log in again, then repeat this.")
        except HTTPException as error:
            return _failure(request, error.status_code, str(error.detail))
        except TowpathError as error:
            return _failure(request, status_of(error), str(error))

    return guarded


def _failure(request: Request, status: int, message: str) -> Response:
    if "hx-request" in request.headers:
        return fragment(render("failure.html", message=message), status, failed={"message": message})
    return framed(request, "error.html", status=status, message=message, code=status)


def newest_first(freight: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Names of Freight."""

    def key(name: str) -> tuple[str, str]:
        return str(freight[name].get("discoveredAt") or ""), name

    return sorted(freight, key=key, reverse=True)


def found(kind: str, name: str, project: str, among: Mapping[str, Resource]) -> Resource:
    """One of a Snapshot's resources. Raises NotFound."""
    if name not in among:
        raise NotFound(f"{kind} {name} not found in Project {project}")
    return among[name]


def aliases_of(snapshot: Snapshot) -> dict[str, str]:
    return {name: str(freight.get("alias") or "") for name, freight in snapshot.freight.items()}


def now() -> datetime:
    return datetime.now(UTC)
