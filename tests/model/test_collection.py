"""Which old Freight a Warehouse forgets (Kargo: pkg/garbage/freight.go, more careful)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.freight_status import FreightRecord
from model.references import FreightOrigin, FreightReference
from model.warehouse_rules import collectable

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def pieces(*ages: int) -> dict[str, FreightRecord]:
    """Freight named by its age in days."""
    return {
        f"d{age}": FreightRecord(
            reference=FreightReference(name=f"d{age}", origin=FreightOrigin(name="web")),
            discovered_at=NOW - timedelta(days=age),
        )
        for age in ages
    }


@pytest.mark.parametrize(
    ("ages", "current", "approved", "protected", "retained", "min_age", "expected"),
    [
        ([1, 2, 3, 4], [], [], [], 4, 0, []),
        ([1, 2, 3, 4], [], [], [], 2, 0, ["d3", "d4"]),
        ([1, 2, 3, 4], [], [], [], 2, 4, ["d4"]),
        ([1, 2, 3, 4], [], [], [], 0, 0, ["d1", "d2", "d3", "d4"]),
        ([1, 2, 3, 4, 5, 6], ["d3"], [], [], 1, 0, ["d5", "d6"]),
        ([1, 2, 3, 4, 5, 6], ["d1", "d4"], [], [], 1, 0, ["d6"]),
        ([1, 2, 3, 4, 5, 6], ["d6"], [], [], 1, 0, []),
        ([1, 2, 3, 4], [], ["d4"], [], 1, 0, ["d2", "d3"]),
        ([1, 2, 3, 4], [], [], ["d3"], 1, 0, ["d2", "d4"]),
    ],
)
def test_only_old_freight_that_nobody_needs_is_forgotten(
    ages: list[int],
    current: list[str],
    approved: list[str],
    protected: list[str],
    retained: int,
    min_age: int,
    expected: list[str],
) -> None:
    records = pieces(*ages)
    for name in current:
        records[name].currently_in["dev"] = NOW
    for name in approved:
        records[name].approved_for["prod"] = NOW

    found = collectable(records, protected, NOW, retained=retained, min_age=timedelta(days=min_age))

    assert sorted(found) == expected
