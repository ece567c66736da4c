"""A Towpath for tests of who may: remembers roles and tokens as the workflows do, and the application upon it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from model.api_tokens import AccessView, ApiToken, CreateTokenRequest, with_token, without_token
from model.api_tokens import TokenRefused as Refusal
from model.roles import Verb
from starter.client import Towpath
from starter.deleting import Reference
from starter.errors import NotFound, Refused, TowpathError, WorkerSilent
from starter.listing import ProjectLine, ProjectSummary
from web.access.access import Access
from web.access.guard import identified, permit
from web.access.limit import LoginLimit
from web.access.middleware import AccessMiddleware
from web.access.provider import Provider
from web.access.roster import Roster
from web.access.routes import auth_routes
from web.api.accounts import access_routers
from workflows.settings import WebSettings

#: The local admin's password in these tests, and its hash, by a cheaper way than people's.
PASSWORD = "a password for tests"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASH = CHEAP.hash(PASSWORD)
KEY = "k" * 40


@dataclass
class Village:
    """Plays starter's client, for roles and tokens."""

    roles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens: dict[str, list[ApiToken]] = field(default_factory=dict)
    actor: str = ""
    #: Questions asked: `lines`, `access shop`.
    asked: list[str] = field(default_factory=list)
    silent: bool = False

    def project(self, name: str, *declared: dict[str, Any]) -> None:
        self.roles[name] = list(declared)

    def acting(self, actor: str) -> Village:
        other = copy(self)
        other.actor = actor
        return other

    async def project_lines(self) -> list[ProjectLine]:
        self._ask("lines")
        return [
            ProjectLine(name=name, summary=ProjectSummary(access=self._digest(name)))
            for name in sorted(self.roles)
            if name
        ]

    async def access_view(self, project: str = "") -> AccessView:
        self._ask(f"access {project}".strip())
        if project and project not in self.roles:
            raise NotFound(f"Project {project} not found")
        return AccessView(roles=self.roles.get(project, []), tokens=self.tokens.get(project, []))

    async def create_token(self, project: str, name: str, role: str, hashed: str, lifetime: timedelta) -> None:
        request = CreateTokenRequest(name=name, role=role, hash=hashed, lifetime=lifetime, actor=self.actor)
        try:
            self.tokens[project] = with_token(self.tokens.get(project, []), request, datetime.now(UTC))
        except Refusal as error:
            raise Refused(str(error)) from error

    async def revoke_token(self, project: str, name: str) -> None:
        try:
            self.tokens[project] = without_token(self.tokens.get(project, []), name)
        except Refusal as error:
            raise NotFound(str(error)) from error

    async def check_there(self, reference: Reference) -> None:
        if reference.name not in self.roles:
            raise NotFound(f"Project {reference.name} not found")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.silent:
            raise WorkerSilent("the server at 192.0.2.1 is there, but nobody answered")

    def _digest(self, name: str) -> str:
        held = AccessView(roles=self.roles[name], tokens=self.tokens.get(name, []))
        if not held.roles and not held.tokens:
            return ""
        return hashlib.sha256(held.model_dump_json().encode()).hexdigest()[:16]


def settings(directory: Path, **more: Any) -> WebSettings:
    """Settings of a web where the local admin logs in; `web_admin_password_hash=None` and nobody has to."""
    given: dict[str, Any] = {"web_admin_password_hash": HASH, "web_key": KEY, **more}
    return WebSettings(data_directory=directory, **given)


@asynccontextmanager
async def served(
    village: Village,
    settings: WebSettings,
    *,
    base_url: str = "http://127.0.0.1:8080",
    provider: Provider | None = None,
    limit: LoginLimit | None = None,
    fresh: float = 0.0,
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, or a program, before the application. `fresh`: seconds for which roles are not asked for again."""
    towpath = cast(Towpath, village)
    access = Access(towpath, settings, roster=Roster(towpath, fresh=fresh, pause=fresh), provider=provider, limit=limit)
    app = AccessMiddleware(application(), access, ["/webhooks"])
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client
    await access.close()


@cache
def application() -> FastAPI:
    """The paths of `web/access` and those of the API that are about it, and some to probe with."""
    app = FastAPI(routes=list(auth_routes()))

    async def told(_: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        status = {NotFound: 404, Refused: 409, WorkerSilent: 503}.get(type(error), 400)
        return JSONResponse({"error": str(error)}, status)

    app.add_exception_handler(HTTPException, told)
    app.add_exception_handler(TowpathError, told)

    @app.get("/who")
    async def who(request: Request) -> Response:
        identity = identified(request)
        return JSONResponse({"actor": identity.actor, "csrf": request.state.csrf, "kind": identity.kind})

    @app.api_route("/v1beta1/probe/{project}/{stage}", methods=["GET", "POST"])
    async def probe(request: Request, project: str, stage: str) -> Response:
        identity = await permit(request, Verb.PROMOTE, project, stage)
        return JSONResponse({"actor": identity.actor})

    for router in access_routers():
        app.include_router(router, prefix="/v1beta1")
    return app


async def logged_in(client: httpx.AsyncClient, password: str = PASSWORD) -> str:
    """Logs in as a page does; the session stays in the client. Returns what it sends along with changes."""
    answer = await client.post("/auth/login", data={"password": password, "next": "/x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/x"), answer.text
    csrf: str = (await client.get("/who")).json()["csrf"]
    return csrf


async def admin_token(client: httpx.AsyncClient) -> dict[str, str]:
    """Logs in as Kargo's command line does; the header to send."""
    answer = await client.post("/v1beta1/login", headers=bearer(PASSWORD))
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["idToken"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def lines(file: Path) -> list[dict[str, Any]]:
    """The audit log."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
