"""The page of a played Project on a real port, with the middleware that it has in earnest."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from starter.client import Towpath
from tests.pages.yard import Yard
from web.access.access import Access
from web.access.middleware import AccessMiddleware
from web.access.routes import auth_routes
from web.board.boards import Boards
from web.pages.routes import page_routes
from worker.embedded import free_port
from workflows.settings import WebSettings


def page_app(yard: Yard, settings: WebSettings) -> Starlette:
    """The application as far as the page goes."""
    access = Access(cast(Towpath, yard), settings)
    routes = page_routes(cast(Towpath, yard), cast(Boards, yard), "http://127.0.0.1:8233")
    return Starlette(routes=[*auth_routes(), *routes], middleware=[Middleware(AccessMiddleware, access=access)])


class Served:
    """A server in a thread, that can be stopped and started again at the same address."""

    def __init__(self, yard: Yard, directory: Path) -> None:
        self.yard = yard
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = WebSettings(data_directory=directory)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self.yard.news = asyncio.Event()
        app = page_app(self.yard, self._settings)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        ready = threading.Event()
        # The port is taken before the server begins: whoever asks too early waits.
        listening = socket.create_server(("127.0.0.1", self.port))

        async def live() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            await server.serve(sockets=[listening])

        self._server, self._thread = server, threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
        self._thread.start()
        assert ready.wait(20)

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(20)

    def change(self, how: Callable[[Yard], Any]) -> None:
        """Changes the Project where it is read."""
        assert self._loop is not None

        async def apply() -> None:
            how(self.yard)
            self.yard.change()

        asyncio.run_coroutine_threadsafe(apply(), self._loop).result(10)
