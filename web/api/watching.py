"""`?watch=true`: server-sent events in Kargo's format, one `data: {"type": …, "object": …}` for each change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from model.base import Json
from model.roles import Verb
from starter.errors import NotFound, TowpathError
from starter.shapes import Resource
from web.api.caller import Caller
from web.api.errors import sentence_of
from web.board.snapshot import Snapshot

#: Seconds between two signs of life, and between two looks whether the watcher still may.
KEEPALIVE = 15.0

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Connection": "keep-alive"}

#: What of a Snapshot is watched: resources by name.
Pick = Callable[[Snapshot], Mapping[str, Resource]]


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


def event(kind: str, shown: Json) -> str:
    """One event: ADDED, MODIFIED or DELETED."""
    return f"data: {json.dumps({'type': kind, 'object': shown}, separators=(',', ':'))}\n\n"


def failure(code: str, message: str) -> str:
    """The last event of a stream that can't go on."""
    return f"event: error\ndata: {json.dumps({'code': code, 'message': message})}\n\n"


async def watch(caller: Caller, project: str, pick: Pick, version: str = "") -> StreamingResponse:
    """The stream of what `pick` takes. Raises as `Boards.snapshot` does, before anything is sent.

    `version`: of the list that is known already; where it is still the present one, nothing of it is sent again.
    """
    await caller.boards.snapshot(project)
    return stream(signed(caller, project, _changes(caller, project, pick, version)))


async def _changes(caller: Caller, project: str, pick: Pick, version: str) -> AsyncIterator[str]:
    known: Mapping[str, Resource] = {}
    first = True
    try:
        async for snapshot in caller.boards.changes(project):
            present = pick(snapshot)
            if first and version and version == snapshot.version:
                known = present
            first = False
            for line in difference(known, present, caller.shown):
                yield line
            known = present
    except NotFound as error:
        for name in known:
            yield event("DELETED", caller.shown(known[name]))
        yield failure("not_found", str(error))
    except TowpathError as error:
        yield failure("unavailable", sentence_of(error))


def difference(
    known: Mapping[str, Resource],
    present: Mapping[str, Resource],
    as_shown: Callable[[Resource], Resource] = lambda shown: shown,
) -> list[str]:
    """The events that lead from what is known to what there is."""
    events = [event("DELETED", as_shown(known[name])) for name in known if name not in present]
    for name, shown in present.items():
        if name not in known:
            events.append(event("ADDED", as_shown(shown)))
        elif known[name] is not shown and known[name] != shown:
            events.append(event("MODIFIED", as_shown(shown)))
    return events


async def signed(caller: Caller, project: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The events, a comment where there are none for a while, and an end when the watcher may no longer watch."""
    # A first sign tells that the stream is there, where there is nothing to tell yet.
    yield ": watching\n\n"
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=KEEPALIVE)
            if not done:
                try:
                    await caller.may(Verb.VIEW, project)
                except HTTPException as refusal:
                    yield failure("permission_denied", str(refusal.detail))
                    return
                yield ": keepalive\n\n"
                continue
            line = coming.result()
            if line is None:
                return
            yield line
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await coming
        if hasattr(events, "aclose"):
            await events.aclose()
