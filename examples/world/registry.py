"""A small OCI registry on loopback, for tests and the demo: enough of the distribution API to be read from.

Images are pushed from Python; the API serves tags, manifests and blobs, with paging, token or basic
authentication, entity tags, and faults that can be switched on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, urlsplit

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Request:
    """One request that was answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    #: When it came, by the monotonic clock.
    at: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> str:
        """`tags`, `manifests`, `blobs`, `token` or `other`."""
        match = re.search(r"/(tags|manifests|blobs)/", self.path)
        return match[1] if match else "token" if self.path.startswith("/token") else "other"


@dataclass
class Fault:
    """What happens instead of an answer, as long as it is set."""

    status: int = 500
    retry_after: str = ""
    #: Only requests whose path contains this.
    path: str = ""
    #: How often; None: until it is taken back.
    times: int | None = None
    body: bytes = b'{"errors":[{"code":"UNKNOWN","message":"out of order"}]}'
    content_type: str = "application/json"
    #: Seconds to wait before answering; with status 0 the answer is the right one.
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Repository:
    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


class Registry:
    """The registry. Use it as a context manager, or call `start` and `stop`."""

    def __init__(
        self,
        *,
        port: int = 0,
        page_size: int = 1000,
        auth: Literal["", "token", "basic"] = "",
        users: Mapping[str, str] | None = None,
        etags: bool = False,
    ) -> None:
        self.page_size = page_size
        #: With `token`, anonymous readers get tokens too where there are no users.
        self.auth = auth
        self.users = dict(users or {})
        self.etags = etags
        #: Serve no digest on HEAD, as some registries do.
        self.head = True
        #: Blobs are redirected there: `http://127.0.0.1:1234`.
        self.blob_host = ""
        self.token_lifetime = 300
        self.fault: Fault | None = None
        self.requests: list[Request] = []
        #: Bytes of the bodies of all answers so far.
        self.sent = 0
        self._tokens: dict[str, float] = {}
        self._repositories: dict[str, _Repository] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.registry = self
        self._thread: threading.Thread | None = None

    @property
    def host(self) -> str:
        """Its address, as in image references: `127.0.0.1:5000`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Serve from now on, in a thread."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Serve no longer, and free the port."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def push(
        self,
        repository: str,
        tag: str,
        *,
        content: str = "",
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        created: datetime | None = None,
        platforms: Sequence[str] = (),
        docker: bool = False,
    ) -> str:
        """Put an image under a tag, and return its digest: of the index, where `platforms` are named.

        `content` makes the image another one; by default it depends on the tag.
        """
        created = created or datetime(2026, 1, 1, tzinfo=UTC)
        with self._lock:
            store = self._repositories.setdefault(repository, _Repository())
            names = list(platforms) or ["linux/amd64"]
            images = [self._image(store, name, content or tag, annotations, labels, created, docker) for name in names]
            if not platforms:
                store.tags[tag] = images[0]["digest"]
                return str(images[0]["digest"])
            index: dict[str, Any] = {
                "schemaVersion": 2,
                "mediaType": DOCKER_INDEX if docker else OCI_INDEX,
                "manifests": [
                    image | {"platform": dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))}
                    for image, name in zip(images, names, strict=True)
                ],
            }
            if annotations:
                index["annotations"] = dict(annotations)
            store.tags[tag] = self._put(store, index)["digest"]
            return store.tags[tag]

    def push_manifest(self, repository: str, tag: str, manifest: Mapping[str, Any], media_type: str) -> str:
        """Put any manifest under a tag, also a broken one."""
        with self._lock:
            store = self._repositories.setdefault(repository, _Repository())
            content = json.dumps(manifest).encode()
            digest = _digest(content)
            store.manifests[digest] = (media_type, content)
            store.tags[tag] = digest
            return digest

    def tag_many(self, repository: str, tags: Sequence[str], of: str) -> None:
        """Point many tags at the image of one tag."""
        with self._lock:
            store = self._repositories[repository]
            store.tags.update(dict.fromkeys(tags, store.tags[of]))

    def untag(self, repository: str, tag: str) -> None:
        """Take a tag away."""
        with self._lock:
            del self._repositories[repository].tags[tag]

    def counted(self, kind: str = "") -> int:
        """Requests since the last `forget`, of one kind or of all."""
        return sum(1 for request in list(self.requests) if kind in {"", request.kind})

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def expire_tokens(self) -> None:
        """All tokens handed out so far are worth nothing any more."""
        self._tokens.clear()

    def _image(
        self,
        store: _Repository,
        platform: str,
        content: str,
        annotations: Mapping[str, str] | None,
        labels: Mapping[str, str] | None,
        created: datetime,
        docker: bool,
    ) -> dict[str, Any]:
        config: dict[str, Any] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        config |= {
            "created": created.isoformat().replace("+00:00", "Z"),
            "config": {"Labels": dict(labels) if labels else None, "Env": [f"CONTENT={content}"]},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        blob = json.dumps(config).encode()
        store.blobs[_digest(blob)] = blob
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": {
                "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
                "digest": _digest(blob),
                "size": len(blob),
            },
            "layers": [],
        }
        if annotations:
            manifest["annotations"] = dict(annotations)
        return self._put(store, manifest)

    @staticmethod
    def _put(store: _Repository, manifest: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(manifest).encode()
        digest = _digest(content)
        store.manifests[digest] = (manifest["mediaType"], content)
        return {"mediaType": manifest["mediaType"], "digest": digest, "size": len(content)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    registry: Registry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection to the registry."""

    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes; with Nagle's algorithm the second would wait for the client.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        pass

    def _serve(self) -> None:
        registry = self.server.registry
        self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        registry.requests.append(Request(self.command, self.path, dict(self.headers.items())))
        fault = registry.fault
        if fault is not None and fault.path in self.path and (fault.times is None or fault.times > 0):
            if fault.times is not None:
                fault.times -= 1
            time.sleep(fault.delay)
            if fault.status:
                headers = {"Content-Type": fault.content_type, **fault.headers}
                if fault.retry_after:
                    headers["Retry-After"] = fault.retry_after
                self._answer(fault.status, fault.body, headers)
                return
        url = urlsplit(self.path)
        if url.path == "/token":
            self._token(parse_qs(url.query))
        elif not self._allowed(url.path):
            self._challenge(url.path)
        elif self.command in ("POST", "PUT"):
            self._write(url.path, parse_qs(url.query))
        elif match := re.fullmatch(r"/v2/(.+)/tags/list", url.path):
            self._tags(match[1], parse_qs(url.query))
        elif match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", url.path):
            self._manifest(match[1], match[2])
        elif match := re.fullmatch(r"/v2/(.+)/blobs/([^/]+)", url.path):
            self._blob(match[1], match[2])
        elif url.path.rstrip("/") == "/v2":
            self._answer(200, b"{}", {"Content-Type": "application/json"})
        else:
            self._error(404, "NAME_UNKNOWN", "no such page")

    def _allowed(self, path: str) -> bool:
        registry = self.server.registry
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        match registry.auth:
            case "":
                return True
            case "basic":
                return scheme == "Basic" and self._known_user(value)
            case "token":
                return scheme == "Bearer" and registry._tokens.get(value, 0) > time.monotonic()

    def _known_user(self, value: str) -> bool:
        username, _, password = base64.b64decode(value).decode().partition(":")
        return self.server.registry.users.get(username) == password

    def _challenge(self, path: str) -> None:
        registry = self.server.registry
        match = re.fullmatch(r"/v2/(.+)/(?:tags|manifests|blobs)/.+", path)
        rights = "pull,push" if self.command in ("POST", "PUT") else "pull"
        scope = f'scope="repository:{match[1]}:{rights}",' if match else ""
        challenge = (
            f'Bearer realm="http://{registry.host}/token",{scope}service="{registry.host}"'
            if registry.auth == "token"
            else 'Basic realm="registry"'
        )
        self._error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})

    def _token(self, query: Mapping[str, list[str]]) -> None:
        registry = self.server.registry
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if registry.users and not (scheme == "Basic" and self._known_user(value)):
            self._error(401, "UNAUTHORIZED", "wrong username or password")
            return
        token = secrets.token_hex(16)
        registry._tokens[token] = time.monotonic() + registry.token_lifetime
        self._json({"token": token, "expires_in": registry.token_lifetime, "scope": query.get("scope")})

    def _tags(self, name: str, query: Mapping[str, list[str]]) -> None:
        registry = self.server.registry
        store = registry._repositories.get(name)
        if store is None:
            self._error(404, "NAME_UNKNOWN", "repository name not known to registry")
            return
        tags = sorted(store.tags)
        size = min(int(query.get("n", [str(registry.page_size)])[0]), registry.page_size)
        last = query.get("last", [""])[0]
        start = next((place for place, tag in enumerate(tags) if tag > last), len(tags)) if last else 0
        page = tags[start : start + size]
        headers = {}
        if start + size < len(tags):
            headers["Link"] = f'</v2/{name}/tags/list?n={size}&last={quote(page[-1])}>; rel="next"'
        if registry.etags:
            headers["ETag"] = f'"{_digest(json.dumps(page).encode())}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                self._answer(304, b"", headers)
                return
        self._json({"name": name, "tags": page}, headers)

    def _write(self, path: str, query: Mapping[str, list[str]]) -> None:
        registry, content = self.server.registry, self.content
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/(\w*)", path):
            if self.command == "POST":
                self._answer(202, b"", {"Location": f"/v2/{match[1]}/blobs/uploads/{secrets.token_hex(8)}"})
                return
            if query["digest"] != [_digest(content)]:
                self._error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
                return
            registry._repositories.setdefault(match[1], _Repository()).blobs[_digest(content)] = content
            self._answer(201, b"", {})
        elif match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            store = registry._repositories.setdefault(match[1], _Repository())
            manifest = json.loads(content)
            parts = [*manifest.get("layers", []), *filter(None, [manifest.get("config")])]
            missing = [part["digest"] for part in parts if part["digest"] not in store.blobs]
            missing += [
                part["digest"] for part in manifest.get("manifests", []) if part["digest"] not in store.manifests
            ]
            if missing:
                self._error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing[0]}")
                return
            store.manifests[_digest(content)] = (self.headers["Content-Type"], content)
            if ":" not in match[2]:
                store.tags[match[2]] = _digest(content)
            self._answer(201, b"", {"Docker-Content-Digest": _digest(content)})
        else:
            self._error(404, "NAME_UNKNOWN", "no such page")

    def _manifest(self, name: str, reference: str) -> None:
        store = self.server.registry._repositories.get(name, _Repository())
        digest = store.tags.get(reference, reference)
        if digest not in store.manifests:
            self._error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return
        if self.command == "HEAD" and not self.server.registry.head:
            self._answer(405, b"", {})
            return
        media_type, content = store.manifests[digest]
        self._answer(200, content, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _blob(self, name: str, digest: str) -> None:
        registry = self.server.registry
        if registry.blob_host:
            self._answer(307, b"", {"Location": f"{registry.blob_host}/v2/{name}/blobs/{digest}"})
            return
        store = registry._repositories.get(name, _Repository())
        if digest not in store.blobs:
            self._error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        self._answer(200, store.blobs[digest], {"Content-Type": "application/octet-stream"})

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self._answer(status, body, {"Content-Type": "application/json", **(headers or {})})

    def _json(self, value: object, headers: Mapping[str, str] | None = None) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD" and status != 304:
                self.wfile.write(body)
                self.server.registry.sent += len(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
