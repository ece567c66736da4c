"""Freight as its Warehouse keeps it, and the copy of it that a Stage decides on."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from model.base import Json, Message, Time
from model.references import FreightReference


class VerifiedIn(Message):
    """Freight was verified in a Stage."""

    verified_at: Time
    #: The longest finished stay in that Stage, once it had been verified there.
    longest_soak: timedelta | None = None


class FreightRecord(Message):
    """One piece of Freight with all that is known of it."""

    reference: FreightReference
    alias: str = ""
    discovered_at: Time
    #: By Stage.
    verified_in: dict[str, VerifiedIn] = Field(default_factory=dict)
    #: When it was approved, by Stage.
    approved_for: dict[str, Time] = Field(default_factory=dict)
    #: Since when, by Stage.
    currently_in: dict[str, Time] = Field(default_factory=dict)
    metadata: dict[str, Json] = Field(default_factory=dict)
    #: Of its Warehouse, when this record last changed.
    revision: int = 0

    @property
    def name(self) -> str:
        return self.reference.name
