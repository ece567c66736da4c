"""Search attributes by which runs and entities are found, and what is written beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

PROJECT = SearchAttributeKey.for_keyword("TowpathProject")
STAGE = SearchAttributeKey.for_keyword("TowpathStage")
WAREHOUSE = SearchAttributeKey.for_keyword("TowpathWarehouse")
FREIGHT = SearchAttributeKey.for_keyword("TowpathFreight")
PHASE = SearchAttributeKey.for_keyword("TowpathPhase")

#: When what is shown of an entity, or the phase of a Promotion, last changed: who watches asks for just what has.
CHANGED = SearchAttributeKey.for_datetime("TowpathChanged")

ALL: tuple[SearchAttributeKey[Any], ...] = (PROJECT, STAGE, WAREHOUSE, FREIGHT, PHASE, CHANGED)

#: The memo's key under which lists find what they show.
SUMMARY = "summary"
#: The memo's key under which lists find what a Promotion waits for people to say.
WAITS = "waits"


def attributes(values: Mapping[SearchAttributeKey[str], str]) -> TypedSearchAttributes:
    """Search attributes for the start of a workflow; empty values are left out."""
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in values.items() if value])


def phase_update(phase: str | None) -> list[SearchAttributeUpdate[Any]]:
    """An upsert of the phase; None takes it away."""
    return [PHASE.value_unset() if phase is None else PHASE.value_set(phase)]


def changed(now: datetime) -> list[SearchAttributeUpdate[Any]]:
    """An upsert that says: look again."""
    return [CHANGED.value_set(now)]
