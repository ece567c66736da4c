"""An HTTP chart repository on loopback, for tests: an index of charts with entity tags, credentials and faults."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler

from examples.world.loopback import Loopback


class ChartRepository(Loopback):
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
        super().__init__(type("Handler", (_Handler,), {"world": self}))

    @property
    def url(self) -> str:
        return f"{super().url}/charts"

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


class _Handler(BaseHTTPRequestHandler):
    """One connection to the repository."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    world: ChartRepository

    def do_GET(self) -> None:
        repository = self.world
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
