"""A Stage's whole state, as continue-as-new and backups carry it. Everything new gets a default."""

from __future__ import annotations

from pydantic import Field

from model.base import Json, Message, Time
from model.conditions import Transition
from model.freezes import Freeze
from model.promotions import Enqueue, HoldIntent, PromotionFinished
from model.references import FreightCollection, FreightReference, Health
from model.resources.promotion import PromotionPhase
from model.resources.stage import AutoPromotionHold
from model.stages import StageBundle, Turn
from model.warehouses import WarehouseSnapshot


class QueueEntry(Message):
    """A Promotion that waits for its turn. The frozen plan is the Promotion's to keep."""

    name: str
    workflow_id: str
    run_id: str
    freight: FreightReference
    freight_alias: str = ""
    actor: str = ""
    created_at: Time
    #: What it means for auto-promotion; None: nothing.
    intent: HoldIntent | None = None
    override_window: str = ""
    #: It goes back by itself to what was verified before.
    rollback: bool = False


class RunningPromotion(Message):
    """The Promotion that has the turn."""

    entry: QueueEntry
    collection: FreightCollection


class RunningVerification(Message):
    """The Verification that has the turn, and the history entry it verifies (by the Promotion that made it)."""

    name: str
    workflow_id: str
    run_id: str = ""
    actor: str = ""


class StageState(Message):
    """State of the workflow `Stage`."""

    project: str
    name: str
    generation: int = 0
    #: The whole manifest, in Kargo's shape. None until it is configured.
    manifest: dict[str, Json] | None = None
    bundle: StageBundle = StageBundle(revision=0)
    created_at: Time | None = None

    #: Copies of what its Warehouses hold, by name.
    snapshots: dict[str, WarehouseSnapshot] = Field(default_factory=dict)
    #: Warehouses that know what this Stage asks for: name and the revision they were told.
    subscribed: dict[str, int] = Field(default_factory=dict)
    #: Digest of what each Warehouse was last told.
    reported: dict[str, str] = Field(default_factory=dict)
    report_sequence: int = 0

    #: Requests not yet decided.
    inbox: list[Enqueue] = Field(default_factory=list)
    #: Freight asked for at its Warehouses, so that a stale copy refuses nothing: name and when it was asked.
    asked: dict[str, Time] = Field(default_factory=dict)
    queue: list[QueueEntry] = Field(default_factory=list)
    turn: Turn | None = None
    promoting: RunningPromotion | None = None
    verifying: RunningVerification | None = None
    last_promotion: PromotionFinished | None = None
    #: Latest terminal phase by Freight, of Promotions that did not succeed (never repeated by themselves).
    outcomes: dict[str, PromotionPhase] = Field(default_factory=dict)
    #: Names of the last Promotions that were over, so that a late message of theirs changes nothing.
    settled: list[str] = Field(default_factory=list)

    #: Origins whose auto-promotion rests, by `Warehouse/name`.
    holds: dict[str, AutoPromotionHold] = Field(default_factory=dict)
    #: Name of the Promotion or verification whose failure was last answered by a rollback.
    rolled_back: str = ""
    #: What is still to be rolled back after the Promotion that is under way, in order of origin.
    rolling_back: list[FreightReference] = Field(default_factory=list)
    #: Freezes of this Stage alone, oldest first; the last may be in force.
    freezes: list[Freeze] = Field(default_factory=list)

    #: Newest first, at most 10.
    history: list[FreightCollection] = Field(default_factory=list)
    #: Since when each piece of the current Freight has been here, by name.
    entered: dict[str, Time] = Field(default_factory=dict)
    #: What has been verified here, of Freight in the history (control-flow: of available Freight), by Warehouse, name.
    verified: dict[str, dict[str, Time]] = Field(default_factory=dict)
    health: Health | None = None
    settling_until: Time | None = None
    #: Someone asked to verify again; empty string: nobody in particular.
    reverify: str | None = None
    verify_attempts: int = 0

    #: Since when each condition has the status it has, by type.
    transitions: dict[str, Transition] = Field(default_factory=dict)
    metadata: dict[str, Json] = Field(default_factory=dict)
    last_refresh: str = ""
    retired: bool = False

    def current(self) -> FreightCollection | None:
        """The collection the Stage holds."""
        return self.history[0] if self.history else None
