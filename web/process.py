"""Serves the application: in a process of its own (`towpath web`), and beside a worker (`towpath up`)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn

from starter.client import Towpath
from starter.receivers import base_url
from web.access.binding import check_binding, describe
from web.app import build_app
from workflows.record import WebRecord, write_web_record
from workflows.settings import WebSettings

logger = logging.getLogger("towpath.web")

#: Ports tried after one that is taken.
_NEXT = 20
#: Seconds in which requests under way may end.
_GRACE = 5


class AddressTaken(OSError):
    """Something else listens there."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(settings: WebSettings, towpath: Towpath, *, any_port: bool = False) -> AsyncIterator[str]:
    """The application served, for as long as the context lasts; gives its URL.

    `any_port`: where the port is taken, the next free one is. Raises AddressTaken, OSError, SettingsInvalid.
    """
    check_binding(settings)
    host, _, port = settings.web_address.rpartition(":")
    listening = _listen(host, int(port), any_port=any_port)
    at = f"{host}:{listening.getsockname()[1]}"
    settings = settings.model_copy(update={"web_address": at})
    app = build_app(towpath, settings)
    # Streams end when it is set: else whoever looks at a page would hold up the end.
    app.state.leaving = asyncio.Event()
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            # Its lines would hold the receivers' paths, which are secrets to some senders.
            access_log=False,
            server_header=False,
            # Nobody but a proxy that is named says where a request really comes from.
            proxy_headers=bool(settings.web_trusted_proxies),
            forwarded_allow_ips=settings.web_trusted_proxies,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.to_thread(_leave_record, settings)
        logger.info("the web listens on %s; %s", at, describe(settings))
        yield f"http://{at}"
    finally:
        app.state.leaving.set()
        server.should_exit = True
        await task
        listening.close()


async def run_web(settings: WebSettings, towpath: Towpath, ready: Callable[[str], None]) -> None:
    """`towpath web`: until SIGINT or SIGTERM. Calls `ready` with the URL. Raises as `serving` does."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings, towpath) as url:
        ready(url)
        await stop.wait()


def _leave_record(settings: WebSettings) -> None:
    """So that the command line on this machine can show the receivers' URLs."""
    record = WebRecord(webhooks=base_url(settings), credentials_directory=settings.credentials_directory)
    try:
        write_web_record(settings.data_directory, record)
    except OSError as error:
        logger.info("no record of the web is left in %s: %s", settings.data_directory, error.strerror)


def _listen(host: str, port: int, *, any_port: bool) -> socket.socket:
    tried = [port, *range(port + 1, min(port + _NEXT, 65535)), 0] if any_port and port else [port]
    for candidate in tried:
        try:
            listening = socket.create_server((host, candidate))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        # Accepted connections inherit it; asyncio sets it only where a socket names its protocol. Without it, a body
        # waits 40 ms for the acknowledgement of its headers.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    raise AddressTaken(f"something else listens on {host}:{port}; set TOWPATH_WEB_ADDRESS to another address")
