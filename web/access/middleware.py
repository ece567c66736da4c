"""What every request passes: where it comes from, who sends it, what is written down, and headers of the answer.

It leaves in `request.state`: `identity` (None: nobody knows), `session` (of a page), `csrf` (what a page sends along as
the header X-CSRF-Token with whatever changes something; empty where none is needed), `access`, and what `guard` notes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.errors import TowpathError
from web.access.access import Access, Found
from web.access.audit import Outcome
from web.access.headers import secure
from web.access.origin import SAFE, host_problem, site_problem

logger = logging.getLogger("towpath.access")

#: The header by which pages show that they are ours.
CSRF_HEADER = "x-csrf-token"
#: Paths that check by themselves whose the session is.
_OWN_CHECK = ("/auth/logout",)


class AccessMiddleware:
    """Around the whole application. `exempt`: beginnings of paths that know their senders in a way of their own."""

    def __init__(self, app: ASGIApp, access: Access, exempt: Sequence[str] = ()) -> None:
        self._app, self._access = app, access
        self._exempt = tuple(exempt)
        url = urlsplit(access.settings.web_url)
        self._own_url = access.settings.web_url
        self._own_host = url.hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if self._is_exempt(scope["path"]):
            await self._app(scope, receive, self._answering(request, send, None))
            return
        state = request.state
        state.access, state.asked, state.noted = self._access, [], []
        state.identity = state.session = None
        state.csrf, state.problem = "", ""
        state.denied = state.audited = False
        refusal, found = await self._admit(request)
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        answering = self._answering(request, watched, found)
        try:
            if refusal is not None:
                await refusal(scope, receive, answering)
            else:
                await self._app(scope, receive, answering)
        finally:
            await self._write_down(request, status)

    def _is_exempt(self, path: str) -> bool:
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._exempt)

    async def _admit(self, request: Request) -> tuple[Response | None, Found | None]:
        """What is answered at once, and who sends the request."""
        access, state = self._access, request.state
        if not access.settings.web_api:
            return JSONResponse({"error": "not found"}, 404), None
        if access.open and (problem := host_problem(request.headers, self._own_host)):
            return self._refused(request, problem), None
        try:
            found = await self._found(request)
        except TowpathError as error:
            # Its words name addresses and commands: they are for the log.
            logger.error("who sends a request can't be found out: %s", error)
            answer = JSONResponse({"error": "temporarily unavailable, try again"}, 503, {"Retry-After": "5"})
            return answer, None
        state.identity, state.session, state.problem = found.identity, found.session, found.problem
        if found.session is not None:
            state.csrf = access.sessions.csrf(found.session)
        # A token is nothing that a browser sends by itself; without a login, being on this machine is.
        if (access.open or not found.bearer) and (
            problem := site_problem(request.method, request.headers, request.url.scheme, self._own_url)
        ):
            return self._refused(request, problem), found
        if found.session is not None and request.method not in SAFE and request.url.path not in _OWN_CHECK:
            sent = request.headers.get(CSRF_HEADER, "")
            if not access.sessions.csrf_fits(found.session, sent):
                return self._refused(request, "the page is out of date: reload it, and try again"), found
        return None, found

    async def _found(self, request: Request) -> Found:
        if request.url.path == "/v1beta1/login":
            # There the password stands where a token does elsewhere.
            return Found(None)
        return await self._access.find(request)

    def _refused(self, request: Request, problem: str) -> Response:
        request.state.denied = True
        return JSONResponse({"error": problem}, 403)

    def _answering(self, request: Request, send: Send, found: Found | None) -> Send:
        encrypted = self._access.encrypted(request)
        api = request.url.path.startswith("/v1beta1")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                secure(headers, api=api, encrypted=encrypted)
                self._keep_session(request, headers, found)
            await send(message)

        return answer

    def _keep_session(self, request: Request, headers: MutableHeaders, found: Found | None) -> None:
        """Sends the cookie again now and then, so that a session in use does not end as an idle one."""
        if found is None or found.session is None or "set-cookie" in headers:
            return
        touched = self._access.sessions.touched(found.session)
        if touched is None:
            return
        carrier = Response()
        name = self._access.session_cookie(request)
        self._access.set_cookie(request, carrier, name, self._access.sessions.seal(touched))
        headers.append("set-cookie", carrier.headers["set-cookie"])

    async def _write_down(self, request: Request, status: int) -> None:
        state = request.state
        changing = request.method not in SAFE
        refused_token = status == 401 and bool(state.problem)
        if state.audited or not (changing or state.denied or refused_token):
            return
        outcome = Outcome.DONE if status < 400 else Outcome.DENIED if status in (401, 403) else Outcome.FAILED
        verbs = list(dict.fromkeys(str(asked[0]) for asked in state.asked))
        projects = list(dict.fromkeys(asked[1] for asked in state.asked if asked[1]))
        stages = list(dict.fromkeys(asked[2] for asked in state.asked if asked[2]))
        await asyncio.to_thread(
            self._access.audit.write,
            actor=state.identity.actor if state.identity else "",
            address=address_of(request),
            verb=",".join(verbs) or request.method.lower(),
            outcome=outcome,
            project=",".join(projects),
            stage=",".join(stages),
            method=request.method,
            path=request.url.path,
            objects=list(state.noted)[:100],
            status=status,
            problem=state.problem,
        )


def address_of(request: Request) -> str:
    """Where a request comes from: of what a trusted proxy passed on, where that had it from."""
    return request.client.host if request.client else ""
