"""A Stage played on the pure decision functions: what the workflow does with them, without messages or time lost.

Each step is one event followed by one look at everything, in the workflow's order.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from model.candidates import find_freight, freight_availability
from model.freight_status import VerifiedIn
from model.holds import apply_intent, intent_of, tidy
from model.promotions import PromotionFinished
from model.references import FreightReference, Health, HealthState, VerificationInfo, VerificationPhase
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.stage_rules import (
    SETTLING,
    collection_for,
    may_verify,
    next_in_queue,
    to_promote,
    why_wait,
)
from model.stage_state import QueueEntry, RunningPromotion, RunningVerification, StageState
from model.stages import Turn, TurnKind
from model.warehouses import WarehouseSnapshot
from tests.model.policy_world import NOW, piece


class SimulatedStage:
    """One Stage, its Warehouse's snapshot as the truth, and a diary of what entered when."""

    def __init__(self, stage: Stage, state: StageState) -> None:
        self.stage, self.state = stage, state
        self.state.snapshots.setdefault("web", WarehouseSnapshot(warehouse="web", version=1))
        self.now: datetime = NOW
        self.count = 0
        self.last_success: str | None = None
        #: Freight that was let in, and whether it was available at that moment.
        self.entered: list[tuple[str, bool]] = []

    # Events

    def discover(self, upstream: str) -> None:
        self.count += 1
        record = piece(f"f{self.count:03}", verified={})
        record.discovered_at = self.now
        if self.count % 2:
            record.verified_in[upstream] = VerifiedIn(verified_at=self.now)
        self.state.snapshots["web"].freight.append(record)

    def approve(self, name: str) -> None:
        record = find_freight(self.state, name)
        if record is not None:
            record.approved_for[self.state.name] = self.now

    def withdraw(self, name: str) -> None:
        """Availability is lost: the upstream Stage was deleted."""
        record = find_freight(self.state, name)
        if record is not None:
            record.verified_in.clear()
            record.approved_for.clear()

    def request(self, name: str) -> None:
        record = find_freight(self.state, name)
        if record is not None and freight_availability(self.stage, self.state, record, self.now).available:
            self._enqueue(record.reference, "subject:someone")

    def finish(self, phase: PromotionPhase, name: str = "") -> None:
        """The running Promotion's word; of any other name it is not the holder's, and changes nothing."""
        running = self.state.promoting
        if running is None or (name and running.entry.name != name):
            return
        entry, collection = running.entry, running.collection
        self.state.promoting = self.state.turn = None
        self.state.last_promotion = PromotionFinished(name=entry.name, phase=phase, finished_at=self.now)
        apply_intent(self.state, entry, phase)
        if phase is not PromotionPhase.SUCCEEDED:
            self.state.outcomes[entry.freight.name] = phase
            return
        self.state.outcomes.pop(entry.freight.name, None)
        self.last_success = entry.freight.name
        self.state.history = [collection.model_copy(update={"verification_history": []}), *self.state.history]
        self.state.settling_until = self.now + SETTLING
        self.state.health = None

    def feel(self, health: HealthState) -> None:
        if self.state.last_promotion is not None:
            self.state.health = Health(status=health)

    def verified(self, phase: VerificationPhase) -> None:
        if self.state.verifying is None:
            return
        self.state.history[0].verification_history[0].phase = phase
        self.state.history[0].verification_history[0].finish_time = self.now
        self.state.verifying = self.state.turn = None

    def switch(self, auto: bool) -> None:
        self.state.bundle = self.state.bundle.model_copy(update={"auto_promotion": auto})

    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # The look at everything

    def look(self) -> None:
        tidy(self.stage, self.state)
        self._start_next()
        if may_verify(self.stage, self.state):
            info = VerificationInfo(id="v", phase=VerificationPhase.RUNNING, start_time=self.now)
            self.state.history[0].verification_history.insert(0, info)
            self.state.verifying = RunningVerification(name="v", workflow_id="v")
            self.state.turn = Turn(kind=TurnKind.VERIFICATION, name="v", workflow_id="v", since=self.now)
        for record in to_promote(self.stage, self.state, self.now):
            self._enqueue(record.reference, "controller:towpath")
        self._start_next()

    def _enqueue(self, freight: FreightReference, actor: str) -> None:
        self.count += 1
        name = f"prod.{self.count:05}"
        entry = QueueEntry(
            name=name,
            workflow_id=name,
            run_id=name,
            freight=freight,
            actor=actor,
            created_at=self.now,
            intent=intent_of(self.stage, self.state, actor, freight, self.now),
        )
        self.state.queue = sorted([*self.state.queue, entry], key=lambda queued: queued.name)

    def _start_next(self) -> None:
        while self.state.queue and why_wait(self.stage, self.state, self.now) is None:
            entry = next_in_queue(self.state, self.now) or self.state.queue[0]
            self.state.queue.remove(entry)
            record = find_freight(self.state, entry.freight.name)
            available = record is not None and freight_availability(self.stage, self.state, record, self.now).available
            if not available:
                continue
            self.entered.append((entry.freight.name, available))
            collection = collection_for(self.stage, self.state, entry.freight)
            self.state.promoting = RunningPromotion(entry=entry, collection=collection)
            self.state.turn = Turn(kind=TurnKind.PROMOTION, name=entry.name, workflow_id=entry.name, since=self.now)
            self.state.settling_until = None
