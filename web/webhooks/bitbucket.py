"""Bitbucket Cloud and Data Center: pushes, and pull requests that are over.

Kargo: pkg/webhook/external/bitbucket.go.
"""

from __future__ import annotations

from model.pushes import Push
from model.urls import normalize_git
from starter.receivers import Placed
from web.webhooks.delivery import PING, Delivery, Nothing, Payload, PullRequestClosed, Told, not_supported
from web.webhooks.signature import check_signature


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Signed by X-Hub-Signature."""
    check_signature(delivery, "X-Hub-Signature", receiver.secret)
    event = delivery.headers.get("X-Event-Key", "")
    if event == "repo:push":
        return _cloud_push(delivery.payload())
    if event == "repo:refs_changed":
        return _server_push(delivery.payload())
    if event in ("pullrequest:fulfilled", "pullrequest:rejected"):
        return PullRequestClosed(delivery.payload().text("pullrequest", "links", "html", "href"))
    if event in ("pr:merged", "pr:declined"):
        links = delivery.payload().parts("pullRequest", "links", "self")
        return PullRequestClosed(links[0].text("href")) if links else Nothing()
    # Data Center tries the connection with this one.
    if event == "diagnostics:ping":
        return PING
    raise not_supported(event)


def _cloud_push(payload: Payload) -> Told:
    url = payload.text("repository", "links", "html", "href")
    refs = set()
    for change in payload.parts("push", "changes"):
        # What was deleted has no new name.
        if name := change.text("new", "name"):
            refs.add(f"refs/{'tags' if change.text('new', 'type') == 'tag' else 'heads'}/{name}")
    return _told({normalize_git(url)} if url else set(), refs)


def _server_push(payload: Payload) -> Told:
    urls = {normalize_git(link.text("href")) for link in payload.parts("repository", "links", "clone")}
    return _told(urls, {change.text("ref", "id") for change in payload.parts("changes")} - {""})


def _told(repositories: set[str], refs: set[str]) -> Told:
    # A push without a ref only deleted something: unlike in Kargo it doesn't concern everybody.
    return Push(frozenset(repositories), frozenset(refs)) if refs else Nothing()
