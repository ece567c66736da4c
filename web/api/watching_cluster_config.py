"""The ClusterConfig, watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from starter.errors import NotFound, TowpathError
from starter.shapes import Resource
from web.api.caller import Caller
from web.api.config import cluster_config
from web.api.errors import sentence_of
from web.api.watching import KEEPALIVE, difference, failure, stream

#: Seconds between two looks: it changes a few times a year.
PERIOD = 5.0


def watch_cluster_config(caller: Caller, present: Resource) -> StreamingResponse:
    return stream(_changes(caller, present))


async def _changes(caller: Caller, first: Resource) -> AsyncIterator[str]:
    known: dict[str, Resource] = {}
    present = {"cluster": first}
    told = time.monotonic()
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
            present = {"cluster": await cluster_config(caller)}
        except NotFound:
            present = {}
        except TowpathError as error:
            yield failure("unavailable", sentence_of(error))
            return
