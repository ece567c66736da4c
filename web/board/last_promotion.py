"""A Stage's last Promotion, as far as the Stage itself tells."""

from __future__ import annotations

from datetime import UTC, datetime

from ulid import ULID

from starter.kinds import PROMOTION
from starter.shapes import Resource, resource


def last_promotion(stage: Resource) -> Resource | None:
    """The Promotion resource, without steps; None where there was none yet."""
    last = stage.get("status", {}).get("lastPromotion")
    if not last:
        return None
    metadata = stage["metadata"]
    shown = resource(PROMOTION, last["name"], metadata["namespace"], _made(last["name"]))
    freight = last.get("freight") or {}
    shown["spec"] = {"stage": metadata["name"], "freight": freight.get("name", "")}
    status = {
        "phase": last["status"].get("phase") or "",
        "message": last["status"].get("message") or "",
        "finishedAt": last.get("finishedAt") or "",
        "freight": {"name": freight.get("name", "")},
    }
    shown["status"] = {key: value for key, value in status.items() if value}
    return shown


def _made(name: str) -> datetime:
    """When a Promotion of that name was asked for: `<stage>.<ulid>.<freight>`."""
    try:
        return ULID.from_str(name.split(".")[-2].upper()).datetime
    except (ValueError, IndexError):
        return datetime.fromtimestamp(0, UTC)
