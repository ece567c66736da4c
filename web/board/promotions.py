"""Promotions as they are seen from afar: by visibility and memo, or as their Stage tells of the last one."""

from __future__ import annotations

from datetime import UTC, datetime

from ulid import ULID

from model.promotions import PromotionView, StepRecord
from model.resources.promotion import PromotionPhase
from starter.kinds import PROMOTION
from starter.shapes import Resource, promotion_resource, resource
from starter.sightings import Sighting


async def promotion_seen(project: str, seen: Sighting) -> Resource | None:
    """The Promotion resource, without outputs of steps; None: it was refused, and never was."""
    if not seen.phase:
        return None
    phase = PromotionPhase(seen.phase)
    if seen.over and not phase.terminal:
        # Ended by hand in Temporal: its Stage counts it so.
        phase = PromotionPhase.ERRORED
    glance = await seen.promotion()
    view = PromotionView(
        project=project,
        stage=seen.stage,
        name=seen.name,
        freight=seen.freight,
        freight_alias=glance.freight_alias,
        phase=PromotionPhase.RUNNING if phase is PromotionPhase.PENDING and glance.started_at else phase,
        message=glance.message,
        actor=glance.actor,
        created_at=seen.started_at,
        started_at=glance.started_at,
        finished_at=glance.finished_at or seen.execution.close_time,
        steps=[StepRecord.model_validate(step.model_dump()) for step in glance.steps],
    )
    return promotion_resource(view)


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
