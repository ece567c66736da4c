"""Who may see and do what on the page; asked over HTTP, as a browser or anybody else would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.roles import Claims, Grant, RoleKind
from starter.client import Towpath
from tests.pages.serving import page_app
from tests.pages.yard import SECOND, Yard
from web.access.identity import Identity, user
from web.board.boards import Boards
from web.pages.actions import ACTIONS
from web.pages.routes import page_routes
from workflows.settings import WebSettings

VIEWER = (Grant(RoleKind.VIEWER, "shop"),)
PROMOTER = (Grant(RoleKind.PROMOTER, "shop", ("staging",)),)
STRANGER = (Grant(RoleKind.ADMIN, "other"),)


class As:
    """Everybody who asks is this person."""

    def __init__(self, app: ASGIApp, grants: Sequence[Grant] | None) -> None:
        self._app, self._grants = app, grants

    async def grants(self, identity: Identity, project: str | None = None) -> Sequence[Grant]:
        return self._grants or ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = None if self._grants is None else user(Claims(email="someone@example.com"))
        scope.setdefault("state", {}).update(identity=identity, access=self, asked=[], csrf="token", denied=False)
        await self._app(scope, receive, send)


@asynccontextmanager
async def asking(yard: Yard, grants: Sequence[Grant] | None) -> AsyncIterator[httpx.AsyncClient]:
    app = As(Starlette(routes=page_routes(cast(Towpath, yard), cast(Boards, yard))), grants)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def test_who_has_no_session_is_led_to_the_login_and_back() -> None:
    async with asking(Yard.small(), None) as client:
        answer = await client.get("/projects/shop?view=list")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fprojects%2Fshop%3Fview%3Dlist")
        assert (await client.post("/projects/shop/stages/dev/promote")).status_code == 401
        assert (await client.get("/login", params={"next": "/projects/shop", "failed": "password"})).status_code == 200
        assert "//evil" not in (await client.get("/login", params={"next": "//evil.example.com"})).text
        assert (await client.get("/static/towpath.css")).status_code == 200
        for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fpyproject.toml"):
            assert (await client.get(path)).status_code == 404


async def test_a_viewer_sees_everything_and_is_offered_nothing() -> None:
    yard = Yard.small()
    async with asking(yard, VIEWER) as client:
        for path in (
            "",
            "/stages/staging",
            "/stages/staging/panel",
            "/warehouses/cargo",
            f"/freight/{'b' * 40}",
            "/settings",
        ):
            answer = await client.get(f"/projects/shop{path}")
            assert answer.status_code == 200, path
            for word in ("Promote…", "Freeze…", "Verify again…", "Rename…", "Approve…", "Make Freight…", "Look now"):
                assert word not in answer.text, path
        for action in ACTIONS:
            where = action.path.format(stage="staging", name="staging.1.2" if action.kind == "Promotion" else "cargo")
            answer = await client.post(f"/projects/shop/{where}", data={"freight": SECOND["alias"], "reason": "x"})
            assert answer.status_code == 403, where
            assert "someone@example.com may not" in answer.text
    assert yard.done == []


async def test_a_promoter_of_some_stages_acts_on_those_alone_and_is_named() -> None:
    yard = Yard.small()
    async with asking(yard, PROMOTER) as client:
        assert "Promote…" in (await client.get("/projects/shop/stages/staging/panel")).text
        assert "Promote…" not in (await client.get("/projects/shop/stages/dev/panel")).text
        form = {"freight": "green-quail"}
        answer = await client.post("/projects/shop/stages/staging/promote", data=form)
        assert answer.status_code == 204
        assert "green-quail goes to staging" in answer.headers["hx-trigger"]
        assert (await client.post("/projects/shop/stages/dev/promote", data=form)).status_code == 403
        assert (await client.post("/projects/shop/stages/staging/freeze", data={"reason": "x"})).status_code == 403
        override = form | {"override": "it burns"}
        assert (await client.post("/projects/shop/stages/staging/promote", data=override)).status_code == 403
        # Downstream of staging is prod, a control-flow Stage; downstream of prod are Stages of others.
        assert (await client.post("/projects/shop/stages/prod/downstream", data=form)).status_code == 403
    assert yard.done == ["promote staging aaaaaaa by email:someone@example.com", "wrote shop Stage staging"]


async def test_a_stranger_learns_nothing() -> None:
    async with asking(Yard.small(), STRANGER) as client:
        there, nowhere = [await client.get(f"/projects/{name}") for name in ("shop", "nowhere")]
        assert there.status_code == nowhere.status_code == 403
        assert there.text.replace("shop", "nowhere") == nowhere.text
        for path in ("live", "index", "stages/dev/live", f"freight/{'a' * 40}/reach", "stages/dev/preview"):
            assert (await client.get(f"/projects/shop/{path}")).status_code == 403, path
        assert "shop" not in (await client.get("/projects")).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/projects/nowhere", 404),
        ("/projects/shop/stages/nowhere", 404),
        ("/projects/shop/freight/nowhere/reach", 404),
        ("/projects/shop/promotions/nowhere", 404),
        ("/projects/shop/stages/%3Cscript%3E", 404),
        ("/projects/shop/stages/dev/promote?freight=nowhere", 404),
        ("/projects/shop/stages/prod/promote", 409),
        ("/projects/shop?group=%3Cscript%3E&open=%27%22&freight=x", 200),
    ],
)
async def test_what_is_not_there_is_said_so(tmp_path: Path, path: str, status: int) -> None:
    app = page_app(Yard.small(), WebSettings(data_directory=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert "<script>" not in answer.text
    assert "unsafe" not in answer.headers["content-security-policy"]


async def test_a_stream_does_not_hold_up_the_end_of_the_server() -> None:
    yard, leaving = Yard.small(), asyncio.Event()
    app = Starlette(routes=page_routes(cast(Towpath, yard), cast(Boards, yard)))
    app.state.leaving = leaving
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if b"event: patch" in message.get("body", b""):
            leaving.set()

    scope = {"type": "http", "method": "GET", "path": "/projects/shop/live", "headers": [], "query_string": b""}
    await asyncio.wait_for(As(app, VIEWER)(scope | {"app": app, "root_path": ""}, receive, send), 10)
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
