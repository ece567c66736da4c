"""Docker Hub, which signs nothing: the URL is what it knows (Kargo: pkg/webhook/external/dockerhub.go)."""

from __future__ import annotations

from model.pushes import Push
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Told
from web.webhooks.media_types import repositories


def read(delivery: Delivery, _: Placed) -> Told:
    """A push of one tag."""
    payload = delivery.payload()
    return Push(
        repositories=repositories(payload.text("repository", "repo_name"), payload.text("push_data", "media_type")),
        qualifiers=frozenset({payload.text("push_data", "tag")} - {""}),
    )
