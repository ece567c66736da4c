"""`POST <base>/<type>/<hash>`: takes deliveries. Whoever doesn't know a path learns nothing."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from model.base import Json
from model.pushes import Push
from model.receivers import receiver_type
from starter.errors import TowpathError
from starter.receivers import Placed
from web.webhooks import generic
from web.webhooks.delivery import Delivery, Nothing, Refusal
from web.webhooks.receivers import Receivers
from web.webhooks.refresher import Refresher
from web.webhooks.senders import SENDERS

logger = logging.getLogger("towpath.webhooks")

#: The largest delivery, in bytes; Kargo's.
MAX_BODY = 2 * 1024 * 1024
#: Seconds in which it must have come.
BODY_TIMEOUT = 30.0
#: Deliveries held in memory at once.
BREADTH = 32


def not_found() -> Response:
    """The one answer to all that isn't there."""
    return JSONResponse({"error": "not found"}, 404)


class Webhooks:
    """All receivers of webhooks as one endpoint."""

    def __init__(self, receivers: Receivers, refresher: Refresher) -> None:
        self._receivers = receivers
        self._refresher = refresher
        self._gate = asyncio.Semaphore(BREADTH)

    async def receive(self, request: Request) -> Response:
        """Answers one delivery."""
        path = f"{request.path_params['type']}/{request.path_params['hash']}"
        try:
            receiver = await self._receivers.find(path)
            if receiver is None:
                return not_found()
            async with self._gate:
                delivery = Delivery(request.headers, await _body(request), request.query_params)
                status, answer = await self._take(delivery, receiver)
        except Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except TowpathError as error:
            # Its words name addresses and commands: they are for the log.
            logger.error("a delivery could not be taken: %s", error)
            return JSONResponse({"error": "temporarily unavailable, try again"}, 503, {"Retry-After": "10"})
        return JSONResponse(answer, status)

    async def close(self) -> None:
        """Does what was put off, and ends."""
        await self._refresher.close()

    async def _take(self, delivery: Delivery, receiver: Placed) -> tuple[int, Json]:
        sender = SENDERS.get(receiver_type(receiver.config))
        if sender is None:
            return await generic.handle(delivery, receiver, self._refresher)
        # Reading two megabytes of JSON takes a while.
        told = await asyncio.to_thread(sender, delivery, receiver)
        if isinstance(told, Nothing):
            return 200, {"msg": told.message} if told.message else {}
        if isinstance(told, Push):
            what = "warehouse(s)"
            count, failures = await self._refresher.push(receiver.project, told)
        else:
            what = "promotion(s)"
            count, failures = await self._refresher.pull_request_closed(receiver.project, told.url)
        where = f"Project {receiver.project}" if receiver.project else "the ClusterConfig"
        logger.info("receiver %s of %s: %d %s to refresh", receiver.config.name, where, count, what)
        if failures:
            return 500, {"error": f"failed to refresh {failures} of {count} {what}"}
        return 200, {"msg": f"refreshed {count} {what}"}


async def _body(request: Request) -> bytes:
    """The body, bounded. Raises Refusal."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise _too_large()
    except TimeoutError:
        raise Refusal(408, "the request body did not come in time") from None
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(413, f"content exceeds limit of {MAX_BODY} bytes")
