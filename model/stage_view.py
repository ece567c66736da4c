"""A Stage as it is shown: in Kubernetes' shape with Kargo's status, and at a glance for lists."""

from __future__ import annotations

from datetime import datetime

from model.base import Json, format_time
from model.conditions import Condition, timed
from model.freezes import shown as shown_freezes
from model.holds import effective_holds
from model.references import HealthState, VerificationPhase
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.stage_rules import freezes, stage_health
from model.stage_state import StageState
from model.stages import StageSummary
from model.windows import window_status

#: Names the refresh that was last asked for.
REFRESH = "kargo.akuity.io/refresh"


def freight_summary(state: StageState, stage: Stage | None) -> str:
    """Kargo's freightSummary: the Freight's name for one origin, "n/m Fulfilled" for several."""
    if stage is None or stage.control_flow:
        return "N/A"
    current = state.current()
    held = current.references() if current else []
    wanted = len(stage.spec.requested_freight)
    if wanted == 1:
        return held[0].name if held else "0/1 Fulfilled"
    return f"{len(held)}/{wanted} Fulfilled"


def summary(state: StageState, stage: Stage | None, waiting: str) -> StageSummary:
    """The memo of a Stage; kept small."""
    current, last = state.current(), state.last_promotion
    aliases = {record.name: record.alias for snapshot in state.snapshots.values() for record in snapshot.freight}
    health = stage_health(state)
    verification = current.verification_history[0].phase.value if current and current.verification_history else ""
    requests = stage.spec.requested_freight if stage else []
    return StageSummary(
        generation=state.generation,
        created_at=state.created_at,
        control_flow=bool(stage and stage.control_flow),
        origins=[str(request.origin) for request in requests],
        upstream=sorted({name for request in requests for name in request.sources.stages}),
        freight={piece.name: aliases.get(piece.name, "") for piece in (current.references() if current else [])},
        freight_summary=freight_summary(state, stage),
        health=health.status.value if health else "",
        verification=verification,
        current_promotion=state.promoting.entry.name if state.promoting else "",
        last_promotion=last.name if last else "",
        last_phase=last.phase.value if last and last.phase else "",
        queued=len(state.queue),
        waiting=waiting,
        auto_promotion=state.bundle.auto_promotion,
        frozen="; ".join(freeze.sentence() for freeze in freezes(state)),
    )


def describe(state: StageState, stage: Stage | None, waiting: str, now: datetime) -> dict[str, Json]:
    """The Stage resource with its status."""
    manifest = dict(state.manifest or {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Stage"})
    metadata = {**manifest.get("metadata", {}), "name": state.name, "namespace": state.project}
    metadata["generation"] = state.generation
    if state.created_at is not None:
        metadata["creationTimestamp"] = format_time(state.created_at)
    health = stage_health(state)
    status: dict[str, Json] = {
        "freightHistory": [collection.shown() for collection in state.history],
        "freightSummary": freight_summary(state, stage),
        "observedGeneration": state.generation,
        "autoPromotionEnabled": state.bundle.auto_promotion,
        "conditions": timed(conditions(state, waiting), state.transitions, state.created_at),
    }
    if health is not None:
        status["health"] = health.shown()
    if stage is not None:
        status |= _policy(state, stage, now)
    if state.promoting is not None:
        entry = state.promoting.entry
        status["currentPromotion"] = {
            "name": entry.name,
            "freight": entry.freight.shown(),
            **_override(entry.override_window, entry.actor),
        }
    last = state.last_promotion
    if last is not None:
        status["lastPromotion"] = {
            "name": last.name,
            "freight": last.freight.shown() if last.freight else None,
            "finishedAt": format_time(last.finished_at) if last.finished_at else None,
            **_override(last.override_window, last.actor),
            "status": {
                "phase": last.phase.value if last.phase else None,
                "message": last.message or None,
                "healthChecks": [check.shown() for check in last.health_checks],
                "freightCollection": last.collection.shown() if last.collection else None,
            },
        }
    if state.metadata:
        status["metadata"] = state.metadata
    if state.last_refresh:
        status["lastHandledRefresh"] = state.last_refresh
        metadata["annotations"] = {**metadata.get("annotations", {}), REFRESH: state.last_refresh}
    if state.queue:
        status["queue"] = [
            {
                "name": entry.name,
                "freight": entry.freight.name,
                "actor": entry.actor,
                **_override(entry.override_window, entry.actor),
            }
            for entry in state.queue
        ]
        status["waiting"] = waiting
    return {**manifest, "metadata": metadata, "status": status}


def _override(reason: str, actor: str) -> dict[str, Json]:
    """Why a Promotion may start in a closed promotion window, and who wanted that; nothing for one that may not."""
    return {"overrideWindow": {"reason": reason, "actor": actor}} if reason else {}


def _policy(state: StageState, stage: Stage, now: datetime) -> dict[str, Json]:
    """Holds, windows and freezes, as far as there are any."""
    effective = effective_holds(stage, state)
    status: dict[str, Json] = {
        "autoPromotionHolds": {origin: hold.shown() for origin, hold in sorted(state.holds.items())},
        "effectiveAutoPromotionHolds": {origin: hold.shown() for origin, hold in sorted(effective.items())},
        "freezes": [*shown_freezes(state.bundle.freezes), *shown_freezes(state.freezes)],
    }
    if state.bundle.windows:
        status["promotionWindowStatus"] = window_status(state.bundle.windows, now).shown()
    return {key: value for key, value in status.items() if value}


def conditions(state: StageState, waiting: str) -> list[Condition]:
    """What holds of the Stage, without since when."""
    health = stage_health(state)
    current = state.current()
    verifications = current.verification_history if current else []
    shown = [
        _condition("Ready", state.manifest is not None, "Reconciled", ""),
        _condition(
            "Promoting",
            state.promoting is not None,
            "ActivePromotion" if state.promoting else "NoActivePromotion",
            state.promoting.entry.name if state.promoting else waiting,
        ),
    ]
    if health is not None:
        shown.append(
            _condition("Healthy", health.status is HealthState.HEALTHY, health.status.value, "; ".join(health.issues))
        )
    if verifications:
        good = any(info.phase is VerificationPhase.SUCCESSFUL for info in verifications)
        latest = verifications[0]
        shown.append(_condition("Verified", good, latest.phase.value, latest.message or ""))
    last = state.last_promotion
    if last is not None and last.phase is not PromotionPhase.SUCCEEDED:
        shown[0] = _condition("Ready", False, "LastPromotionDidNotSucceed", last.message)
    return shown


def _condition(kind: str, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
