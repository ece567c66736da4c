"""Rules in which Towpath differs from Kargo on purpose (docs/architecture.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.availability import availability
from model.freight_status import FreightRecord, VerifiedIn
from model.references import FreightOrigin, FreightReference
from model.resources.stage import FreightRequest
from model.warehouse_rules import RETAINED, collectable

ORIGIN = FreightOrigin(name="web")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(name: str, age: timedelta) -> FreightRecord:
    return FreightRecord(reference=FreightReference(name=name, origin=ORIGIN), discovered_at=NOW - age)


@pytest.mark.parametrize(("since", "available"), [(timedelta(hours=47), False), (timedelta(hours=48), True)])
def test_soak_behind_a_control_flow_stage_counts_from_verification(since: timedelta, available: bool) -> None:
    request = FreightRequest.model_validate(
        {"origin": {"kind": "Warehouse", "name": "web"}, "sources": {"stages": ["gate"], "requiredSoakTime": "48h"}}
    )
    freight = record("a", timedelta(days=9))
    freight.verified_in["gate"] = VerifiedIn(verified_at=NOW - since)
    verdict = availability("prod", [request], freight, NOW, {"gate"})
    assert verdict.available is available
    if not available:
        assert verdict.at == NOW + timedelta(hours=1)


def test_freight_that_somebody_counts_on_is_not_collected() -> None:
    age = timedelta(days=30)
    freight = {f"{number:02}": record(f"{number:02}", age + timedelta(hours=number)) for number in range(RETAINED + 4)}
    approved, queued, young, forgotten = list(freight)[-4:]
    freight[approved].approved_for["prod"] = NOW
    freight[young].discovered_at = NOW - timedelta(days=1)
    freight["newer"] = record("newer", timedelta(0))
    assert forgotten in collectable(freight, [queued], NOW)
    assert not {approved, queued, young} & set(collectable(freight, [queued], NOW))
    assert queued in collectable(freight, [], NOW)
