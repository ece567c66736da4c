"""A Kubernetes API server on loopback: what clients of Argo CD and of Jobs need of one.

It speaks get, list with label and field selectors, create, JSON merge patch, delete and watch, with resource
versions, optimistic locking and Status objects for errors, for custom resources and for those of Kubernetes itself,
and hands out logs of pods. It keeps everything in memory, and asks nobody who they are.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

#: How many changes a watch may lie behind; a watch from before that is answered 410, as etcd's compaction would.
HISTORY = 1000


@dataclass(frozen=True)
class Served:
    """A kind of resource that this server serves. The group of Kubernetes' core, such as pods, is empty."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass
class Refusal(Exception):
    """An error as the API tells it: the code, the reason of its Status object, and a sentence."""

    code: int
    reason: str
    message: str
    details: Object = field(default_factory=dict)

    def status(self) -> Object:
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        return status | ({"details": self.details} if self.details else {})


@dataclass(frozen=True)
class Change:
    """One change of an object, as a watch tells it."""

    version: int
    type: str
    object: Object


class Store:
    """The objects of one kind, their resource versions, and the changes that watches follow."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.version = 1
        self.objects: dict[tuple[str, str], Object] = {}
        self.changes: list[Change] = []
        self.changed = threading.Condition()

    def get(self, namespace: str, name: str) -> Object:
        with self.changed:
            if (namespace, name) not in self.objects:
                resource = f"{self.served.plural}.{self.served.group}".rstrip(".")
                details = {"name": name, "group": self.served.group, "kind": self.served.plural}
                raise Refusal(404, "NotFound", f'{resource} "{name}" not found', details)
            return copy.deepcopy(self.objects[namespace, name])

    def create(self, namespace: str, body: Object) -> Object:
        name = body.get("metadata", {}).get("name", "")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name):
            raise Refusal(422, "Invalid", f"metadata.name: Invalid value: {name!r}")
        with self.changed:
            if (namespace, name) in self.objects:
                raise Refusal(409, "AlreadyExists", f'{self.served.plural}.{self.served.group} "{name}" already exists')
            new = copy.deepcopy(body)
            new["apiVersion"] = self.served.api_version
            new["kind"] = self.served.kind
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            new["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now}
            return self._keep(new, "ADDED")

    def patch(self, namespace: str, name: str, patch: Object) -> Object:
        """Apply a JSON merge patch (RFC 7396)."""
        with self.changed:
            present = self.get(namespace, name)
            wanted = patch.get("metadata", {}).get("resourceVersion")
            if wanted and wanted != present["metadata"]["resourceVersion"]:
                raise Refusal(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {self.served.plural}.{self.served.group} "{name}": the object '
                    "has been modified; please apply your changes to the latest version and try again",
                )
            patched = merged(present, patch)
            for immutable in ("name", "namespace", "uid", "creationTimestamp"):
                patched["metadata"][immutable] = present["metadata"][immutable]
            return present if patched == present else self._keep(patched, "MODIFIED")

    def delete(self, namespace: str, name: str) -> Object:
        with self.changed:
            gone = self.get(namespace, name)
            self._keep(gone, "DELETED")
            return gone

    def _keep(self, new: Object, change: str) -> Object:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        key = (new["metadata"]["namespace"], new["metadata"]["name"])
        if change == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = new
        self.changes = [*self.changes, Change(self.version, change, copy.deepcopy(new))][-HISTORY:]
        self.changed.notify_all()
        return copy.deepcopy(new)

    def find(self, matches: Callable[[Object], bool]) -> tuple[list[Object], str]:
        """The objects that match, by name, and the resource version of the list."""
        with self.changed:
            found = [copy.deepcopy(self.objects[key]) for key in sorted(self.objects)]
            return [item for item in found if matches(item)], str(self.version)

    def watch(self, since: int, until: float, stopped: threading.Event) -> Iterator[Change]:
        """The changes after a version, until a moment of the monotonic clock."""
        while not stopped.is_set():
            with self.changed:
                if self.changes and since < self.changes[0].version - 1 and len(self.changes) == HISTORY:
                    raise Refusal(410, "Expired", f"too old resource version: {since} ({self.changes[0].version})")
                new = [change for change in self.changes if change.version > since]
                if not new:
                    if time.monotonic() >= until:
                        return
                    self.changed.wait(min(until - time.monotonic(), 0.5))
                    continue
            yield from new
            since = new[-1].version


def merged(present: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396): null removes, mappings merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<no>[^\s,=!()]+)"
    r"|(?P<key>[^\s,=!()]+)\s*(?:(?P<set>in|notin)\s*\((?P<values>[^)]*)\)|(?P<op>==|=|!=)\s*(?P<value>[^\s,]*))?)\s*"
)


def label_matcher(selector: str) -> Callable[[Object], bool]:
    """Read a label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, with commas between."""
    tests: list[Callable[[dict[str, str]], bool]] = []
    place = 0
    while place < len(selector):
        found = _REQUIREMENT.match(selector, place)
        if not found or (found.end() < len(selector) and selector[found.end()] != ","):
            raise Refusal(400, "BadRequest", f"unable to parse requirement: {selector!r}")
        tests.append(_label_test(found))
        place = found.end() + 1
    return lambda item: all(test(item["metadata"].get("labels") or {}) for test in tests)


def _label_test(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    if found["absent"]:
        absent = found["no"]
        return lambda labels: absent not in labels
    key = found["key"]
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        wanted = found["set"] == "in"
        return lambda labels: (labels.get(key) in values) == wanted
    if found["op"]:
        value, equal = found["value"], found["op"] != "!="
        return lambda labels: (labels.get(key) == value) == equal
    return lambda labels: key in labels


class KubernetesServer:
    """The API server. `with KubernetesServer(...) as server:` serves on a free port of 127.0.0.1."""

    def __init__(self, *served: Served) -> None:
        self.stores = {(kind.group, kind.version, kind.plural): Store(kind) for kind in served}
        self.stopped = threading.Event()
        #: What the API answers instead, for tests of its faults: method and path in, a Refusal or nothing out.
        self.refuse: Callable[[str, str], Refusal | None] = lambda method, path: None
        #: Every request that changed something: method, path and body.
        self.writes: list[tuple[str, str, Object]] = []
        #: What containers have written: namespace, pod and container.
        self.logs: dict[tuple[str, str, str], str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_of": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server."""
        context = {"cluster": "world", "user": "world", "namespace": "default"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "world",
            "clusters": [{"name": "world", "cluster": {"server": self.url}}],
            "contexts": [{"name": "world", "context": context}],
            "users": [{"name": "world", "user": {}}],
        }
        path.write_text(json.dumps(content, indent=2))
        return path

    def close(self) -> None:
        self.stopped.set()
        for store in self.stores.values():
            with store.changed:
                store.changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> KubernetesServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


_PATH = re.compile(
    r"(?:/api|/apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
_LOG = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods/(?P<name>[^/]+)/log")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: KubernetesServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base names it so)
        """Stay silent."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if refusal := self.server_of.refuse(method, url.path):
                raise refusal
            parsed = json.loads(body) if body else {}
            if method != "GET":
                self.server_of.writes.append((method, url.path, parsed))
            self._route(method, url.path, query, parsed)
        except Refusal as refusal:
            self._send(refusal.code, refusal.status())
        except (json.JSONDecodeError, ValueError) as error:
            self._send(400, Refusal(400, "BadRequest", str(error)).status())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client hung up

    def _route(self, method: str, path: str, query: dict[str, str], body: Object) -> None:
        if method == "GET" and (found := self._discovery(path)):
            self._send(200, found)
            return
        if method == "GET" and (log := _LOG.fullmatch(path)):
            self._log(log["namespace"], log["name"], query)
            return
        match = _PATH.fullmatch(path)
        key = (match["group"] or "", match["version"], match["plural"]) if match else None
        store = self.server_of.stores.get(key) if key else None
        if match is None or store is None:
            self._plain(404, "404 page not found\n")
            return
        namespace, name = match["namespace"], match["name"]
        if method == "GET" and name:
            self._send(200, store.get(namespace, name))
        elif method == "GET":
            self._list(store, namespace, query)
        elif method == "POST" and namespace and not name:
            self._send(201, store.create(namespace, body))
        elif method == "PATCH" and name:
            if self.headers.get("Content-Type") != "application/merge-patch+json":
                raise Refusal(415, "UnsupportedMediaType", "only application/merge-patch+json is understood here")
            self._send(200, store.patch(namespace, name, body))
        elif method == "DELETE" and name:
            self._send(200, store.delete(namespace, name))
        else:
            raise Refusal(405, "MethodNotAllowed", f"{method} is not allowed here")

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> None:
        self.server_of.stores["", "v1", "pods"].get(namespace, name)
        text = self.server_of.logs.get((namespace, name, query.get("container", "")), "")
        lines = text.splitlines(keepends=True)
        self._plain(200, "".join(lines[-int(query["tailLines"]) :] if "tailLines" in query else lines))

    def _discovery(self, path: str) -> Object | None:
        stores = self.server_of.stores
        if path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            versions = sorted({(group, version) for group, version, _ in stores if group})
            groups = [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
                for group, version in versions
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        kinds = [
            s.served
            for s in stores.values()
            if path in (f"/apis/{s.served.api_version}", f"/api/{s.served.api_version}")
        ]
        if not kinds:
            return None
        verbs = ["create", "delete", "get", "list", "patch", "watch"]
        resources = [{"name": k.plural, "kind": k.kind, "namespaced": True, "verbs": verbs} for k in kinds]
        group = kinds[0].api_version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources}

    def _list(self, store: Store, namespace: str | None, query: dict[str, str]) -> None:
        labels = label_matcher(query.get("labelSelector", ""))
        field_name, _, field_value = query.get("fieldSelector", "").partition("=")
        if field_name not in ("", "metadata.name", "metadata.namespace"):
            raise Refusal(400, "BadRequest", f"field label not supported: {field_name}")

        def matches(item: Object) -> bool:
            metadata = item["metadata"]
            here = namespace in (None, metadata["namespace"])
            return here and labels(item) and (not field_name or metadata[field_name.partition(".")[2]] == field_value)

        if query.get("watch") in ("true", "True", "1"):
            self._watch(store, matches, query)
            return
        items, version = store.find(matches)
        served = store.served
        listed = {"apiVersion": served.api_version, "kind": f"{served.kind}List"}
        self._send(200, {**listed, "metadata": {"resourceVersion": version}, "items": items})

    def _watch(self, store: Store, matches: Callable[[Object], bool], query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        until = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        since = int(query.get("resourceVersion") or 0)
        if not since:
            # Without a version a watch begins with all there is.
            items, version = store.find(matches)
            since = int(version)
            for item in items:
                self._event("ADDED", item)
        try:
            for change in store.watch(since, until, self.server_of.stopped):
                if matches(change.object):
                    self._event(change.type, change.object)
        except Refusal as refusal:
            self._event("ERROR", refusal.status())
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, kind: str, item: Object) -> None:
        line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _send(self, code: int, content: Object) -> None:
        self._bytes(code, json.dumps(content).encode(), "application/json")

    def _plain(self, code: int, text: str) -> None:
        self._bytes(code, text.encode(), "text/plain")

    def _bytes(self, code: int, body: bytes, kind: str) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
