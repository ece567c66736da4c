"""A small JSON API on loopback for verifications to measure, in tests and the demo.

`/api/v2/pokemon/{name}` answers as the public API that kargo-advanced asks; `/healthz/{stage}` tells a guestbook's
error rate, which can be changed while it runs.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

#: What the public API says of these.
BASE_EXPERIENCE = {"pikachu": 112, "charizard": 267}


class WebApi:
    """The server; use it with `with`, or `start` and `stop`."""

    def __init__(self, *, port: int = 0) -> None:
        #: Error rate of each stage's guestbook, between 0 and 1; a stage that isn't here has none.
        self.error_rates: dict[str, float] = {}
        #: `base_experience` of each pokemon; it can be changed like the rest.
        self.base_experience = dict(BASE_EXPERIENCE)
        #: Paths that were asked for, in order.
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, path: str) -> tuple[int, object]:
        """Status and body for a path."""
        self.asked.append(path)
        match [unquote(part) for part in path.split("/") if part]:
            case ["api", "v2", "pokemon", name] if name in self.base_experience:
                return 200, {"name": name, "base_experience": self.base_experience[name]}
            case ["healthz", stage]:
                rate = self.error_rates.get(stage, 0.0)
                return 200, {"stage": stage, "status": "ok" if rate < 0.05 else "failing", "errorRate": rate}
            case _:
                return 404, {"error": f"there is nothing at {path}"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], api: WebApi) -> None:
        super().__init__(address, _Handler)
        self.api = api


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, body = self.server.api.answer(urlsplit(self.path).path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        """Nothing is logged: `asked` keeps what was asked for."""
