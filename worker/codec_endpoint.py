"""Lets the Temporal UI show payloads: Temporal's remote codec protocol (`/encode`, `/decode`) over HTTP.

Without a token, whoever reaches it reads what is encrypted: it listens on loopback unless told otherwise, answers
only to the host names it is known by (so that no web page can reach it by renaming itself), and browsers let only the
UI's pages read its answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import uvicorn
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads

from workflows.converter import Codec, PayloadTooLarge, PayloadUnreadable

log = logging.getLogger("towpath.codec")

#: The largest request, in bytes: a page of history events with their payloads in base64.
MAX_BODY = 64 * 1024 * 1024


class BodyTooLarge(Exception):
    """A request is larger than MAX_BODY."""


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def application(codec: Codec, *, origins: Sequence[str], hosts: Sequence[str], token: str = "") -> Starlette:
    """The endpoint as an ASGI application.

    `origins` are the UI's addresses (`http://127.0.0.1:8233`), `hosts` the names by which it may be addressed. With a
    token, requests must carry `Authorization: Bearer <token>`.
    """

    def refused(request: Request) -> Response | None:
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return JSONResponse({"message": "the codec endpoint wants a bearer token"}, 401)
        # Also keeps out forms of foreign pages: a browser asks before it sends JSON elsewhere.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"message": "expected application/json"}, 415)
        return None

    async def transform(request: Request) -> Response:
        if refusal := refused(request):
            return refusal
        try:
            payloads = json_format.Parse(await _body(request), Payloads())
            change = codec.decode if request.url.path.endswith("/decode") else codec.encode
            changed = Payloads(payloads=await change(payloads.payloads))
        except (PayloadUnreadable, PayloadTooLarge) as error:
            return JSONResponse({"message": str(error)}, 400)
        except (json_format.ParseError, UnicodeDecodeError):
            return JSONResponse({"message": "expected Temporal payloads as JSON"}, 400)
        except BodyTooLarge:
            return JSONResponse({"message": f"a request may have {MAX_BODY} bytes at most"}, 413)
        text = json_format.MessageToJson(changed, indent=None)
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[Route(path, transform, methods=["POST"]) for path in ("/encode", "/decode")],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["POST"],
                allow_headers=["Authorization", "Content-Type", "X-Namespace"],
            ),
        ],
    )


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class CodecEndpoint:
    """The endpoint, served in this process; `async with` starts and stops it."""

    def __init__(self, codec: Codec, *, host: str = "127.0.0.1", port: int = 0, token: str = "") -> None:
        """Takes the port at once, some free one for 0. Raises OSError where it is taken."""
        self._codec, self._token = codec, token
        self._socket = socket.create_server((host, port))
        self._any = host in ("0.0.0.0", "::")  # noqa: S104  # compared, not bound
        self._host = host
        self._origins: list[str] = []
        self.port: int = self._socket.getsockname()[1]
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{'127.0.0.1' if self._any else self._host}:{self.port}"

    def allow(self, *origins: str) -> None:
        """Let these pages read answers. To be said before the endpoint is started."""
        self._origins.extend(origins)

    async def __aenter__(self) -> Self:
        hosts = {"127.0.0.1", "localhost"} if self._any else {self._host, "127.0.0.1", "localhost"}
        app = application(self._codec, origins=self._origins, hosts=sorted(hosts), token=self._token)
        self._server = _Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        )
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        log.info("the codec endpoint listens on %s", self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._socket.close()
