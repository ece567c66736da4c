"""The list of Projects, watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from model.roles import Verb, may
from starter.errors import TowpathError
from starter.shapes import Resource
from web.access.guard import grants_of
from web.api.caller import Caller
from web.api.errors import sentence_of
from web.api.watching import KEEPALIVE, difference, failure, stream

#: Seconds between two looks; the list is shared by all who watch.
PERIOD = 1.0


async def watch_projects(caller: Caller) -> StreamingResponse:
    """The stream of Projects that one may view."""
    return stream(_changes(caller, await _visible(caller)))


async def _visible(caller: Caller) -> dict[str, Resource]:
    grants = await grants_of(caller.request)
    shown = {project["metadata"]["name"]: project for project in await caller.boards.projects()}
    return {name: project for name, project in shown.items() if may(grants, Verb.VIEW, name)}


async def _changes(caller: Caller, present: dict[str, Resource]) -> AsyncIterator[str]:
    known: dict[str, Resource] = {}
    told = time.monotonic()
    yield ": watching\n\n"
    while True:
        for line in difference(known, present):
            told = time.monotonic()
            yield line
        known = present
        if time.monotonic() - told > KEEPALIVE:
            told = time.monotonic()
            yield ": keepalive\n\n"
        await asyncio.sleep(PERIOD)
        try:
            present = await _visible(caller)
        except TowpathError as error:
            yield failure("unavailable", sentence_of(error))
            return
