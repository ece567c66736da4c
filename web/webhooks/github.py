"""GitHub: pushes, closed pull requests, packages of its container registry (Kargo: pkg/webhook/external/github.go)."""

from __future__ import annotations

from model.pushes import Push
from model.urls import normalize_git
from starter.receivers import Placed
from web.webhooks.delivery import (
    PING,
    Delivery,
    Nothing,
    Payload,
    PullRequestClosed,
    Refusal,
    Told,
    changed_files,
    not_supported,
)
from web.webhooks.media_types import repositories
from web.webhooks.signature import check_signature

#: GitHub lists up to so many commits of a push: with that many, some may be missing.
MOST_COMMITS = 2048
#: GHCR's own name for the type, and what it calls the same in other events.
_CONTAINERS = ("CONTAINER", "docker")
#: The events about packages, and where they keep the package.
_PACKAGES = {"package": "package", "registry_package": "registry_package"}


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Signed by X-Hub-Signature-256."""
    check_signature(delivery, "X-Hub-Signature-256", receiver.secret)
    event = delivery.headers.get("X-GitHub-Event", "")
    if event == "ping":
        return PING
    if event == "push":
        return _push(delivery.payload())
    if event == "pull_request":
        payload = delivery.payload()
        if payload.text("action") != "closed":
            return Nothing()
        return PullRequestClosed(payload.text("pull_request", "html_url"))
    if event in _PACKAGES:
        return _package(delivery.payload(), _PACKAGES[event])
    raise not_supported(event)


def _push(payload: Payload) -> Told:
    urls = (payload.text("repository", "clone_url"), payload.text("repository", "ssh_url"))
    commits = payload.parts("commits")
    changed: frozenset[str] = frozenset()
    if len(commits) < MOST_COMMITS:
        changed = changed_files([*commits, payload.part("head_commit")])
    return Push(
        repositories=frozenset(normalize_git(url) for url in urls if url),
        qualifiers=frozenset({payload.text("ref")} - {""}),
        changed=changed,
    )


def _package(payload: Payload, key: str) -> Told:
    if payload.text("action") not in ("published", "updated"):
        return Nothing()
    version = (key, "package_version")
    if not payload.has(*version):
        raise Refusal(400, "invalid request body")
    if payload.text(key, "package_type") not in _CONTAINERS:
        return Nothing()
    media_type = payload.text(*version, "container_metadata", "manifest", "config", "media_type")
    tag = payload.text(*version, "container_metadata", "tag", "name")
    return Push(
        repositories=repositories(payload.text(*version, "package_url").removesuffix(":"), media_type),
        qualifiers=frozenset({tag} - {""}),
    )
