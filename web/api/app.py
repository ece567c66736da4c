"""The REST API as an application of its own: everything below /v1beta1, and its OpenAPI document."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from starter.client import Towpath
from web.api import (
    errors,
    freezing,
    freight,
    projects,
    promotions,
    resources,
    shared,
    stages,
    system,
    tasks,
    verifications,
    warehouses,
)
from web.api.answers import Answers
from web.api.caller import House
from web.api.limits import Bounded
from web.api.shapes import ERRORS
from web.api.version import installed_version
from web.board.boards import Boards

PREFIX = "/v1beta1"

_DESCRIPTION = """\
Kargo's REST API v1beta1, as far as Towpath has what it is about, and below "Beyond Kargo" what only Towpath has.

Resources have Kubernetes' shape with Kargo's fields. Reads have an ETag; with `watch=true`, where it says so, they are
streams of server-sent events. Errors are `{"error": "a sentence"}`.
"""

#: In the order of the document.
ROUTERS = (
    projects.router,
    warehouses.router,
    stages.router,
    freight.router,
    promotions.router,
    verifications.router,
    tasks.router,
    shared.router,
    resources.router,
    system.router,
    freezing.router,
)


def build_api(towpath: Towpath, boards: Boards, *more: APIRouter) -> FastAPI:
    """The API upon a client. `more`: routers of other rooms, below the same prefix, as they are without it."""
    app = FastAPI(
        title="Towpath",
        version=installed_version(),
        description=_DESCRIPTION,
        openapi_url="/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        # A redirect would tell which paths are a slash short of one that is there.
        redirect_slashes=False,
        responses=ERRORS,
        separate_input_output_schemas=False,
    )
    app.state.house = House(towpath, boards, Answers())
    errors.install(app)
    for router in (*ROUTERS, *more):
        app.include_router(router, prefix=PREFIX)
    app.include_router(system.watching, prefix=PREFIX)
    app.add_middleware(Bounded)
    return app
