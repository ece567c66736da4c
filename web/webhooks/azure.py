"""Azure Container Registry and Azure DevOps, which sign nothing: the URL is what they know.

Kargo: pkg/webhook/external/azure.go.
"""

from __future__ import annotations

from model.pushes import Push
from model.urls import normalize_git
from starter.receivers import Placed
from web.webhooks.delivery import PING, Delivery, Nothing, Payload, PullRequestClosed, Refusal, Told, not_supported
from web.webhooks.media_types import repositories


def read(delivery: Delivery, _: Placed) -> Told:
    """Told apart by the User-Agent."""
    agent = delivery.headers.get("User-Agent", "")
    if agent.startswith("AzureContainerRegistry"):
        return _registry(delivery.payload())
    if agent.startswith("VSServices"):
        return _devops(delivery.payload())
    raise Refusal(400, "request does not appear to have originated from a supported service")


def _registry(payload: Payload) -> Told:
    action = payload.text("action")
    if action == "ping":
        return PING
    if action != "push":
        raise not_supported(action)
    url = f"{payload.text('request', 'host')}/{payload.text('target', 'repository')}"
    return Push(
        repositories=repositories(url, payload.text("target", "mediaType")),
        qualifiers=frozenset({payload.text("target", "tag")} - {""}),
    )


def _devops(payload: Payload) -> Told:
    event = payload.text("eventType")
    if event == "git.push":
        url = payload.text("resource", "repository", "remoteUrl")
        refs = {update.text("name") for update in payload.parts("resource", "refUpdates")}
        return Push(frozenset({normalize_git(url)} if url else ()), frozenset(refs - {""}))
    page = ("resource", "_links", "web", "href")
    if event == "git.pullrequest.merged":
        return PullRequestClosed(payload.text(*page))
    if event == "git.pullrequest.updated":
        return (
            PullRequestClosed(payload.text(*page)) if payload.text("resource", "status") == "abandoned" else Nothing()
        )
    raise not_supported(event)
