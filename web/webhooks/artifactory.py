"""Artifactory: pushed images and OCI charts (Kargo: pkg/webhook/external/artifactory.go)."""

from __future__ import annotations

from urllib.parse import urlsplit

from model.pushes import Push
from model.urls import normalize_chart, normalize_image
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Refusal, Told
from web.webhooks.signature import check_bare_signature

_NORMALIZE = {"docker": normalize_image, "oci": normalize_chart}


def read(delivery: Delivery, receiver: Placed) -> Told:
    """Signed by X-JFrog-Event-Auth."""
    check_bare_signature(delivery, "X-JFrog-Event-Auth", receiver.secret)
    payload = delivery.payload()
    if payload.text("event_type") != "pushed" or payload.text("domain") != "docker":
        raise Refusal(501, "event type must be 'pushed' and domain must be 'docker'")
    kind = payload.text("data", "image_type")
    normalize = _NORMALIZE.get(kind)
    if normalize is None:
        raise Refusal(501, f"unsupported image type {kind[:100]!r}")
    # `<folders of the repository>/<tag>/manifest.json`
    parts = payload.text("data", "path").split("/")
    if len(parts) < 2:
        raise Refusal(400, "invalid value in payload's data.path field")
    try:
        host = urlsplit(payload.text("jpd_origin")).netloc.rpartition("@")[2]
    except ValueError:
        raise Refusal(400, "invalid value in payload's jpd_origin field") from None
    settings = receiver.config.artifactory
    repository = (settings.virtual_repo_name if settings else "") or payload.text("data", "repo_key")
    url = "/".join([host, repository, *parts[:-2]])
    return Push(frozenset({normalize(url)}), frozenset({payload.text("data", "tag")} - {""}))
