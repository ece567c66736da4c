"""A Stage played on the pure decision functions: what the workflow does with them, without messages or time lost.

Each step is one event followed by one look at everything, in the workflow's order.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from model.candidates import find_freight, freight_availability
from model.freezes import Freeze
from model.freight_status import VerifiedIn
from model.holds import apply_intent, intent_of, tidy
from model.promotions import HoldIntent, PromotionFinished
from model.references import FreightReference, Health, HealthState, VerificationInfo, VerificationPhase
from model.resources.project_config import AutoRollback, PromotionWindow, PromotionWindowKind
from model.resources.promotion import PromotionPhase
from model.resources.stage import Stage
from model.rollbacks import rollback
from model.stage_rules import (
    SETTLING,
    closed_to_all,
    collection_for,
    may_verify,
    next_in_queue,
    restrained,
    to_promote,
    why_wait,
)
from model.stage_state import QueueEntry, RunningPromotion, RunningVerification, StageState
from model.stages import Turn, TurnKind
from model.warehouses import WarehouseSnapshot
from tests.model.policy_world import NOW, piece


class Entry(NamedTuple):
    """Freight that began to be promoted, and how things stood at that moment, by the plain facts and no rule."""

    freight: str
    by_itself: bool
    rollback: bool
    override: str
    #: Somebody let it in, or it had been verified upstream.
    let_in: bool
    frozen: bool
    #: Policy of the window that is closed; empty: none is.
    closed: str
    #: A person's choice rests on its origin, and nobody asked for this one.
    against_a_hold: bool
    #: What the Stage held was Healthy, and nobody had looked whether it is good.
    overtaking: bool
    #: The last Promotion was a rollback that did not succeed, or whose Freight was found bad.
    after_a_rollback: bool


class SimulatedStage:
    """One Stage, its Warehouse's snapshot as the truth, and a diary of what entered when."""

    def __init__(self, stage: Stage, state: StageState) -> None:
        self.stage, self.state = stage, state
        self.state.snapshots.setdefault("web", WarehouseSnapshot(warehouse="web", version=1))
        self.now: datetime = NOW
        self.count = self.pieces = 0
        #: Policy of the window that was closed last, and until when.
        self.closed = ("", NOW)
        #: Origins whose last Promotion by hand was of something else than the newest: kept apart from the rule.
        self.held: set[str] = set()
        self.last_success: str | None = None
        #: Freight that was let in.
        self.entered: list[Entry] = []
        #: What has happened, to see that it does.
        self.seen: Counter[str] = Counter()

    # Events

    def discover(self, upstream: str) -> None:
        self.pieces += 1
        record = piece(f"f{self.pieces:03}", verified={})
        record.discovered_at = self.now
        if self.pieces % 4:
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

    def delete(self, name: str) -> None:
        freight = self.state.snapshots["web"].freight
        self.state.snapshots["web"].freight = [record for record in freight if record.name != name]

    def request(self, name: str, override: str = "") -> None:
        record = find_freight(self.state, name)
        if record is not None and freight_availability(self.stage, self.state, record, self.now).available:
            if override and closed_to_all(self.state, self.now) is not None:
                self.seen["override refused"] += 1
                return
            self._enqueue(record.reference, "subject:someone", override=override)

    def override(self, name: str) -> None:
        self.request(name, "the shop is down")

    def abort(self, place: int) -> None:
        """Somebody gives up one that waits."""
        if place < len(self.state.queue):
            self.seen["aborted while pending"] += 1
            del self.state.queue[place]

    def finish(self, phase: PromotionPhase, name: str = "") -> None:
        """The running Promotion's word; of any other name it is not the holder's, and changes nothing."""
        running = self.state.promoting
        if running is None or (name and running.entry.name != name):
            return
        self.seen[phase.value] += 1
        entry, collection = running.entry, running.collection
        self.state.promoting = self.state.turn = None
        self.state.last_promotion = PromotionFinished(
            name=entry.name, phase=phase, finished_at=self.now, freight=entry.freight, rollback=entry.rollback
        )
        if not entry.rollback or phase is not PromotionPhase.SUCCEEDED:
            self.state.rolling_back = []
        apply_intent(self.state, entry, phase)
        if entry.intent is HoldIntent.HOLD and phase is not PromotionPhase.ABORTED:
            self.held.add(str(entry.freight.origin))
        elif entry.intent is HoldIntent.RESUME and phase is not PromotionPhase.ABORTED:
            self.held.discard(str(entry.freight.origin))
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
        if not auto:
            self.held.clear()
        self.state.bundle = self.state.bundle.model_copy(update={"auto_promotion": auto})

    def freeze(self, frozen: bool) -> None:
        log = [Freeze(scope="Stage prod", reason="the sale", since=self.now)] if frozen else []
        self.state.freezes = log

    def close(self, policy: str) -> None:
        """A promotion window closes for an hour, to all or to what nobody overrides; empty: it opens."""
        self.seen[f"closed {policy}"] += 1
        self.closed = (policy, self.now + timedelta(hours=1))
        start, end = (f"{moment:%Y%m%dT%H%M%SZ}" for moment in (self.now, self.now + timedelta(hours=1)))
        windows = [PromotionWindow(name="w", kind=PromotionWindowKind.DENY, dtstart=start, dtend=end)]
        update: dict[str, Any] = {
            "windows": windows if policy else [],
            "strict_windows": windows if policy == "nothing" else [],
        }
        self.state.bundle = self.state.bundle.model_copy(update=update)

    def go_back(self, on: bool) -> None:
        """The policy of automatic rollbacks is edited."""
        policy = {"onPromotion": ["Failed", "Errored"], "onVerification": ["Failed", "Error"]}
        update = {"auto_rollback": AutoRollback.model_validate(policy) if on else None}
        self.state.bundle = self.state.bundle.model_copy(update=update)

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
        self._start_next()
        self._roll_back()
        for record in to_promote(self.stage, self.state, self.now):
            self._enqueue(record.reference, "controller:towpath")
        self._start_next()

    def _roll_back(self) -> None:
        if restrained(self.state, self.now) is not None:
            return
        due = rollback(self.state, self.now)
        if due is not None:
            self.state.rolled_back, self.state.rolling_back = due.cause, due.pieces
        while self.state.rolling_back and not self.state.queue and why_wait(self.stage, self.state, self.now) is None:
            piece = self.state.rolling_back.pop(0)
            record = find_freight(self.state, piece.name)
            if record is not None and freight_availability(self.stage, self.state, record, self.now).available:
                self._enqueue(record.reference, "controller:towpath", rollback=True)
                self._start_next()

    def _enqueue(self, freight: FreightReference, actor: str, override: str = "", *, rollback: bool = False) -> None:
        self.count += 1
        intent = intent_of(self.stage, self.state, actor, freight, self.now)
        if rollback and self.state.bundle.auto_promotion:
            intent = HoldIntent.HOLD
        name = f"prod.{self.count:05}"
        entry = QueueEntry(
            name=name,
            workflow_id=name,
            run_id=name,
            freight=freight,
            actor=actor,
            created_at=self.now,
            intent=intent,
            override_window=override,
            rollback=rollback,
        )
        self.state.queue = sorted([*self.state.queue, entry], key=lambda queued: queued.name)

    def _start_next(self) -> None:
        while self.state.queue:
            entry = next_in_queue(self.state, self.now) or self.state.queue[0]
            if why_wait(self.stage, self.state, self.now, entry.override_window) is not None:
                return
            self.state.queue.remove(entry)
            record = find_freight(self.state, entry.freight.name)
            available = record is not None and freight_availability(self.stage, self.state, record, self.now).available
            if not available:
                self.seen["expired"] += 1
                continue
            assert record is not None
            current, last = self.state.current(), self.state.last_promotion
            by_itself = entry.actor.startswith("controller:")
            origin = str(entry.freight.origin)
            healthy = self.state.health is not None and self.state.health.status is HealthState.HEALTHY
            unverified = current is not None and not current.verification_history
            succeeded = last is not None and last.phase is PromotionPhase.SUCCEEDED
            self.entered.append(
                Entry(
                    freight=entry.freight.name,
                    by_itself=by_itself,
                    rollback=entry.rollback,
                    override=entry.override_window,
                    let_in="dev" in record.verified_in or "prod" in record.approved_for,
                    frozen=any(freeze.thawed_at is None for freeze in self.state.freezes),
                    closed=self.closed[0] if self.now < self.closed[1] else "",
                    against_a_hold=by_itself and not entry.rollback and origin in self.held,
                    overtaking=healthy and unverified and succeeded,
                    after_a_rollback=last is not None and last.rollback,
                )
            )
            collection = collection_for(self.stage, self.state, entry.freight)
            self.state.promoting = RunningPromotion(entry=entry, collection=collection)
            self.state.turn = Turn(kind=TurnKind.PROMOTION, name=entry.name, workflow_id=entry.name, since=self.now)
            self.state.settling_until = None
