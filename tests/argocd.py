"""An Argo CD for tests: on a server of its own on loopback, or on the cluster of TOWPATH_TEST_KUBECONFIG."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kubernetes import client, config

from activities.kubernetes import Kubernetes
from examples.world.argocd import ArgoCD


@contextmanager
def running_argocd(directory: Path, **options: Any) -> Iterator[tuple[ArgoCD, Any]]:
    """An Argo CD, and the ways to the outside of a worker that is configured for it."""
    real = os.environ.get("TOWPATH_TEST_KUBECONFIG")
    if real:
        with (
            _namespace(Path(real)) as namespace,
            ArgoCD(kubeconfig=Path(real), namespace=namespace, **options) as argocd,
        ):
            yield argocd, outside_of(Path(real), namespace)
        return
    with ArgoCD(**options) as argocd:
        yield argocd, outside_of(argocd.kubeconfig(directory / "kubeconfig"), argocd.namespace)


def outside_of(kubeconfig: Path, namespace: str = "argocd") -> Any:
    settings: Any = SimpleNamespace(kubeconfig=kubeconfig, argocd_namespace=namespace)
    return SimpleNamespace(settings=settings, kubernetes=Kubernetes(settings))


@contextmanager
def _namespace(kubeconfig: Path) -> Iterator[str]:
    """A namespace of its own on a real API server, and the CustomResourceDefinition if it isn't there."""
    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    with client.ApiClient(configuration) as api:
        definitions = client.ApiextensionsV1Api(api)
        try:
            definitions.read_custom_resource_definition("applications.argoproj.io")
        except client.ApiException as error:
            if error.status != 404:
                raise
            definitions.create_custom_resource_definition(_definition())
            _until_served(api)
        name = f"towpath-{uuid.uuid4().hex[:8]}"
        core = client.CoreV1Api(api)
        core.create_namespace({"metadata": {"name": name}})
        try:
            yield name
        finally:
            core.delete_namespace(name)


def _until_served(api: client.ApiClient) -> None:
    applications = client.CustomObjectsApi(api)
    for _ in range(200):
        try:
            applications.list_cluster_custom_object("argoproj.io", "v1alpha1", "applications")
        except client.ApiException:
            continue
        return
    raise TimeoutError("the API server never served Applications")


def _definition() -> dict[str, Any]:
    names = {"kind": "Application", "listKind": "ApplicationList", "plural": "applications", "singular": "application"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.argoproj.io"},
        "spec": {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }
