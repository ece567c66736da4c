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

from model.receivers import SECRET_KEYS
from starter.client import Towpath
from web.access.access import Access
from web.access.middleware import AccessMiddleware
from web.access.routes import auth_routes
from web.api.accounts import access_routers
from web.api.app import build_api
from web.board.boards import Boards
from web.pages.routes import page_routes
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
    access: Access | None = None,
) -> Starlette:
    """The application upon a client. `receivers`, `refresher`, `access`: others than the settings make.

    Raises SettingsInvalid.
    """
    access = access or Access(towpath, settings)
    webhooks = Webhooks(
        receivers or Receivers(towpath, settings.credentials_directory), refresher or Refresher(towpath)
    )

    boards = Boards(towpath)
    pages = page_routes(towpath, boards, settings.temporal_ui_url)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await boards.close()
        await webhooks.close()
        await access.close()

    app = Starlette(
        routes=[
            Route("/healthz", _healthy),
            *auth_routes(),
            *_receivers(webhooks, settings),
            *pages,
            Mount("", build_api(towpath, boards, *access_routers())),
        ],
        middleware=[Middleware(AccessMiddleware, access=access, exempt=_knowing_their_senders(settings))],
        exception_handlers={404: _absent, 405: _absent, 500: _failed},
        lifespan=lifespan,
    )
    # A redirect would tell which paths are a slash short of one that is there.
    app.router.redirect_slashes = False
    return app


def _bases(settings: WebSettings) -> list[str]:
    """Of receivers: /webhooks, and the path of the base URL where that is another one."""
    bases = [WEBHOOKS]
    if settings.webhook_base_url:
        bases.append(urlsplit(settings.webhook_base_url).path.rstrip("/"))
    return list(dict.fromkeys(bases))


def _receivers(webhooks: Webhooks, settings: WebSettings) -> Sequence[BaseRoute]:
    return [Route(f"{base}/{{type}}/{{hash}}", webhooks.receive, methods=["POST"]) for base in _bases(settings)]


def _knowing_their_senders(settings: WebSettings) -> list[str]:
    """Beginnings of paths for which nobody logs in: receivers ask for secrets of their own."""
    return ["/healthz", *(f"{base}/{kind}" for base in _bases(settings) for kind in SECRET_KEYS)]


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "internal error"}, 500)


async def _absent(_: Request, __: Exception) -> Response:
    return not_found()
