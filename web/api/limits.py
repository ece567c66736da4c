"""Bounds of requests: the size of a body, and how long it may take to come."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.api.errors import answer

#: The largest body, in bytes, and that of manifests; Kargo's.
MAX_BODY = 1024 * 1024
MAX_MANIFESTS = 4 * 1024 * 1024
#: Seconds in which a body must have come.
BODY_TIMEOUT = 30.0
#: The longest path and query, in bytes.
MAX_URL = 8 * 1024
#: Where manifests are sent to.
MANIFESTS = "/v1beta1/resources"


class _TooLarge(Exception):
    """The body goes on beyond its bound."""


class Bounded:
    """Answers 413, 408 or 414 where a request is beyond its bounds, before much of it is in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_MANIFESTS if scope["path"] == MANIFESTS else MAX_BODY
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_URL:
            await answer(414, "the URL is too long")(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            await answer(413, "request body too large")(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await _read(receive, limit)
        except _TooLarge:
            await answer(413, "request body too large")(scope, receive, send)
            return
        except TimeoutError:
            await answer(408, "the request body did not come in time")(scope, receive, send)
            return
        if body is None:
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None: whoever asked is gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
