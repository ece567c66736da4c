"""Pages that stay as the server has them: one drawing for all who look, and a stream of what changed in it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from model.base import Json
from starter.errors import NotFound, TowpathError
from web.board.snapshot import Snapshot
from web.pages.scene import Scene, Shot, patch

#: Seconds of silence after which a stream says that it is still there, and asks again whether it may be read.
BEAT = 5.0
#: Drawings remembered, so that a browser that comes back, or comes second, gets what changed alone.
_SHOTS = 400


class Gallery:
    """Drawings of pages, by page; each is made once, whoever looks."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Hashable, tuple[Hashable, Shot]] = OrderedDict()
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._making: dict[Hashable, asyncio.Lock] = {}

    async def shot(self, page: Hashable, marker: Hashable, draw: Callable[[], Awaitable[Scene]]) -> Shot:
        """The page, drawn anew where `marker` is another than last time."""
        lock = self._making.setdefault(page, asyncio.Lock())
        async with lock:
            known = self._latest.get(page)
            if known is None or known[0] != marker:
                known = (marker, Shot.of(await draw()))
                self._latest[page] = known
            self._latest.move_to_end(page)
            self._keep(known[1])
            return known[1]

    def scene(self, digest: str) -> Scene | None:
        """What a browser shows that names this digest, as far as it is remembered."""
        return self._scenes.get(digest)

    def _keep(self, shot: Shot) -> None:
        self._scenes[shot.digest] = shot.scene
        self._scenes.move_to_end(shot.digest)
        while len(self._scenes) > _SHOTS:
            self._scenes.popitem(last=False)
        while len(self._latest) > _SHOTS:
            page, _ = self._latest.popitem(last=False)
            self._making.pop(page, None)


def event(name: str, data: Json) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def stream(
    snapshots: AsyncIterator[Snapshot],
    shoot: Callable[[Snapshot], Awaitable[Shot]],
    shown: Scene | None,
    allowed: Callable[[], Awaitable[object]],
    restless: bool = False,
    leaving: asyncio.Event | None = None,
) -> StreamingResponse:
    """What changes in a page from what a browser shows, for as long as it listens and `allowed` does not raise.

    `restless`: it shows more than the Snapshot knows, so it is looked at each second. `leaving`: set when the server
    ends, which no stream must hold up.
    """
    return StreamingResponse(
        _events(snapshots, shoot, shown, allowed, restless, leaving or asyncio.Event()),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    snapshots: AsyncIterator[Snapshot],
    shoot: Callable[[Snapshot], Awaitable[Shot]],
    shown: Scene | None,
    allowed: Callable[[], Awaitable[object]],
    restless: bool,
    leaving: asyncio.Event,
) -> AsyncIterator[bytes]:
    yield event("beat", {})
    told, asked = time.monotonic(), time.monotonic()
    snapshot: Snapshot | None = None
    following = asyncio.ensure_future(_next(snapshots))
    ending = asyncio.ensure_future(leaving.wait())
    try:
        while True:
            done, _ = await asyncio.wait(
                {following, ending}, timeout=1.0 if restless else BEAT, return_when=asyncio.FIRST_COMPLETED
            )
            if ending.done():
                return
            if time.monotonic() - asked > BEAT:
                await allowed()
                asked = time.monotonic()
            if done:
                snapshot = following.result()
                following = asyncio.ensure_future(_next(snapshots))
            if snapshot is not None and (done or restless):
                shot = await shoot(snapshot)
                news = patch(shown, shot) if shown is not shot.scene else {}
                shown = shot.scene
                if news.get("parts") or news.get("lists"):
                    yield event("patch", news)
                    told = time.monotonic()
            if time.monotonic() - told > BEAT:
                yield event("beat", {})
                told = time.monotonic()
    except NotFound as error:
        yield event("gone", {"message": str(error)})
    except HTTPException as error:
        # It may not be read any more.
        yield event("gone", {"message": str(error.detail)})
    except (TowpathError, StopAsyncIteration):
        # The browser comes again, and says so meanwhile.
        return
    finally:
        following.cancel()
        ending.cancel()
        await asyncio.gather(following, ending, return_exceptions=True)
        if isinstance(snapshots, AsyncGenerator):
            await snapshots.aclose()


async def _next(snapshots: AsyncIterator[Snapshot]) -> Snapshot:
    return await anext(snapshots)
