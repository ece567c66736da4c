"""Harbor: pushed artifacts (Kargo: pkg/webhook/external/harbor.go)."""

from __future__ import annotations

from model.pushes import Push
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Nothing, Told, not_supported
from web.webhooks.media_types import repositories
from web.webhooks.signature import check_token


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Carries its secret, whole, in the Authorization header."""
    check_token(delivery, "Authorization", receiver.secret)
    payload = delivery.payload()
    if payload.text("type") != "PUSH_ARTIFACT":
        raise not_supported(payload.text("type"))
    resources = payload.parts("event_data", "resources")
    if not resources:
        return Nothing()
    return Push(
        repositories=repositories(resources[0].text("resource_url")),
        qualifiers=frozenset(resource.text("tag") for resource in resources) - {""},
    )
