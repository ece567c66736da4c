"""Git repositories over real smart HTTP (`git http-backend`), with requests counted and faults on demand."""

from __future__ import annotations

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

BACKEND = Path(subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip())


class GitHost:
    """Serves the bare repositories of a directory. `requests` holds a line for each request."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(parents=True)
        self.requests: list[str] = []
        self.fault = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.host = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}.git"

    def create(self, name: str, branch: str = "main") -> Path:
        """A bare repository; returns its path."""
        path = self.root / f"{name}.git"
        git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(path))
        return path

    def listings(self) -> int:
        """How often refs were listed: each `ls-remote`, fetch or clone begins so."""
        return sum("info/refs" in request for request in self.requests)

    def transfers(self) -> int:
        """How often commits were transferred. An `ls-remote` by protocol v2 posts too, but asks for refs only."""
        return sum("fetch" in request for request in self.requests)


def commit(
    repository: Path, message: str, *, branch: str = "main", parents: tuple[str, ...] = (), when: int = 1_700_000_000
) -> str:
    """Put a commit on a branch, on top of what is there unless parents are named; returns its id."""
    tree = git("mktree", cwd=repository, stdin="")
    head = git("rev-parse", "--quiet", "--verify", f"refs/heads/{branch}", cwd=repository, check=False)
    chain = parents or ((head,) if head else ())
    env = {
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_AUTHOR_DATE": f"{when} +0000",
        "GIT_COMMITTER_NAME": "Grace",
        "GIT_COMMITTER_EMAIL": "grace@example.com",
        "GIT_COMMITTER_DATE": f"{when} +0200",
    }
    arguments = [argument for parent in chain for argument in ("-p", parent)]
    made = git("commit-tree", tree, *arguments, "-m", message, cwd=repository, env=env)
    git("update-ref", f"refs/heads/{branch}", made, cwd=repository)
    return made


def git(
    *args: str, cwd: Path | None = None, stdin: str | None = None, env: dict[str, str] | None = None, check: bool = True
) -> str:
    """Run git apart from the machine's configuration; returns what it prints."""
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        input=stdin,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **(env or {})},
        check=check,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    host: GitHost


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._serve(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        pass

    def _serve(self, body: bytes) -> None:
        host = self.server.host
        word = "fetch" if b"command=fetch" in body else "refs" if b"command=ls-refs" in body else ""
        host.requests.append(f"{self.command} {self.path} {word}")
        if host.fault:
            self.send_response(host.fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        url = urlsplit(self.path)
        done = subprocess.run(
            [str(BACKEND / "git-http-backend")],
            input=body,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(host.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            },
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
