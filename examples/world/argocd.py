"""An Argo CD that deploys nothing: Applications on a Kubernetes API, and the controller that plays along.

The controller is a client of the API like the real one: it watches Applications, takes up the operations they ask
for, and writes what became of them. What becomes of them is told by a `Script` per Application.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from examples.world.kubernetes import KubernetesServer, Object, Served

APPLICATIONS = Served("argoproj.io", "v1alpha1", "applications", "Application")
#: Applications of this annotation may be updated by the Stages it names (`project:stage`, with commas between).
AUTHORIZED_STAGE = "kargo.akuity.io/authorized-stage"
REFRESH = "argocd.argoproj.io/refresh"


@dataclass
class Script:
    """What becomes of an Application's operations."""

    #: How they end; `Running`: they don't.
    operation: Literal["Succeeded", "Failed", "Error", "Running"] = "Succeeded"
    message: str = "successfully synced"
    #: The revision they sync to, for each source: its target revision unless this says otherwise.
    revision: Callable[[Object], str] | None = None
    #: The Application's health afterwards; Progressing comes before it in any case.
    health: str = "Healthy"
    #: Seconds from one state to the next.
    delay: float = 0.0
    #: Whether health is assessed anew after an operation without being asked to (`reconciledAt`).
    reconciles: bool = True


class ArgoCD:
    """The Applications of a cluster and their controller. `with ArgoCD() as argocd:` brings its own API server.

    With `kubeconfig` it works on that cluster instead, which must have the CustomResourceDefinition.
    """

    def __init__(
        self,
        *,
        namespace: str = "argocd",
        kubeconfig: Path | None = None,
        head: Callable[[Object], str] | None = None,
    ) -> None:
        self.namespace = namespace
        #: The commit that a source's target revision stands at, for Applications whose script doesn't say.
        self.head = head or (lambda source: str(source.get("targetRevision") or "HEAD"))
        self.scripts: dict[str, Script] = {}
        self.server = None if kubeconfig else KubernetesServer(APPLICATIONS)
        configuration = client.Configuration()
        if kubeconfig:
            config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        elif self.server:
            configuration.host = self.server.url
        self._client = client.ApiClient(configuration)
        self._api = client.CustomObjectsApi(self._client)
        self._stopped = threading.Event()
        self._watch: watch.Watch | None = None
        self._thread = threading.Thread(target=self._control, name="argocd-controller", daemon=True)
        self._thread.start()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for the API server that this Argo CD brought along."""
        if self.server is None:
            raise ValueError("this Argo CD works on a cluster that has a kubeconfig already")
        return self.server.kubeconfig(path)

    def close(self) -> None:
        self._stopped.set()
        if self._watch:
            self._watch.stop()
        if self.server:
            self.server.close()
        self._thread.join(timeout=10)
        self._client.close()

    def __enter__(self) -> ArgoCD:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def create(
        self,
        name: str,
        *sources: Object,
        stages: str = "",
        labels: dict[str, str] | None = None,
        script: Script | None = None,
        **more: Any,
    ) -> Object:
        """Create an Application; several sources make it a multi-source one. `stages`: those who may update it."""
        if script:
            self.scripts[name] = script
        spec: Object = {
            "project": "default",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
        }
        spec |= {"source": sources[0]} if len(sources) == 1 else {"sources": list(sources)}
        metadata: Object = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        if stages:
            metadata["annotations"] = {AUTHORIZED_STAGE: stages}
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec, **more}
        group, version = APPLICATIONS.group, APPLICATIONS.version
        created: Object = self._api.create_namespaced_custom_object(
            group, version, self.namespace, APPLICATIONS.plural, body
        )
        return created

    def get(self, name: str) -> Object:
        found: Object = self._api.get_namespaced_custom_object(
            APPLICATIONS.group, APPLICATIONS.version, self.namespace, APPLICATIONS.plural, name
        )
        return found

    def patch(self, name: str, patch: Object) -> Object:
        patched: Object = self._api.patch_namespaced_custom_object(
            APPLICATIONS.group,
            APPLICATIONS.version,
            self.namespace,
            APPLICATIONS.plural,
            name,
            patch,
            _content_type="application/merge-patch+json",
        )
        return patched

    def delete(self, name: str) -> None:
        self._api.delete_namespaced_custom_object(
            APPLICATIONS.group, APPLICATIONS.version, self.namespace, APPLICATIONS.plural, name
        )

    def wait(self, name: str, condition: Callable[[Object], bool], seconds: float = 10.0) -> Object:
        """The Application once it meets a condition. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not condition(app := self.get(name)):
            if time.monotonic() > until:
                raise TimeoutError(f"{name} never came to be as expected: {app.get('status')}")
            self._stopped.wait(0.01)
        return app

    def _control(self) -> None:
        version = ""
        while not self._stopped.is_set():
            self._watch = watch.Watch()
            try:
                for event in self._watch.stream(
                    self._api.list_namespaced_custom_object,
                    APPLICATIONS.group,
                    APPLICATIONS.version,
                    self.namespace,
                    APPLICATIONS.plural,
                    timeout_seconds=60,
                    **({"resource_version": version} if version else {}),
                ):
                    app = event["object"]
                    version = app["metadata"]["resourceVersion"]
                    if event["type"] != "DELETED":
                        self._reconcile(app)
                    if self._stopped.is_set():
                        return
            except (ApiException, HTTPError, OSError):
                version = ""  # the version is too old, or the server is away: begin anew
                self._stopped.wait(0.05)

    def _reconcile(self, app: Object) -> None:
        """Carry one Application on by one state."""
        name = app["metadata"]["name"]
        script = self.scripts.get(name, Script())
        patch = self._next(app, script)
        if patch is None:
            return
        if script.delay:
            self._stopped.wait(script.delay)
        patch["metadata"] = patch.get("metadata", {}) | {"resourceVersion": app["metadata"]["resourceVersion"]}
        # A conflict: somebody else changed it, and the watch will bring that.
        with suppress(ApiException):
            self.patch(name, patch)

    def _next(self, app: Object, script: Script) -> Object | None:
        status = app.get("status") or {}
        operation, state = app.get("operation"), status.get("operationState")
        if operation and (not state or state.get("phase") not in ("Running", "Terminating")):
            begun = {"operation": operation, "phase": "Running", "startedAt": _now(), "message": "waiting"}
            # What an earlier operation left behind doesn't survive in a merge patch unless it is named.
            return {"status": {"operationState": begun | {"finishedAt": None, "syncResult": None}}}
        if operation and state and state["phase"] == "Running" and script.operation != "Running":
            return self._ended(app, script)
        if REFRESH in (app["metadata"].get("annotations") or {}) and not operation:
            later = max(_now(), (state or {}).get("finishedAt") or "")
            return {"metadata": {"annotations": {REFRESH: None}}, "status": {"reconciledAt": later}}
        health = (status.get("health") or {}).get("status")
        if health == "Progressing" and script.health != "Progressing" and not operation:
            return {"status": {"health": {"status": script.health}}}
        return None

    def _ended(self, app: Object, script: Script) -> Object:
        sources = app["spec"].get("sources") or [app["spec"]["source"]]
        revisions = [(script.revision or self.head)(source) for source in sources]
        several = "sources" in app["spec"]
        synced: Object = {"revisions": revisions} if several else {"revision": revisions[0]}
        finished = _now()
        state: Object = {"phase": script.operation, "message": script.message, "finishedAt": finished}
        status: Object = {"operationState": state | {"syncResult": copy.deepcopy(synced)}}
        if script.operation == "Succeeded":
            status |= {"sync": {"status": "Synced", **synced}, "health": {"status": "Progressing"}}
        if script.reconciles:
            status["reconciledAt"] = finished
        return {"operation": None, "metadata": {"annotations": {REFRESH: None}}, "status": status}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
