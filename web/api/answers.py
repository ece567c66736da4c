"""Answers of reads: JSON with an ETag, compressed where that is understood, and 304 where it is known already."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response

from model.base import Json

#: Smaller answers are not compressed.
_SMALLEST = 1024
#: Larger ones are made in a thread of their own.
_LARGE = 256 * 1024
#: Bytes of answers kept, so that what hasn't changed is not made again.
_KEPT = 32 * 1024 * 1024


class Answers:
    """Makes answers, and keeps the last ones that were made of something with a version."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], bytes] = OrderedDict()
        self._size = 0

    async def json(self, request: Request, value: Json, version: str = "") -> Response:
        """The answer. `version`: changes whenever the value does, for this path and query; empty: of its content."""
        key_path = f"{request.url.path}?{request.url.query}"
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'W/"{hashlib.sha256(f"{key_path} {version}".encode()).hexdigest()[:24]}"' if version else ""
        if tag and _known(request, tag):
            return _unchanged(tag)
        key = (key_path, tag, zipped)
        body = self._kept.get(key) if tag else None
        if body is None:
            body, tag = await self._make(value, tag, zipped)
            self._keep((key_path, tag, zipped), body)
        else:
            self._kept.move_to_end(key)
        if _known(request, tag):
            return _unchanged(tag)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if zipped and body[:2] == b"\x1f\x8b":
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type="application/json", headers=headers)

    async def _make(self, value: Json, tag: str, zipped: bool) -> tuple[bytes, str]:
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        tag = tag or f'W/"{hashlib.sha256(plain).hexdigest()[:24]}"'
        if not zipped or len(plain) < _SMALLEST:
            return plain, tag
        if len(plain) < _LARGE:
            return gzip.compress(plain, 3), tag
        return await asyncio.to_thread(gzip.compress, plain, 1), tag

    def _keep(self, key: tuple[str, str, bool], body: bytes) -> None:
        if len(body) < _SMALLEST or key in self._kept:
            return
        self._kept[key] = body
        self._size += len(body)
        while self._size > _KEPT:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)


def _known(request: Request, tag: str) -> bool:
    wanted = request.headers.get("if-none-match", "")
    bare = tag.removeprefix("W/")
    return any(entry.strip().removeprefix("W/") in (bare, "*") for entry in wanted.split(",") if entry.strip())


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})
