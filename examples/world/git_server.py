"""A Git server on loopback: Git's own smart HTTP (`git http-backend`) behind Python's HTTP server."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from examples.world.loopback import Loopback

#: A request's body is read up to this size.
MAX_BODY = 512 * 1024 * 1024

_NAME, _EMAIL = "Developer", "developer@example.com"

#: Pushes are taken, and clones may leave out what they don't need.
_CONFIG = "[http]\n\treceivepack = true\n[uploadpack]\n\tallowFilter = true\n"

_PROTECT = """#!/bin/sh
while read -r old new ref; do
    if [ "$ref" = "refs/heads/{branch}" ]; then
        echo "branch {branch} is protected: open a pull request" >&2
        exit 1
    fi
done
"""


class GitServer(Loopback):
    """Serves the bare repositories below a directory, for as long as it is entered as a context.

    `user` and `password` make it ask for HTTP Basic credentials. `fail_with` makes it answer every request with that
    status instead, and with `retry_after` if that is set. `version_2` can be taken away from it.
    """

    def __init__(self, root: Path | None = None, *, user: str = "", password: str = "", port: int = 0) -> None:
        self._made = root is None
        self.root = root or Path(tempfile.mkdtemp(prefix="git-server-"))
        self.user, self.password = user, password
        self.fail_with: int | None = None
        self.retry_after = ""
        #: A page that is answered to everything, as a proxy's for signing in.
        self.html = ""
        self.version_2 = True
        #: Bytes of the bodies of all answers so far.
        self.sent = 0
        #: Requests so far, as `POST git-upload-pack`, `POST git-receive-pack`, `GET info/refs`.
        self.requests: Counter[str] = Counter()
        super().__init__(_handler(self), port)

    def stop(self) -> None:
        super().stop()
        if self._made:
            shutil.rmtree(self.root, ignore_errors=True)

    def repository(self, name: str, files: Mapping[str, str] | None = None, *, branch: str = "main") -> Repository:
        """A new repository at `<url>/<name>.git`; with files, one commit on its default branch holds them."""
        path = self.root / f"{name}.git"
        path.parent.mkdir(parents=True, exist_ok=True)
        _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(path), cwd=self.root)
        with (path / "config").open("a") as config:
            config.write(_CONFIG)
        repository = Repository(path, f"{self.url}/{name}.git")
        if files:
            repository.commit(files, "first", branch=branch)
        return repository


class Repository:
    """A served repository, changed and read directly on the server's disk."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url

    def git(self, *args: str, stdin: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Run Git in the bare repository, and return what it prints."""
        return _git(*args, cwd=self.path, stdin=stdin, env=environment)

    def commit(
        self, files: Mapping[str, str | None], message: str, *, branch: str = "main", orphan: bool = False
    ) -> str:
        """Add a commit to a branch that writes these files (None deletes one), and return its id."""
        parent = None if orphan else self.head(branch)
        # One process for it all: tests and the demo make many commits.
        lines = [
            f"commit refs/heads/{branch}",
            "mark :1",
            f"committer {_NAME} <{_EMAIL}> now",
            _data(message.rstrip("\n") + "\n"),
        ]
        if parent:
            lines.append(f"from {parent}")
        for name, text in files.items():
            lines += [f"D {name}"] if text is None else [f"M 100644 inline {name}", _data(text)]
        lines.append("get-mark :1\n")
        options = ("--quiet", "--force", "--date-format=now", "--cat-blob-fd=1")
        return self.git("fast-import", *options, stdin="\n".join(lines))

    def head(self, branch: str = "main") -> str | None:
        """The commit of a branch, None where there is no such branch."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def log(self, branch: str = "main", layout: str = "%s") -> list[str]:
        """The commits of a branch, newest first."""
        return self.git("log", f"--format={layout}", branch, "--").splitlines()

    def read(self, name: str, branch: str = "main") -> str:
        """A file of a branch."""
        return self.git("show", f"{branch}:{name}")

    def files(self, branch: str = "main") -> list[str]:
        """The names of a branch's files."""
        return self.git("ls-tree", "-r", "--name-only", branch).splitlines()

    def protect(self, branch: str) -> None:
        """Refuse pushes to this branch."""
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_PROTECT.format(branch=branch))
        hook.chmod(0o755)

    def unprotect(self) -> None:
        (self.path / "hooks" / "pre-receive").unlink(missing_ok=True)


def _data(text: str) -> str:
    """As fast-import reads it: with its length in bytes."""
    return f"data {len(text.encode())}\n{text}"


def _git(*args: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    identity = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", _NAME), ("EMAIL", _EMAIL))
    }
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **identity, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"git {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _handler(world: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in two writes; with Nagle's algorithm the second would wait for the client.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self._body())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Silence: the demo's screen is for its user."""

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
                if len(body) > MAX_BODY:
                    raise ValueError("the body is too large")
            self.rfile.readline()
            return body

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            world.sent += len(body)

        def _serve(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            service = "info/refs" if path.endswith("/info/refs") else path.rpartition("/")[2]
            world.requests[f"{self.command} {service}"] += 1
            if world.html:
                self._answer(200, [("Content-Type", "text/html")], world.html.encode())
                return
            if world.fail_with is not None:
                self._answer(world.fail_with, [("Retry-After", world.retry_after)] if world.retry_after else [], b"")
                return
            wanted = "Basic " + base64.b64encode(f"{world.user}:{world.password}".encode()).decode()
            if world.password and self.headers.get("Authorization") != wanted:
                self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
                return
            done = subprocess.run(
                ["git", "http-backend"],
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(world.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_GLOBAL": "/dev/null",
                    "PATH_INFO": path,
                    "QUERY_STRING": parts.query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if world.version_2 else "",
                    "REMOTE_ADDR": "127.0.0.1",
                    "REMOTE_USER": world.user or "developer",
                },
                input=body,
                capture_output=True,
                timeout=120,
                check=False,
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            status, headers = 200, []
            for line in head.decode("latin-1").split("\r\n"):
                name, _, value = line.partition(":")
                if name.lower() == "status":
                    status = int(value.split()[0])
                elif name:
                    headers.append((name, value.strip()))
            self._answer(status, headers, content)

    return Handler
