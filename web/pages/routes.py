"""All addresses of the page."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from starter.client import Towpath
from web.board.boards import Boards
from web.pages.actions import ACTIONS, Actions
from web.pages.detail_pages import DetailPages
from web.pages.login_page import login
from web.pages.pipeline_page import PipelinePage
from web.pages.site import Endpoint, Site, page

STATIC = Path(__file__).parent.parent / "static"
_PROJECT = "/projects/{project}"

#: Pages of lists and details, by kind: what stands below the Project. Lists first: `freight/live` is no Freight.
_DETAILS = {
    "all-freight": "freight",
    "all-promotions": "promotions",
    "all-events": "events",
    "settings": "settings",
    "stages": "stages/{name}",
    "warehouses": "warehouses/{name}",
    "freight": "freight/{name}",
    "promotions": "promotions/{name}",
    "verifications": "verifications/{name}",
}


class _Static(StaticFiles):
    """Files that browsers keep, and ask about: a new release is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def page_routes(towpath: Towpath, boards: Boards, temporal_ui: str = "") -> list[BaseRoute]:
    """What the application includes. `temporal_ui`: URL of Temporal's own UI, for links; empty: none is known."""
    site = Site(towpath, boards, temporal_ui)
    pipeline, details, actions = PipelinePage(site), DetailPages(site), Actions(site)
    routes: list[BaseRoute] = [
        _get("/", details.start),
        _get("/projects", details.projects),
        Route("/login", login, methods=["GET"]),
        Mount("/static", _Static(directory=STATIC)),
        _get(_PROJECT, pipeline.show),
        _get(f"{_PROJECT}/live", pipeline.live),
        _get(f"{_PROJECT}/index", pipeline.index),
        _get(f"{_PROJECT}/freight/{{freight}}/reach", pipeline.reach),
        _get(f"{_PROJECT}/stages/{{stage}}/panel", pipeline.stage_panel),
        _get(f"{_PROJECT}/stages/{{stage}}/preview", pipeline.preview),
        _get(f"{_PROJECT}/warehouses/{{warehouse}}/panel", pipeline.warehouse_panel),
    ]
    for action in ACTIONS:
        where = f"{_PROJECT}/{action.path}"
        if action.template:
            routes.append(_get(where, actions.dialog(action)))
        routes.append(Route(where, page(actions.post(action)), methods=["POST"]))
    for kind, where in _DETAILS.items():
        routes.append(_get(f"{_PROJECT}/{where}/live", details.live(kind)))
        routes.append(_get(f"{_PROJECT}/{where}", details.show(kind)))
    return routes


def _get(where: str, endpoint: Endpoint) -> Route:
    return Route(where, page(endpoint), methods=["GET"])
