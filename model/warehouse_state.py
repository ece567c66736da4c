"""A Warehouse's whole state, as continue-as-new and backups carry it. Everything new gets a default."""

from __future__ import annotations

from pydantic import Field

from model.base import Json, Message, Time
from model.conditions import Transition
from model.discovery import DiscoveryReport
from model.freight_status import FreightRecord
from model.warehouses import StageSubscription

#: How many pieces that are gone are remembered by name.
REMEMBERED = 100


class WarehouseState(Message):
    """State of the workflow `Warehouse`."""

    project: str
    name: str
    generation: int = 0
    #: The whole manifest, in Kargo's shape. None until it is configured.
    manifest: dict[str, Json] | None = None
    created_at: Time | None = None

    #: Generation for which the Schedule was last made.
    scheduled: int = 0
    #: The Discovery run that watches now.
    watcher: str = ""
    watcher_run: str = ""
    #: The last report, of success or failure; its candidates are those of the last success.
    report: DiscoveryReport | None = None
    failing_since: Time | None = None
    last_refresh: str = ""
    #: The last refresh that is over.
    handled_refresh: str = ""
    #: Why the last discovery made no Freight; empty: it did, or there was nothing new.
    no_freight: str = ""

    #: By name.
    freight: dict[str, FreightRecord] = Field(default_factory=dict)
    #: Stages that are to hear that this Warehouse begins anew, in the place of one of its name.
    heralded: list[str] = Field(default_factory=list)
    #: By Stage.
    subscriptions: dict[str, StageSubscription] = Field(default_factory=dict)
    #: The last report number of each Stage, so that an older one changes nothing.
    sequences: dict[str, int] = Field(default_factory=dict)
    #: Freight that Stages want kept: queued, or in their history.
    kept: dict[str, list[str]] = Field(default_factory=dict)
    #: Freight that Promotions to Stages wait or run with.
    promoting: dict[str, list[str]] = Field(default_factory=dict)
    #: Freight that Stages asked about, until it is answered; then remembered as long as it is queued there.
    questions: dict[str, list[str]] = Field(default_factory=dict)
    #: Digest of what each Stage was last told.
    told: dict[str, str] = Field(default_factory=dict)
    #: Since when each condition has the status it has, by type.
    transitions: dict[str, Transition] = Field(default_factory=dict)
    version: int = 0
    #: Counts up with each change of a piece of Freight, so that who has seen some of them asks for the others.
    revision: int = 0
    #: Freight that was forgotten lately: name and the revision of that.
    forgotten: dict[str, int] = Field(default_factory=dict)
    #: What was forgotten up to this revision is no longer known by name.
    forgotten_before: int = 0
    retired: bool = False

    def touch(self, record: FreightRecord) -> None:
        """Something has changed about this piece."""
        self.revision += 1
        record.revision = self.revision

    def forget(self, freight: str) -> None:
        """It is no longer there."""
        del self.freight[freight]
        self.revision += 1
        self.forgotten[freight] = self.revision
        while len(self.forgotten) > REMEMBERED:
            self.forgotten_before = self.forgotten.pop(next(iter(self.forgotten)))
