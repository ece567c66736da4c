"""Gitea and Forgejo: pushes and closed pull requests (Kargo: pkg/webhook/external/gitea.go)."""

from __future__ import annotations

from model.pushes import Push
from model.urls import normalize_git
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Nothing, Payload, PullRequestClosed, Told, changed_files, not_supported
from web.webhooks.signature import check_signature


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Signed by X-Hub-Signature-256."""
    check_signature(delivery, "X-Hub-Signature-256", receiver.secret)
    event = delivery.headers.get("X-Gitea-Event", "")
    if event == "push":
        return _push(delivery.payload())
    if event == "pull_request":
        payload = delivery.payload()
        if payload.text("action") != "closed":
            return Nothing()
        return PullRequestClosed(payload.text("pull_request", "html_url"))
    raise not_supported(event)


def _push(payload: Payload) -> Told:
    commits = payload.parts("commits")
    # Of a large push Gitea lists the newest commits alone.
    complete = payload.number("total_commits") <= len(commits)
    url = payload.text("repository", "clone_url")
    return Push(
        repositories=frozenset({normalize_git(url)} if url else ()),
        qualifiers=frozenset({payload.text("ref")} - {""}),
        changed=changed_files(commits) if complete else frozenset(),
    )
