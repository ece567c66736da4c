"""Small Stages, Freight and Warehouses for tests of rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from model.freight_status import FreightRecord, VerifiedIn
from model.promotions import PromotionFinished
from model.references import FreightOrigin, FreightReference, Health, HealthState, VerificationPhase, collect
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.stage_state import QueueEntry, RunningPromotion, StageState
from model.stages import StageBundle, Turn, TurnKind
from model.warehouses import WarehouseSnapshot

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_stage(name: str = "prod", origins: tuple[str, ...] = ("web",), steps: bool = True, **sources: Any) -> Stage:
    """A Stage that requests these origins, all from the same sources."""
    spec: dict[str, Any] = {
        "requestedFreight": [{"origin": {"kind": "Warehouse", "name": o}, "sources": sources} for o in origins]
    }
    if steps:
        spec["promotionTemplate"] = {"spec": {"steps": [{"uses": "work"}]}}
    return Stage.model_validate(
        {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}
    )


def reference(name: str, warehouse: str = "web") -> FreightReference:
    return FreightReference(name=name, origin=FreightOrigin(name=warehouse))


def piece(
    name: str,
    warehouse: str = "web",
    *,
    age: float = 0,
    verified: dict[str, float] | None = None,
    soaked: dict[str, float] | None = None,
    current: dict[str, float] | None = None,
    approved: tuple[str, ...] = (),
) -> FreightRecord:
    """Freight; all times are hours before NOW, `soaked` lengths of finished stays in hours."""
    return FreightRecord(
        reference=reference(name, warehouse),
        alias=f"{name}-alias",
        discovered_at=NOW - HOUR * age,
        verified_in={
            stage: VerifiedIn(
                verified_at=NOW - HOUR * ago,
                longest_soak=HOUR * soaked[stage] if soaked and stage in soaked else None,
            )
            for stage, ago in (verified or {}).items()
        },
        currently_in={stage: NOW - HOUR * ago for stage, ago in (current or {}).items()},
        approved_for=dict.fromkeys(approved, NOW),
    )


def a_state(*records: FreightRecord, name: str = "prod", auto: bool = True, **fields: Any) -> StageState:
    """A Stage's state that knows this Freight."""
    snapshots: dict[str, WarehouseSnapshot] = {}
    for record in records:
        warehouse = record.reference.origin.name
        snapshot = snapshots.setdefault(warehouse, WarehouseSnapshot(warehouse=warehouse, version=1))
        snapshot.freight.append(record)
    bundle = fields.pop("bundle", None) or StageBundle(revision=1, auto_promotion=auto)
    return StageState(project="shop", name=name, bundle=bundle, snapshots=snapshots, **fields)


def queued(name: str, freight: str, warehouse: str = "web", **fields: Any) -> QueueEntry:
    return QueueEntry(
        name=name,
        workflow_id=f"promotion/shop/{name}",
        run_id=name,
        freight=reference(freight, warehouse),
        actor=fields.pop("actor", "subject:someone"),
        created_at=NOW,
        **fields,
    )


def running(state: StageState, entry: QueueEntry) -> None:
    """Gives the turn to a Promotion."""
    state.promoting = RunningPromotion(entry=entry, collection=collect(entry.freight))
    state.turn = Turn(kind=TurnKind.PROMOTION, name=entry.name, workflow_id=entry.workflow_id, since=NOW)


def holding(state: StageState, *names: str, verification: VerificationPhase | None = None) -> None:
    """Lets the Stage hold Freight, by a Promotion that succeeded; Healthy."""
    from model.references import VerificationInfo

    collection = collect(*(reference(name) for name in names))
    if verification is not None:
        collection.verification_history = [VerificationInfo(id="v", phase=verification, finish_time=NOW)]
    state.history = [collection, *state.history]
    state.last_promotion = PromotionFinished(name="last", phase=PromotionPhase.SUCCEEDED, finished_at=NOW)
    state.health = Health(status=HealthState.HEALTHY)
