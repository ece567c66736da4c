"""A small JSON API on loopback for verifications to measure, in tests and the demo.

`/api/v2/pokemon/{name}` answers as the public API that kargo-advanced asks; `/healthz/{stage}` tells a guestbook's
error rate, which can be changed while it runs.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from examples.world.loopback import Loopback

#: What the public API says of these.
BASE_EXPERIENCE = {"pikachu": 112, "charizard": 267}


class WebApi(Loopback):
    """The server; use it with `with`, or `start` and `stop`."""

    def __init__(self, *, port: int = 0) -> None:
        #: Error rate of each stage's guestbook, between 0 and 1; a stage that isn't here has none.
        self.error_rates: dict[str, float] = {}
        #: `base_experience` of each pokemon; it can be changed like the rest.
        self.base_experience = dict(BASE_EXPERIENCE)
        #: Paths that were asked for, in order.
        self.asked: list[str] = []
        super().__init__(type("Handler", (_Handler,), {"world": self}), port)

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


class _Handler(BaseHTTPRequestHandler):
    world: WebApi

    def do_GET(self) -> None:
        status, body = self.world.answer(urlsplit(self.path).path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        """Nothing is logged: `asked` keeps what was asked for."""
