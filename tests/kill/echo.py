"""A hostile web API on loopback: whatever header it is sent, it says back."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

from examples.world.loopback import Loopback


class EchoApi(Loopback):
    """Answers `/ok` with 200 and anything else with 401, with the sent headers in its body. A context manager."""

    def __init__(self) -> None:
        #: Values of the header Authorization, so far.
        self.heard: list[str] = []
        #: Bodies of POST requests, so far.
        self.posted: list[bytes] = []
        super().__init__(_handler(self))


def _handler(api: EchoApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.headers.get("Authorization", "")
            api.heard.append(sent)
            fine = self.path.startswith("/ok")
            body = json.dumps({"errorRate": 0.01, "sent": sent, "error": f"nothing for {sent}"}).encode()
            self.send_response(200 if fine else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Sent", sent)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            api.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Say nothing."""

    return Handler
