"""An HTTP chart repository on loopback, for tests: an index of charts with entity tags, credentials and faults."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class ChartRepository:
    """The repository. Use it as a context manager."""

    def __init__(self, *, user: str = "", password: str = "", etags: bool = True) -> None:
        self.user, self.password, self.etags = user, password, etags
        self.charts: dict[str, list[str]] = {}
        #: Served instead of the index of `charts`.
        self.index: bytes | None = None
        #: Packed charts by file name, beside the index.
        self.files: dict[str, bytes] = {}
        #: Answered instead of anything else.
        self.status = 0
        #: Path, status and length of every answer.
        self.answers: list[tuple[str, int, int]] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.repository = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/charts"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def push(self, chart: str, versions: Sequence[str]) -> None:
        """Add versions of a chart."""
        self.charts.setdefault(chart, []).extend(versions)

    def content(self) -> bytes:
        """The index as it is served."""
        if self.index is not None:
            return self.index
        lines = ["apiVersion: v1", "entries:"]
        for chart, versions in self.charts.items():
            lines.append(f"  {chart}:")
            for version in versions:
                lines += ["  - apiVersion: v2", f"    name: {chart}", f"    version: {version}"]
                lines += ["    dependencies:", "    - name: other", "      version: 9.9.9"]
        return "\n".join([*lines, 'generated: "2026-01-01T00:00:00Z"', ""]).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    repository: ChartRepository


class _Handler(BaseHTTPRequestHandler):
    """One connection to the repository."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        repository = self.server.repository
        body, headers = b"", {}
        login = base64.b64encode(f"{repository.user}:{repository.password}".encode()).decode()
        if repository.status:
            status = repository.status
        elif repository.user and self.headers.get("Authorization") != f"Basic {login}":
            status = 401
        elif (name := self.path.removeprefix("/charts/")) in repository.files:
            status, body = 200, repository.files[name]
        elif name != "index.yaml":
            status = 404
        else:
            status, body = 200, repository.content()
            if repository.etags:
                headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
                if self.headers.get("If-None-Match") == headers["ETag"]:
                    status, body = 304, b""
        repository.answers.append((self.path, status, len(body)))
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        pass
