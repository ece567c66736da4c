"""Quay, which signs nothing: the URL is what it knows (Kargo: pkg/webhook/external/quay.go)."""

from __future__ import annotations

from model.pushes import Push
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Told
from web.webhooks.media_types import repositories


def read(delivery: Delivery, _: Placed) -> Told:
    """A push of tags."""
    payload = delivery.payload()
    return Push(
        repositories=repositories(payload.text("docker_url")),
        qualifiers=frozenset(payload.texts("updated_tags")) - {""},
    )
