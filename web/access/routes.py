"""Logging in and out of the page: `/auth/login`, `/auth/oidc`, `/auth/callback`, `/auth/logout`.

The page that asks, `GET /login`, belongs to the pages. It posts `password` and `next` to `/auth/login`, and has a link
(no form: the policy lets none lead elsewhere) to `/auth/oidc?next=…`. It is come back to with `failed=password`,
`failed=oidc` or `wait=SECONDS`.
"""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from starter.errors import TowpathError
from web.access.access import Access
from web.access.audit import Outcome
from web.access.middleware import CSRF_HEADER, address_of
from web.access.oidc_login import PATIENCE, LoginFailed, safe_path
from web.access.provider import ProviderError

logger = logging.getLogger("towpath.access")

#: The page that asks for a password.
LOGIN = "/login"
#: The largest form that is read, in bytes.
_LARGEST = 16 * 1024


class TooManyAttempts(Exception):
    """Too many failed from there, or together. `wait`: seconds until the next may be made."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many attempts failed; try again in {wait} seconds")
        self.wait = wait


async def check_password(request: Request, password: str) -> bool:
    """Whether it is the local admin's: what both ways to log in by it ask. Writes it down. Raises TooManyAttempts."""
    access: Access = request.state.access
    request.state.audited = True
    address = address_of(request)
    wait = access.limit.begin(address)
    if wait:
        await written(request, Outcome.DENIED, "admin", why="too many attempts")
        raise TooManyAttempts(wait)
    fits = access.open or (access.password is not None and await access.password.fits(password))
    if fits:
        access.limit.succeeded(address)
    await written(request, Outcome.DONE if fits else Outcome.DENIED, "admin", why="" if fits else "wrong password")
    return fits


async def written(request: Request, outcome: Outcome, actor: str, *, verb: str = "login", why: str = "") -> None:
    """A login, or its end, in the audit log."""
    access: Access = request.state.access
    request.state.audited = True
    await asyncio.to_thread(
        access.audit.write, actor=actor, address=address_of(request), verb=verb, outcome=outcome, problem=why
    )


def auth_routes() -> list[Route]:
    """What the application includes."""
    return [
        Route("/auth/login", _login, methods=["POST"]),
        Route("/auth/oidc", _begin, methods=["GET"]),
        Route("/auth/callback", _end, methods=["GET"]),
        Route("/auth/logout", _logout, methods=["POST"]),
    ]


async def _login(request: Request) -> Response:
    access: Access = request.state.access
    form = await _form(request)
    if form is None:
        return JSONResponse({"error": "the form is too large"}, 413)
    back_to = safe_path(form.get("next", ""))
    try:
        fits = access.password is not None and await check_password(request, form.get("password", ""))
    except TooManyAttempts as error:
        return _again(back_to, wait=str(error.wait))
    if not fits:
        return _again(back_to, failed="password")
    response = RedirectResponse(back_to, 303)
    await access.begin_session(request, response, access.sessions.begin_admin())
    return response


async def _begin(request: Request) -> Response:
    access: Access = request.state.access
    back_to = safe_path(request.query_params.get("next", ""))
    if access.oidc is None:
        return JSONResponse({"error": "OpenID Connect is not configured: set TOWPATH_OIDC_ISSUER"}, 404)
    try:
        where, cookie = await access.oidc.begin(f"{access.base_url(request)}/auth/callback", back_to)
    except ProviderError as error:
        logger.error("nobody can log in by OpenID Connect: %s", error)
        return _again(back_to, failed="oidc")
    response = RedirectResponse(where, 303, {"Cache-Control": "no-store"})
    access.set_cookie(request, response, access.login_cookie(request), cookie, PATIENCE)
    return response


async def _end(request: Request) -> Response:
    access: Access = request.state.access
    if access.oidc is None:
        return JSONResponse({"error": "OpenID Connect is not configured: set TOWPATH_OIDC_ISSUER"}, 404)
    query, name = request.query_params, access.login_cookie(request)
    try:
        person, back_to = await access.oidc.end(
            request.cookies.get(name, ""), query.get("state", ""), query.get("code", ""), query.get("iss", "")
        )
        session = access.sessions.begin_user(person.claims, person.name)
        response: Response = RedirectResponse(back_to, 303)
        await access.begin_session(request, response, session)
    except (LoginFailed, ProviderError, ValueError) as error:
        logger.warning("a login by OpenID Connect failed: %s", error)
        await written(request, Outcome.DENIED, "", why=str(error))
        response = _again("/", failed="oidc")
    except TowpathError as error:
        logger.error("a login by OpenID Connect can't be ended: %s", error)
        return JSONResponse({"error": "temporarily unavailable, try again"}, 503)
    else:
        await written(request, Outcome.DONE, session.identity.actor)
    access.set_cookie(request, response, name, "")
    return response


async def _logout(request: Request) -> Response:
    access: Access = request.state.access
    session = request.state.session
    if session is not None:
        sent = request.headers.get(CSRF_HEADER) or (await _form(request) or {}).get("csrf", "")
        if not access.sessions.csrf_fits(session, sent):
            request.state.denied = True
            return JSONResponse({"error": "the page is out of date: reload it, and try again"}, 403)
        access.sessions.end(session)
        await written(request, Outcome.DONE, session.identity.actor, verb="logout")
    response = RedirectResponse(LOGIN, 303)
    access.set_cookie(request, response, access.session_cookie(request), "")
    return response


def _again(back_to: str, **why: str) -> RedirectResponse:
    query = {**why, "next": back_to} if back_to != "/" else why
    return RedirectResponse(f"{LOGIN}?{urlencode(query)}", 303)


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None: it is too large. Files, which Starlette's own reading takes, are none of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            return None
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=20))
    except ValueError:
        return None
