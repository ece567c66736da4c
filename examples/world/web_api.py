"""A small JSON API on loopback, for verifications in tests and the demo."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

#: `base_experience` by name: one below, one above the threshold of 200 that kargo-advanced's template sets.
POKEMON = {"pikachu": 112, "charizard": 267}


class WebApi:
    """Answers `/api/v2/pokemon/{name}` and `/healthz/{environment}`, for as long as it is entered as a context.

    `error_rates` says what an environment's error rate is (0.01 where it says nothing); `fail_with` makes every
    request end with that status.
    """

    def __init__(self, port: int = 0) -> None:
        self.error_rates: dict[str, float] = {}
        self.pokemon = dict(POKEMON)
        self.fail_with: int | None = None
        #: Paths asked for so far.
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a path."""
        self.requests.append(path)
        if self.fail_with is not None:
            return self.fail_with, {"error": "out of order"}
        *_, kind, name = ["", "", *path.split("?")[0].strip("/").split("/")]
        if kind == "pokemon" and name in self.pokemon:
            return 200, {"name": name, "base_experience": self.pokemon[name]}
        if kind == "healthz":
            return 200, {"environment": name, "errorRate": self.error_rates.get(name, 0.01)}
        return 404, {"error": f"nothing at {path}"}


def _handler(api: WebApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, answer = api.answer(self.path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    return Handler
