"""GitLab: pushes, tags, merge requests that were merged or closed (Kargo: pkg/webhook/external/gitlab.go)."""

from __future__ import annotations

from model.pushes import Push
from model.urls import normalize_git
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Nothing, Payload, PullRequestClosed, Told, changed_files, not_supported
from web.webhooks.signature import check_token


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Carries its secret token in X-Gitlab-Token."""
    check_token(delivery, "X-Gitlab-Token", receiver.secret)
    event = delivery.headers.get("X-Gitlab-Event", "")
    if event == "Push Hook":
        return _push(delivery.payload(), commits=True)
    if event == "Tag Push Hook":
        return _push(delivery.payload(), commits=False)
    if event == "Merge Request Hook":
        payload = delivery.payload()
        if payload.text("object_attributes", "action") not in ("close", "merge"):
            return Nothing()
        return PullRequestClosed(payload.text("object_attributes", "url"))
    raise not_supported(event)


def _push(payload: Payload, *, commits: bool) -> Told:
    urls = (payload.text("repository", "git_http_url"), payload.text("repository", "git_ssh_url"))
    pushed = payload.parts("commits") if commits else []
    # Of a large push GitLab lists the first commits alone.
    complete = payload.number("total_commits_count") <= len(pushed)
    return Push(
        repositories=frozenset(normalize_git(url) for url in urls if url),
        qualifiers=frozenset({payload.text("ref")} - {""}),
        changed=changed_files(pushed) if complete else frozenset(),
    )
