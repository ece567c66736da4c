"""The application: everything that is served over HTTP, behind one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starter.client import Towpath
from web.access.identity import machine
from web.api.app import build_api
from web.board.boards import Boards
from web.webhooks.endpoint import Webhooks, not_found
from web.webhooks.receivers import Receivers
from web.webhooks.refresher import Refresher
from workflows.settings import WebSettings

#: Where the receivers lie, whatever else the base URL says.
WEBHOOKS = "/webhooks"


def build_app(
    towpath: Towpath,
    settings: WebSettings,
    *,
    receivers: Receivers | None = None,
    refresher: Refresher | None = None,
) -> Starlette:
    """The application upon a client. `receivers`, `refresher`: others than the settings make."""
    webhooks = Webhooks(
        receivers or Receivers(towpath, settings.credentials_directory), refresher or Refresher(towpath)
    )

    boards = Boards(towpath)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await boards.close()
        await webhooks.close()

    app = Starlette(
        routes=[
            Route("/healthz", _healthy),
            *_receivers(webhooks, settings),
            Mount("", build_api(towpath, boards)),
        ],
        exception_handlers={404: _absent, 405: _absent, 500: _failed},
        middleware=[Middleware(_OfThisMachine)],
        lifespan=lifespan,
    )
    # A redirect would tell which paths are a slash short of one that is there.
    app.router.redirect_slashes = False
    return app


def _receivers(webhooks: Webhooks, settings: WebSettings) -> Sequence[BaseRoute]:
    """Below /webhooks, and below the path of the base URL where that is another one."""
    bases = dict.fromkeys([WEBHOOKS, urlsplit(settings.webhook_base_url).path.rstrip("/")])
    if not settings.webhook_base_url:
        bases = dict.fromkeys([WEBHOOKS])
    return [Route(f"{base}/{{type}}/{{hash}}", webhooks.receive, methods=["POST"]) for base in bases]


class _OfThisMachine:
    """Everybody who reaches the loopback address is the admin of this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).update(identity=machine(), asked=[])
        await self._app(scope, receive, send)


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "internal error"}, 500)


async def _absent(_: Request, __: Exception) -> Response:
    return not_found()
