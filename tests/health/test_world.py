"""The Kubernetes API that plays Argo CD's cluster in tests and the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from examples.world.argocd import APPLICATIONS
from examples.world.kubernetes import HISTORY, KubernetesServer, merged

ARGS = (APPLICATIONS.group, APPLICATIONS.version, "argocd", APPLICATIONS.plural)


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(APPLICATIONS) as running:
        yield running


@pytest.fixture
def api(server: KubernetesServer) -> Iterator[client.CustomObjectsApi]:
    configuration = client.Configuration()
    configuration.host = server.url
    with client.ApiClient(configuration) as made:
        yield client.CustomObjectsApi(made)


def create(api: client.CustomObjectsApi, name: str, **labels: str) -> dict[str, Any]:
    created: dict[str, Any] = api.create_namespaced_custom_object(*ARGS, {"metadata": {"name": name, "labels": labels}})
    return created


def patch(api: client.CustomObjectsApi, name: str, body: dict[str, Any]) -> dict[str, Any]:
    patched: dict[str, Any] = api.patch_namespaced_custom_object(
        *ARGS, name, body, _content_type="application/merge-patch+json"
    )
    return patched


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", "abc"),
        ("tier=web", "a"),
        ("tier==web", "a"),
        ("tier!=web", "bc"),
        ("tier in (web, db)", "ab"),
        ("tier notin (web),team", "b"),
        ("!tier", "c"),
        ("tier,team=x", "ab"),
    ],
)
def test_label_selectors(api: client.CustomObjectsApi, selector: str, names: str) -> None:
    create(api, "a", tier="web", team="x")
    create(api, "b", tier="db", team="x")
    create(api, "c")
    found = api.list_namespaced_custom_object(*ARGS, label_selector=selector)
    assert "".join(item["metadata"]["name"] for item in found["items"]) == names


def test_a_patch_of_an_old_version_is_a_conflict(api: client.CustomObjectsApi) -> None:
    version = create(api, "a")["metadata"]["resourceVersion"]
    newer = patch(api, "a", {"metadata": {"resourceVersion": version}, "spec": {"x": 1}})
    assert newer["metadata"]["resourceVersion"] != version
    with pytest.raises(ApiException) as caught:
        patch(api, "a", {"metadata": {"resourceVersion": version}, "spec": {"x": 2}})
    assert caught.value.status == 409
    assert patch(api, "a", {"spec": {"x": 1}})["metadata"]["resourceVersion"] == newer["metadata"]["resourceVersion"]


def test_a_watch_goes_on_where_a_list_ended(api: client.CustomObjectsApi) -> None:
    create(api, "a")
    version = api.list_namespaced_custom_object(*ARGS)["metadata"]["resourceVersion"]
    change = threading.Thread(target=lambda: (patch(api, "a", {"spec": {"x": 1}}), create(api, "b")))
    change.start()
    watching = watch.Watch()
    seen = []
    for event in watching.stream(
        api.list_namespaced_custom_object, *ARGS, resource_version=version, timeout_seconds=10
    ):
        seen.append((event["type"], event["object"]["metadata"]["name"]))
        if len(seen) == 2:
            watching.stop()
    change.join()
    assert seen == [("MODIFIED", "a"), ("ADDED", "b")]


def test_a_watch_from_too_long_ago_is_gone(api: client.CustomObjectsApi, server: KubernetesServer) -> None:
    create(api, "a")
    store = next(iter(server.stores.values()))
    for number in range(HISTORY + 5):
        store.patch("argocd", "a", {"spec": {"x": number}})
    with pytest.raises(ApiException) as caught:
        list(watch.Watch().stream(api.list_namespaced_custom_object, *ARGS, resource_version="1", timeout_seconds=5))
    assert caught.value.status == 410


@pytest.mark.parametrize(
    ("present", "patch_of", "result"),
    [
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_merge_patches(present: dict[str, Any], patch_of: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(present, patch_of) == result
