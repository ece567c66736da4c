"""The Kubernetes API as activities need it: objects of named API groups, and pods with their logs, in threads."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from model.base import Json

if TYPE_CHECKING:
    from activities.settings import ActivitySettings

#: Seconds to connect, and to read an answer.
TIMEOUT = (5.0, 30.0)
#: The largest event of a watch, in bytes: as large as etcd lets an object be, and some.
MAX_EVENT = 4 * 1024 * 1024
#: How many objects one list may hold.
MAX_LISTED = 5000
#: How much of a container's log is read: its last lines, and of those so many bytes.
LOG_LINES = 200
LOG_BYTES = 256 * 1024


@dataclass(frozen=True)
class Resource:
    """A kind of resource in an API group, as the API's paths name it."""

    group: str
    version: str
    plural: str
    kind: str


class KubernetesError(Exception):
    """The API answered with an error, or not at all. The message says what was asked for."""


class KubernetesUnreachable(KubernetesError):
    """No API is configured, it can't be connected to, or it didn't answer in time."""


class ObjectNotFound(KubernetesError):
    """There is no object of that name."""


class ResourceNotServed(KubernetesError):
    """The cluster doesn't know this kind of resource: its CustomResourceDefinition isn't installed."""


class AccessDenied(KubernetesError):
    """401 or 403: the worker's identity is unknown, or may not do this."""


class ObjectConflict(KubernetesError):
    """409: the object has changed since it was read."""


class Kubernetes:
    """The API server of a kubeconfig, or of the cluster the worker runs in. Connects on first use; thread-safe."""

    def __init__(self, settings: ActivitySettings) -> None:
        self._kubeconfig = str(settings.kubeconfig) if settings.kubeconfig else os.environ.get("KUBECONFIG")
        self._api: client.CustomObjectsApi | None = None
        self._lock = threading.Lock()

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Json]:
        """One object. Raises ObjectNotFound and the other errors of this module."""
        found: dict[str, Json] = await self._ask(
            f"reading {resource.kind} {namespace}/{name}",
            lambda api: api.get_namespaced_custom_object(
                resource.group, resource.version, namespace, resource.plural, name, _request_timeout=TIMEOUT
            ),
        )
        return found

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[dict[str, Json]]:
        """The objects of a namespace that match a label selector, at most MAX_LISTED."""
        found = await self._ask(
            f"listing {resource.plural} in namespace {namespace}",
            lambda api: api.list_namespaced_custom_object(
                resource.group,
                resource.version,
                namespace,
                resource.plural,
                label_selector=label_selector,
                limit=MAX_LISTED,
                _request_timeout=TIMEOUT,
            ),
        )
        if found.get("metadata", {}).get("continue"):
            raise KubernetesError(f"more than {MAX_LISTED} {resource.plural} match in namespace {namespace}")
        return list(found.get("items", []))

    async def create(self, resource: Resource, namespace: str, body: Json) -> dict[str, Json]:
        """Create an object, unknown fields being errors. Raises ObjectConflict where there is one of its name."""
        created: dict[str, Json] = await self._ask(
            f"creating {resource.kind} {namespace}/{body['metadata']['name']}",
            lambda api: api.create_namespaced_custom_object(
                resource.group,
                resource.version,
                namespace,
                resource.plural,
                body,
                field_validation="Strict",
                _request_timeout=TIMEOUT,
            ),
        )
        return created

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object and, in the background, what belongs to it. Raises ObjectNotFound where there is none."""
        await self._ask(
            f"deleting {resource.kind} {namespace}/{name}",
            lambda api: api.delete_namespaced_custom_object(
                resource.group,
                resource.version,
                namespace,
                resource.plural,
                name,
                propagation_policy="Background",
                _request_timeout=TIMEOUT,
            ),
        )

    async def pods(self, namespace: str, label_selector: str) -> list[dict[str, Json]]:
        """The pods of a namespace that match a label selector, at most MAX_LISTED."""
        found = await self._ask(
            f"listing pods in namespace {namespace}",
            lambda api: json.loads(
                _raw(
                    client.CoreV1Api(api.api_client).list_namespaced_pod,
                    namespace,
                    label_selector=label_selector,
                    limit=MAX_LISTED,
                )
            ),
        )
        return list(found.get("items") or [])

    async def log(self, namespace: str, pod: str, container: str) -> str:
        """The last lines of a container's log."""
        read: bytes = await self._ask(
            f"reading the log of Pod {namespace}/{pod}",
            lambda api: _raw(
                client.CoreV1Api(api.api_client).read_namespaced_pod_log,
                pod,
                namespace,
                container=container,
                tail_lines=LOG_LINES,
                limit_bytes=LOG_BYTES,
            ),
        )
        return read.decode("utf-8", errors="replace")

    async def patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> dict[str, Json]:
        """Apply a JSON merge patch; with `metadata.resourceVersion` in it, ObjectConflict if the object has changed."""
        patched: dict[str, Json] = await self._ask(
            f"patching {resource.kind} {namespace}/{name}",
            lambda api: api.patch_namespaced_custom_object(
                resource.group,
                resource.version,
                namespace,
                resource.plural,
                name,
                patch,
                _content_type="application/merge-patch+json",
                _request_timeout=TIMEOUT,
            ),
        )
        return patched

    async def wait_for_change(
        self, resource: Resource, namespace: str, name: str, resource_version: str, seconds: int
    ) -> None:
        """Return when an object changes after `resource_version`, at the latest after so many seconds.

        It returns early where the API no longer knows that version: whoever waits reads the object anew anyway.
        """
        await self._ask(
            f"watching {resource.kind} {namespace}/{name}",
            lambda api: _first_event(
                api.list_namespaced_custom_object(
                    resource.group,
                    resource.version,
                    namespace,
                    resource.plural,
                    field_selector=f"metadata.name={name}",
                    resource_version=resource_version,
                    timeout_seconds=seconds,
                    watch=True,
                    _preload_content=False,
                    _request_timeout=(TIMEOUT[0], seconds + 5.0),
                )
            ),
        )

    async def _ask(self, what: str, request: Any) -> Any:
        """Make one request in a thread, with its errors as this module's. `Any`: the client is untyped."""
        try:
            return await asyncio.to_thread(lambda: request(self._connected()))
        except ApiException as error:
            raise _error(what, error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubernetesUnreachable(f"{what}: the Kubernetes API can't be reached: {_reason(error)}") from error
        except config.ConfigException as error:
            raise KubernetesUnreachable(
                f"{what}: no Kubernetes cluster is configured for this worker (set TOWPATH_KUBECONFIG): {error}"
            ) from error

    def _connected(self) -> client.CustomObjectsApi:
        with self._lock:
            if self._api is None:
                configuration = client.Configuration()
                if self._kubeconfig:
                    config.load_kube_config(self._kubeconfig, client_configuration=configuration)
                else:
                    config.load_incluster_config(client_configuration=configuration)
                configuration.retries = 1
                self._api = client.CustomObjectsApi(client.ApiClient(configuration))
            return self._api


def _raw(request: Any, *args: str, **options: Any) -> bytes:
    """The body of an answer as it came. `Any`: the client is untyped."""
    body: bytes = request(*args, **options, _preload_content=False, _request_timeout=TIMEOUT).data
    return body


def _first_event(response: Any) -> None:
    """Read a watch up to its first event that matters, then hang up."""
    try:
        buffer = b""
        for chunk in response.stream(amt=None, decode_content=False):
            buffer += chunk
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                if line.strip() and json.loads(line).get("type") != "BOOKMARK":
                    return
            if len(buffer) > MAX_EVENT:
                return
    except urllib3.exceptions.ReadTimeoutError:
        return  # nothing changed in that time
    finally:
        response.close()
        response.release_conn()


def _error(what: str, error: ApiException) -> KubernetesError:
    status: dict[str, Json] = {}
    try:
        parsed = json.loads(error.body or "{}")
        status = parsed if isinstance(parsed, dict) else {}
    except ValueError:
        pass  # not a Status object: an unknown path is answered in plain text
    message = f"{what}: {str(status.get('message') or error.reason or error.status)[:500]}"
    if error.status == 404:
        served = status.get("kind") == "Status" and "details" in status
        return ObjectNotFound(message) if served else ResourceNotServed(f"{what}: the cluster doesn't serve this kind")
    if error.status in (401, 403):
        return AccessDenied(f"{message} (HTTP {error.status})")
    if error.status == 409:
        return ObjectConflict(message)
    return KubernetesError(f"{message} (HTTP {error.status})")


def _reason(error: BaseException) -> str:
    """The innermost reason, without the objects that urllib3 prints around it."""
    reason = getattr(error, "reason", None)
    while isinstance(reason, BaseException):
        error, reason = reason, getattr(reason, "reason", None)
    text = str(error).rpartition(">: ")[2] or type(error).__name__
    return text[:300]
