"""A Stage: its queue and turn, what it holds, its health, and what has been verified in it."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from model.annotations import read_settings
    from model.base import Json
    from model.candidates import candidates, find_freight, freight_availability
    from model.conditions import note
    from model.explanation import StageExplanation, explain
    from model.freezes import FreezeRequest, ThawRequest, active, frozen, thawed
    from model.freight_status import FreightRecord
    from model.health import HealthRequest
    from model.holds import apply_intent, intent_of, tidy
    from model.names import new_ulid, project_id, promotion_id, run_name, task_queue, verification_id, warehouse_id
    from model.plan import PlanRefused, make_plan
    from model.previews import PreviewDraft
    from model.projects import Retired
    from model.promotions import (
        AbortRequest,
        Accepted,
        Enqueue,
        Expired,
        HoldIntent,
        Proceed,
        PromotionFinished,
        PromotionRequest,
        Refused,
    )
    from model.references import (
        AnalysisRunReference,
        FreightReference,
        Health,
        HealthState,
        RequestedOrigin,
        VerificationInfo,
        VerificationPhase,
    )
    from model.resources.promotion import PromotionPhase
    from model.resources.promotion_task import ClusterPromotionTask, PromotionTask
    from model.resources.stage import Stage as StageManifest
    from model.rollbacks import rollback as due_rollback
    from model.stage_rules import (
        SETTLING,
        closed_to_all,
        collection_for,
        may_verify,
        needs_verification,
        next_availability,
        next_change_of_windows,
        next_in_queue,
        passing_through,
        restrained,
        to_promote,
        verified_now,
        why_wait,
    )
    from model.stage_state import QueueEntry, RunningPromotion, RunningVerification, StageState
    from model.stage_view import conditions, describe, summary
    from model.stages import (
        StageBundle,
        StageConfiguration,
        Turn,
        TurnKind,
        VerifyRequest,
    )
    from model.steps import PromotionContext, PromotionPlan
    from model.verifications import VerificationFinished, VerificationRequest
    from model.warehouses import (
        FreightQuestion,
        MetadataRequest,
        Outcome,
        RefreshRequest,
        RetireRequest,
        StageReport,
        StageSubscription,
        WarehouseSnapshot,
        merged_metadata,
    )
    from workflows.attributes import FREIGHT, PHASE, PROJECT, STAGE, SUMMARY, WAREHOUSE, attributes, changed
    from workflows.health_watch import HealthWatch
    from workflows.holder_watch import HolderWatch
    from workflows.life import Life
    from workflows.stage_details import details
    from workflows.telling import tell

#: How many collections, and verifications of each, are remembered.
HISTORY = 10
#: How many names of finished Promotions are remembered, to know late messages of theirs.
SETTLED = 50
#: How many Freight names with a failed Promotion are remembered.
OUTCOMES = 200
#: How long an answer of a Warehouse about Freight unknown here is waited for.
ANSWER = timedelta(seconds=10)


@workflow.defn
class Stage:
    """Decides alone, from what its Project and its Warehouses have told it; messages may come twice or late."""

    @workflow.init
    def __init__(self, state: StageState) -> None:
        self.state = state
        self.stage: StageManifest | None = None
        #: An entity of this name that was applied while this one took its leave.
        self.successor: StageState | None = None
        self.life = Life(f"stage {state.name}")
        self.shown = ""
        #: Digest of what `describe` last showed.
        self.described = ""
        self.health_watch = HealthWatch(self._health_changed)
        self.holder_watch = HolderWatch(self._holder_ended)
        self._read_manifest()

    # Messages

    @workflow.signal
    def configure(self, message: StageConfiguration) -> None:
        """A new manifest or a new bundle of what it refers to; takes effect for the next Promotion."""
        if self.state.retired:
            self._succeed(message)
            return
        if message.manifest is not None and message.generation > self.state.generation:
            self.state.manifest, self.state.generation = message.manifest, message.generation
            self._read_manifest()
        if message.bundle is not None and message.bundle.revision > self.state.bundle.revision:
            self.state.bundle = message.bundle
        self._touch()

    @workflow.signal
    def freight_changed(self, message: WarehouseSnapshot) -> None:
        """A newer copy of what a Warehouse holds."""
        known = self.state.snapshots.get(message.warehouse)
        if known is None or message.version > known.version:
            self.state.snapshots[message.warehouse] = message
            self._touch()

    @workflow.signal
    def warehouse_created(self, name: str) -> None:
        """A Warehouse has come, or come anew: what it had been told and had said is void."""
        for known in (self.state.subscribed, self.state.reported, self.state.snapshots):
            known.pop(name, None)
        self._touch()

    @workflow.signal
    def enqueue(self, message: Enqueue) -> None:
        """A Promotion asks for the turn."""
        if all(request.name != message.name for request in self.state.inbox):
            self.state.inbox.append(message)
        self._touch()

    @workflow.signal
    def finished(self, message: PromotionFinished) -> None:
        """A Promotion is over. Only the holder's own word changes what the Stage holds."""
        running = self.state.promoting
        # A child's first message can overtake the news of its start: its run id isn't known yet then.
        if running is not None and running.entry.name == message.name and running.entry.run_id in ("", message.run_id):
            self._record(message)
        elif message.run_id in {e.run_id for e in self.state.queue} | {r.run_id for r in self.state.inbox}:
            # Its own `enqueue`, sent twice, may still arrive after this.
            self.state.settled = [*self.state.settled, message.name][-SETTLED:]
        self.state.queue = [entry for entry in self.state.queue if entry.run_id != message.run_id]
        self.state.inbox = [request for request in self.state.inbox if request.run_id != message.run_id]
        self._touch()

    @workflow.signal
    def verification_finished(self, message: VerificationFinished) -> None:
        """A Verification is over."""
        running = self.state.verifying
        if running is None or running.name != message.name:
            return
        if running.run_id and message.run_id and running.run_id != message.run_id:
            return
        self._verified(message)
        self._touch()

    @workflow.update
    async def verify(self, message: VerifyRequest) -> Outcome:
        """Verify again what the Stage holds; starts once it is Healthy and has its turn."""
        current = self.state.current()
        if self.stage is None or self.stage.control_flow:
            return Outcome(
                ok=False, message=f"Stage {self.state.name} verifies nothing: Freight only passes through it"
            )
        if current is None or not current.verification_history:
            return Outcome(ok=False, message=f"Stage {self.state.name} holds nothing that has been verified before")
        if self.state.verifying is not None:
            return Outcome(ok=False, message=f"Verification {self.state.verifying.name} is under way already")
        last = self.state.last_promotion
        if last is not None and last.phase is not PromotionPhase.SUCCEEDED:
            return Outcome(ok=False, message=f"the last Promotion, {last.name}, did not succeed: promote first")
        if self.stage.spec.verification is None:
            why = "it names no templates, what it holds counts as verified once it is Healthy"
            return Outcome(ok=False, message=f"there is nothing to verify in Stage {self.state.name}: {why}")
        self.state.reverify = message.actor
        self._touch()
        return Outcome(message=f"Stage {self.state.name} will be verified again")

    @workflow.update
    async def abort_verification(self, message: AbortRequest) -> Outcome:
        """Abort the verification that is under way."""
        running = self.state.verifying
        if running is None:
            return Outcome(ok=False, message=f"no verification of Stage {self.state.name} is under way")
        # Until it is known to run, it can't be told.
        await workflow.wait_condition(lambda: bool(running.run_id) or self.state.verifying is not running)
        handle = workflow.get_external_workflow_handle(running.workflow_id)
        try:
            await handle.signal("abort", message.actor)
        except FailureError as error:
            workflow.logger.warning("verification %s can't be reached: %s", running.name, error)
            self._lost_verification(running.name, "it could not be reached")
            self._touch()
        return Outcome(message=f"Verification {running.name} is being aborted")

    @workflow.update
    async def set_metadata(self, message: MetadataRequest) -> Outcome:
        """Set keys of the Stage's metadata; others stay."""
        merged = merged_metadata(self.state.metadata, message.values)
        if merged is None:
            return Outcome(ok=False, message=f"metadata of Stage {self.state.name} would be larger than 16 KiB")
        self.state.metadata = merged
        self._touch()
        return Outcome(message=f"metadata of Stage {self.state.name} is set")

    @workflow.update
    async def refresh(self, message: RefreshRequest) -> Outcome:
        """Look at everything anew: health, availability, and whoever holds the turn."""
        self.state.last_refresh = workflow.now().isoformat()
        self.health_watch.stop()
        self.state.reported.clear()
        self.state.subscribed.clear()
        self._touch()
        return Outcome(message=f"Stage {self.state.name} is being refreshed")

    @workflow.update
    async def freeze(self, message: FreezeRequest) -> Outcome:
        """Nothing new starts here until it is thawed; what runs goes on to its end."""
        self.state.freezes = frozen(self.state.freezes, f"Stage {self.state.name}", message, workflow.now())
        self._touch()
        return Outcome(message=f"Stage {self.state.name} is frozen")

    @workflow.update
    async def thaw(self, message: ThawRequest) -> Outcome:
        """End a freeze of this Stage."""
        if not active(self.state.freezes):
            return Outcome(ok=False, message=f"Stage {self.state.name} is not frozen by itself")
        self.state.freezes = thawed(self.state.freezes, message, workflow.now())
        self._touch()
        return Outcome(message=f"Stage {self.state.name} is thawed")

    @workflow.update
    async def retire(self, message: RetireRequest) -> Outcome:
        """End the Stage. Refused while a Promotion runs or waits, unless forced: then those are cancelled."""
        busy = [entry for entry in (self.state.promoting.entry if self.state.promoting else None,) if entry is not None]
        busy += self.state.queue
        if busy and not message.force:
            names = ", ".join(entry.name for entry in busy)
            return Outcome(ok=False, message=f"Stage {self.state.name} is promoted by {names}: abort it or use --force")
        reason = AbortRequest(actor=message.actor, reason="its Stage was deleted")
        for entry in busy:
            await self._end(entry.workflow_id, reason)
        if self.state.verifying is not None:
            await self._end(self.state.verifying.workflow_id, message.actor)
        self.state.retired = True
        self._touch()
        return Outcome(message=f"Stage {self.state.name} is deleted")

    @workflow.query
    def describe(self) -> dict[str, Json]:
        """The Stage in Kubernetes' shape, with Kargo's status."""
        return describe(self.state, self.stage, self._waiting(), workflow.now())

    @workflow.query
    def explain(self, freight: list[FreightRecord]) -> StageExplanation:
        """Why things go on by themselves or not, and of each of these pieces whether it may come, and why."""
        return explain(self.state, self.stage, freight, self._waiting(), workflow.now())

    @workflow.query
    def draft(self, freight: FreightRecord) -> PreviewDraft:
        """What a promotion of this Freight would do, if it began now; nothing is asked for by it."""
        if self.stage is None:
            return PreviewDraft(refusal=f"Stage {self.state.name} is not configured yet")
        try:
            plan = self._plan()
        except PlanRefused as refusal:
            return PreviewDraft(refusal=str(refusal))
        verdict = freight_availability(self.stage, self.state, freight, workflow.now())
        context = PromotionContext(
            project=self.state.project,
            stage=self.state.name,
            promotion=f"{self.state.name}.preview.{freight.name[:7]}",
            freight=freight.reference,
            freight_alias=freight.alias,
            collection=collection_for(self.stage, self.state, freight.reference),
            origins=self._origins(),
            shard=self.stage.spec.shard or "",
        )
        return PreviewDraft(plan=plan, context=context, unavailable="" if verdict.available else verdict.reason)

    @workflow.query
    def export(self) -> StageState:
        """The whole state, for backups."""
        return self.state

    # The life of the entity

    @workflow.run
    async def run(self, state: StageState) -> None:
        self.state.created_at = self.state.created_at or workflow.now()
        await self.life.live(self._reconcile, self.state, lambda: self.state.retired)
        await self._take_leave()
        if self.successor is not None:
            workflow.continue_as_new(self.successor)

    async def _reconcile(self) -> None:
        """One look at everything, in Kargo's order. Safe to repeat at any time."""
        if self.stage is None:
            return
        tidy(self.stage, self.state)
        await self._subscribe()
        await self._decide_requests()
        await self._start_next()
        if self.stage.control_flow:
            self._let_pass()
        else:
            self._look_after_health()
            await self._start_verification()
            self._mark_verified()
            await self._start_next()
            await self._roll_back()
            await self._auto_promote()
        await self._report()
        self.holder_watch.look_after(self.state.turn)
        self._show()
        self._set_alarm()

    # Admission, queue and turn

    async def _decide_requests(self) -> None:
        """Accept or refuse each request; Freight unknown or unavailable here is asked for once before a no."""
        assert self.stage is not None
        now = workflow.now()
        for request in list(self.state.inbox):
            # While another was being answered, this one may have been aborted, or everything have ended.
            if request not in self.state.inbox or self.state.retired:
                continue
            if await self._known(request):
                continue
            strict = closed_to_all(self.state, now) if request.override_window else None
            if strict is not None:
                await self._refuse(request, f"{strict.reason}; without --override-window it would wait for that")
                continue
            try:
                plan = None if request.rerun and not self.stage.control_flow else self._plan()
            except PlanRefused as refusal:
                await self._refuse(request, str(refusal))
                continue
            if request.warehouse:
                await self._accept_candidate(request, plan)
                continue
            record = find_freight(self.state, request.freight)
            verdict = freight_availability(self.stage, self.state, record, workflow.now()) if record else None
            if verdict is None or not verdict.available:
                if await self._ask(request.freight):
                    continue
                reason = verdict.reason if verdict else "no such Freight among those its Warehouses hold"
                await self._refuse(
                    request, f"Freight {request.freight} is not available to Stage {self.state.name}: {reason}"
                )
                continue
            assert record is not None
            await self._accept(request, record.reference, record.alias, plan)

    async def _accept_candidate(self, request: Enqueue, plan: PromotionPlan | None) -> None:
        """Accept a request for whatever is the candidate of an origin now."""
        assert self.stage is not None
        record = candidates(self.stage, self.state, workflow.now()).get(f"Warehouse/{request.warehouse}")
        if record is None:
            why = f"no Freight of Warehouse {request.warehouse} is a candidate for Stage {self.state.name}"
            await self._refuse(request, f"{why}; `towpath explain stage {self.state.name}` says why")
            return
        await self._accept(request, record.reference, record.alias, plan)

    async def _known(self, request: Enqueue) -> bool:
        """Whether a request has been decided already. A reset run of it never gets a second turn."""
        running = self.state.promoting
        if running is not None and running.entry.name == request.name:
            if running.entry.run_id in ("", request.run_id):
                self._drop(request)
            else:
                await self._refuse(request, f"another run of Promotion {request.name} has the turn")
            return True
        if request.name in self.state.settled:
            await self._refuse(request, f"Promotion {request.name} is over")
            return True
        queued = next((entry for entry in self.state.queue if entry.name == request.name), None)
        if queued is None:
            return False
        if queued.run_id == request.run_id:
            self._drop(request)
            return True
        self.state.queue = [entry for entry in self.state.queue if entry.name != request.name]
        return False

    async def _ask(self, freight: str) -> bool:
        """Ask the Warehouses about Freight, once. True: an answer is still awaited."""
        asked = self.state.asked.get(freight)
        if asked is None:
            self.state.asked[freight] = workflow.now()
            question = FreightQuestion(stage=self.state.name, freight=freight)
            return any([await self._tell_warehouse(name, "ask", question) for name in self._warehouses()])
        answered = all(
            (snapshot := self.state.snapshots.get(name)) is not None and freight in snapshot.asked
            for name in self._warehouses()
            if name in self.state.subscribed
        )
        return not answered and workflow.now() < asked + ANSWER

    async def _accept(
        self, request: Enqueue, freight: FreightReference, alias: str, plan: PromotionPlan | None
    ) -> None:
        assert self.stage is not None
        entry = QueueEntry(
            name=request.name,
            workflow_id=request.workflow_id,
            run_id=request.run_id,
            freight=freight,
            freight_alias=alias,
            actor=request.actor,
            created_at=request.created_at,
            intent=intent_of(self.stage, self.state, request.actor, freight, workflow.now()),
            override_window=request.override_window,
        )
        self._drop(request)
        if not self.state.queue and self._waiting(entry) == "":
            await self._grant(entry, plan)
            return
        self.state.queue = sorted([*self.state.queue, entry], key=lambda queued: queued.name)
        waiting = self._waiting(entry) or f"Promotion {self.state.queue[0].name} is before it"
        message = Accepted(plan=plan, freight=freight, freight_alias=alias, waiting=waiting)
        if not await self._tell_promotion(entry, "accepted", message):
            self.state.queue = [queued for queued in self.state.queue if queued.name != entry.name]

    async def _refuse(self, request: Enqueue, reason: str) -> None:
        self._drop(request)
        await tell(request.workflow_id, "refused", Refused(reason=reason), run_id=request.run_id)

    def _drop(self, request: Enqueue) -> None:
        self.state.inbox = [waiting for waiting in self.state.inbox if waiting.name != request.name]
        if all(waiting.freight != request.freight for waiting in self.state.inbox):
            self.state.asked.pop(request.freight, None)

    async def _start_next(self) -> None:
        """Give the turn to the first in the queue, if it may start now."""
        assert self.stage is not None
        while self.state.queue and not self.state.retired and not self._waiting():
            entry = next_in_queue(self.state, workflow.now()) or self.state.queue[0]
            self.state.queue = [queued for queued in self.state.queue if queued is not entry]
            record = find_freight(self.state, entry.freight.name)
            verdict = freight_availability(self.stage, self.state, record, workflow.now()) if record else None
            if verdict is None or not verdict.available:
                reason = verdict.reason if verdict else "it no longer exists"
                await self._tell_promotion(entry, "expired", Expired(reason=f"Freight {entry.freight.name}: {reason}"))
                continue
            await self._grant(entry, None)

    async def _grant(self, entry: QueueEntry, plan: PromotionPlan | None) -> None:
        self._take_turn(entry)
        if not await self._tell_promotion(entry, "proceed", Proceed(context=self._context(entry), plan=plan)):
            self._release()

    def _take_turn(self, entry: QueueEntry) -> None:
        assert self.stage is not None
        collection = collection_for(self.stage, self.state, entry.freight)
        self.state.promoting = RunningPromotion(entry=entry, collection=collection)
        self.state.turn = Turn(
            kind=TurnKind.PROMOTION,
            name=entry.name,
            workflow_id=entry.workflow_id,
            run_id=entry.run_id,
            since=workflow.now(),
        )
        self.state.settling_until = None
        self.health_watch.stop()

    def _release(self) -> None:
        self.state.turn, self.state.promoting, self.state.verifying = None, None, None
        self.holder_watch.stop()

    def _record(self, message: PromotionFinished) -> None:
        """What a Promotion's end means: every phase moves lastPromotion, only success changes what the Stage holds."""
        assert self.state.promoting is not None
        entry, collection = self.state.promoting.entry, self.state.promoting.collection
        self._release()
        self.state.last_promotion = message.model_copy(
            update={
                "freight": entry.freight,
                "actor": message.actor or entry.actor,
                "collection": collection,
                "rollback": entry.rollback,
                "override_window": entry.override_window,
            }
        )
        if not entry.rollback or message.phase is not PromotionPhase.SUCCEEDED:
            self.state.rolling_back = []
        self.state.settled = [*self.state.settled, entry.name][-SETTLED:]
        phase = message.phase or PromotionPhase.ERRORED
        apply_intent(self.state, entry, phase)
        if phase is not PromotionPhase.SUCCEEDED:
            outcomes = {**self.state.outcomes, entry.freight.name: phase}
            self.state.outcomes = dict(list(outcomes.items())[-OUTCOMES:])
            return
        self.state.outcomes.pop(entry.freight.name, None)
        since = message.finished_at or workflow.now()
        self.state.entered = {
            piece.name: self.state.entered.get(piece.name, since) for piece in collection.references()
        }
        self.state.history = [collection.model_copy(update={"verification_history": []}), *self.state.history][:HISTORY]
        self.state.reverify = None
        self.state.settling_until = workflow.now() + SETTLING
        self.state.health = None if message.health_checks else Health(status=HealthState.HEALTHY)

    async def _auto_promote(self) -> None:
        """Start a Promotion of this Stage's own for each origin with a new candidate."""
        assert self.stage is not None
        tried: set[str] = set()
        while not self.state.retired:
            # Asked anew each time: while one Promotion is being started, a person may ask for the next.
            record = next(
                (found for found in to_promote(self.stage, self.state, workflow.now()) if found.name not in tried), None
            )
            if record is None:
                return
            tried.add(record.name)
            await self._promote_by_itself(record)

    async def _roll_back(self) -> None:
        """Go back to what was verified last, where the policy says so: one origin after the other."""
        assert self.stage is not None
        now = workflow.now()
        if self.state.retired or restrained(self.state, now) is not None:
            return
        due = due_rollback(self.state, now)
        if due is not None:
            self.state.rolled_back, self.state.rolling_back = due.cause, due.pieces
        while self.state.rolling_back and not self.state.queue and not self._waiting():
            piece = self.state.rolling_back.pop(0)
            record = find_freight(self.state, piece.name)
            if record is None or not freight_availability(self.stage, self.state, record, now).available:
                workflow.logger.warning("freight %s, verified here before, is no longer available", piece.name)
                continue
            await self._promote_by_itself(record, rollback=True)

    async def _promote_by_itself(self, record: FreightRecord, *, rollback: bool = False) -> None:
        """Start a Promotion of this Stage's own. A rollback holds its origin, or it would be undone at once."""
        try:
            plan = self._plan()
        except PlanRefused as refusal:
            workflow.logger.warning("stage %s can't promote by itself: %s", self.state.name, refusal)
            return
        name = run_name(self.state.name, new_ulid(workflow.now(), workflow.random()), record.name)
        entry = QueueEntry(
            name=name,
            workflow_id=promotion_id(self.state.project, name),
            run_id="",
            freight=record.reference,
            freight_alias=record.alias,
            actor="controller:towpath",
            created_at=workflow.now(),
            intent=HoldIntent.HOLD if rollback and self.state.bundle.auto_promotion else None,
            rollback=rollback,
        )
        may_start = not self.state.queue and self._waiting(entry) == ""
        granted = None
        if may_start:
            self._take_turn(entry)
            granted = Proceed(context=self._context(entry), plan=plan)
        request = PromotionRequest(
            project=self.state.project,
            stage=self.state.name,
            name=name,
            freight=record.name,
            actor=entry.actor,
            granted=granted,
        )
        phase = PromotionPhase.RUNNING if granted else PromotionPhase.PENDING
        values = {
            PROJECT: self.state.project,
            STAGE: self.state.name,
            WAREHOUSE: record.reference.origin.name,
            FREIGHT: record.name,
            PHASE: phase.value,
        }
        try:
            handle = await workflow.start_child_workflow(
                "Promotion",
                request,
                id=entry.workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=attributes(values),
                memo={SUMMARY: {"freightAlias": record.alias, "actor": entry.actor}},
                static_summary=f"promote {record.alias or record.name[:7]} to {self.state.name}",
                static_details=f"{'Rollback' if rollback else 'Auto-promotion'} by `{workflow.info().workflow_id}`",
            )
        except FailureError as error:
            workflow.logger.error("promotion %s could not be started: %s", name, error)
            if granted:
                self._release()
            return
        run_id = handle.first_execution_run_id or ""
        promoting = self.state.promoting
        if granted and promoting is not None and promoting.entry.name == name and self.state.turn is not None:
            promoting.entry.run_id = self.state.turn.run_id = run_id
        elif not granted:
            # Until its own `enqueue` arrives it counts as asking, so that it isn't started twice.
            self.enqueue(
                Enqueue(
                    name=name,
                    workflow_id=entry.workflow_id,
                    run_id=run_id,
                    freight=record.name,
                    actor=entry.actor,
                    created_at=entry.created_at,
                )
            )

    def _plan(self) -> PromotionPlan:
        assert self.stage is not None
        bundle = self.state.bundle
        tasks = {name: PromotionTask.model_validate(manifest) for name, manifest in bundle.tasks.items()}
        cluster_tasks = {
            name: ClusterPromotionTask.model_validate(manifest) for name, manifest in bundle.cluster_tasks.items()
        }
        return make_plan(self.stage, tasks, cluster_tasks, bundle.kinds)

    def _context(self, entry: QueueEntry) -> PromotionContext:
        assert self.state.promoting is not None
        return PromotionContext(
            project=self.state.project,
            stage=self.state.name,
            promotion=entry.name,
            actor=entry.actor,
            freight=entry.freight,
            freight_alias=entry.freight_alias,
            collection=self.state.promoting.collection,
            rollback=entry.rollback,
            origins=self._origins(),
            shard=self.stage.spec.shard if self.stage else "",
        )

    def _shard_queue(self) -> str | None:
        """Where the Stage's own workers listen; None: where its workflow does."""
        shard = self.stage.spec.shard if self.stage else ""
        return task_queue(shard) if shard else None

    def _origins(self) -> list[RequestedOrigin]:
        assert self.stage is not None
        return [
            RequestedOrigin(
                origin=request.origin,
                subscriptions=snapshot.subscriptions
                if (snapshot := self.state.snapshots.get(request.origin.name))
                else [],
            )
            for request in self.stage.spec.requested_freight
        ]

    def _waiting(self, entry: QueueEntry | None = None) -> str:
        """Why a Promotion, by default the next in the queue, may not start now; empty: it may."""
        if self.stage is None:
            return "the Stage is not configured yet"
        entry = entry or next_in_queue(self.state, workflow.now())
        waiting = why_wait(self.stage, self.state, workflow.now(), entry.override_window if entry else "")
        return waiting.reason if waiting else ""

    def _holder_ended(self, turn: Turn, status: str) -> None:
        """Take back a turn whose holder ended without a word. One that ended properly has told us before it closed."""
        if self.state.turn is None or self.state.turn.name != turn.name:
            return
        reason = f"its run ended without a word: {status}"
        if self.state.verifying is not None:
            self._lost_verification(turn.name, reason)
        elif self.state.promoting is not None:
            phase = PromotionPhase.ERRORED
            self._record(PromotionFinished(name=turn.name, phase=phase, message=reason, finished_at=workflow.now()))
        self._touch()

    # Health

    def _look_after_health(self) -> None:
        """Run the registered checks for as long as their Freight is current: quickly while settling, slowly later."""
        assert self.stage is not None
        own = read_settings(self.stage.metadata.annotations)
        last = self.state.last_promotion
        checks = last.health_checks if last and last.phase is PromotionPhase.SUCCEEDED else []
        if not checks or self.state.promoting is not None:
            self.health_watch.stop()
            return
        settling = self.state.settling_until is not None and workflow.now() < self.state.settling_until
        status = self.state.health.status if self.state.health else None
        self.health_watch.watch(
            HealthRequest(project=self.state.project, stage=self.state.name, checks=checks, known=self.state.health),
            settling=settling and status in (None, HealthState.PROGRESSING, HealthState.UNKNOWN),
            longest=own.health_interval or self.state.bundle.health_interval,
            task_queue=self._shard_queue(),
        )

    def _health_changed(self, health: Health) -> None:
        if self.state.promoting is None:
            self.state.health = health
        self._touch()

    # Verification

    async def _start_verification(self) -> None:
        assert self.stage is not None
        current = self.state.current()
        if current is None or self.state.retired or not may_verify(self.stage, self.state):
            return
        actor, self.state.reverify = self.state.reverify or "", None
        name = run_name(self.state.name, new_ulid(workflow.now(), workflow.random()), current.id)
        now = workflow.now()
        verification = self.stage.spec.verification
        if verification is None:
            info = VerificationInfo(
                id=name, actor=actor or None, start_time=now, finish_time=now, phase=VerificationPhase.SUCCESSFUL
            )
            current.verification_history = [info, *current.verification_history][:HISTORY]
            return
        templates, missing = self._templates()
        metadata = verification.analysis_run_metadata
        request = VerificationRequest(
            project=self.state.project,
            stage=self.state.name,
            name=name,
            templates=templates,
            missing_templates=missing,
            shard=self.stage.spec.shard,
            args=verification.args,
            labels=metadata.labels if metadata else {},
            annotations=metadata.annotations if metadata else {},
            vars=self.stage.spec.vars,
            collection=current.model_copy(update={"verification_history": []}),
            origins=self._origins(),
            promotion=self.state.last_promotion.name if self.state.last_promotion else "",
            actor=actor,
            stage_workflow=workflow.info().workflow_id,
        )
        workflow_id = verification_id(self.state.project, name)
        self.state.verifying = RunningVerification(name=name, workflow_id=workflow_id, actor=actor)
        self.state.turn = Turn(kind=TurnKind.VERIFICATION, name=name, workflow_id=workflow_id, since=now)
        info = VerificationInfo(
            id=name,
            actor=actor or None,
            start_time=now,
            phase=VerificationPhase.PENDING,
            analysis_run=AnalysisRunReference(namespace=self.state.project, name=name, phase="Pending"),
        )
        current.verification_history = [info, *current.verification_history][:HISTORY]
        brought = self.state.last_promotion.freight if self.state.last_promotion else None
        values = {
            PROJECT: self.state.project,
            STAGE: self.state.name,
            WAREHOUSE: brought.origin.name if brought else "",
            FREIGHT: brought.name if brought else "",
            PHASE: VerificationPhase.RUNNING.value,
        }
        try:
            handle = await workflow.start_child_workflow(
                "Verification",
                request,
                id=workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=attributes(values),
                memo={SUMMARY: {"collection": current.id, "promotion": request.promotion}},
                static_summary=f"verify {self.state.name}",
                static_details=f"Stage: `{workflow.info().workflow_id}`\n\nafter Promotion `{request.promotion}`",
            )
        except FailureError as error:
            self._lost_verification(name, f"it could not be started: {error}")
            return
        if self.state.verifying is not None and self.state.verifying.name == name:
            self.state.verifying.run_id = handle.first_execution_run_id or ""
            info.phase = VerificationPhase.RUNNING
            assert info.analysis_run is not None
            info.analysis_run.phase = "Running"

    def _templates(self) -> tuple[list[dict[str, Json]], list[str]]:
        """The templates in the order in which they are merged, and those that are nowhere to be found."""
        assert self.stage is not None
        assert self.stage.spec.verification is not None
        references = self.stage.spec.verification.analysis_templates
        found, missing = [], []
        for reference in sorted(references, key=lambda reference: reference.cluster):
            held = self.state.bundle.cluster_templates if reference.cluster else self.state.bundle.templates
            if reference.name in held:
                found.append(held[reference.name])
            else:
                missing.append(str(reference))
        return found, missing

    async def _end(self, workflow_id: str, message: AbortRequest | str) -> None:
        """Abort a run of this Stage's. A Verification ends by the signal, a Promotion by its cancellation."""
        handle = workflow.get_external_workflow_handle(workflow_id)
        try:
            await handle.signal("abort", message)
            if isinstance(message, AbortRequest):
                await handle.cancel()
        except FailureError as error:
            workflow.logger.info("%s was over already: %s", workflow_id, error)

    def _lost_verification(self, name: str, reason: str) -> None:
        if self.state.verifying is None or self.state.verifying.name != name:
            return
        self._verified(
            VerificationFinished(
                name=name,
                phase=VerificationPhase.ERROR,
                message=reason,
                finished_at=workflow.now(),
            )
        )

    def _verified(self, message: VerificationFinished) -> None:
        for collection in self.state.history:
            for info in collection.verification_history:
                if info.id == message.name:
                    info.phase, info.message = message.phase, message.message or None
                    info.finish_time = message.finished_at or workflow.now()
                    if info.analysis_run is not None:
                        info.analysis_run.phase = message.phase.value
        self._release()

    def _mark_verified(self) -> None:
        """Keep what the current collection's verification says; it is never taken back."""
        current, when = self.state.current(), verified_now(self.state)
        if current is None or when is None:
            return
        for piece in current.references():
            self.state.verified.setdefault(piece.origin.name, {}).setdefault(piece.name, when)

    def _let_pass(self) -> None:
        """A control-flow Stage: all available Freight counts as verified at once."""
        assert self.stage is not None
        for warehouse, records in passing_through(self.stage, self.state, workflow.now()).items():
            marks = self.state.verified.setdefault(warehouse, {})
            for record in records:
                marks.setdefault(record.name, workflow.now())

    # What others hear

    def _warehouses(self) -> list[str]:
        if self.stage is None:
            return []
        return sorted({request.origin.name for request in self.stage.spec.requested_freight})

    async def _subscribe(self) -> None:
        """Tell each Warehouse what this Stage asks of it; those no longer asked, that too."""
        assert self.stage is not None
        requests = {request.origin.name: request for request in self.stage.spec.requested_freight}
        for name in sorted({*requests, *self.state.subscribed}):
            if self.state.subscribed.get(name) == self.state.generation:
                continue
            message = StageSubscription(
                stage=self.state.name,
                revision=self.state.generation,
                request=requests.get(name),
                control_flow=self.stage.control_flow,
            )
            if name not in requests:
                await self._tell_warehouse(name, "subscribe", message)
                self.state.subscribed.pop(name, None)
                self.state.snapshots.pop(name, None)
            elif await self._tell_warehouse(name, "subscribe", message):
                self.state.subscribed[name] = self.state.generation

    async def _report(self) -> None:
        """Tell each Warehouse the whole of what there is to say about its Freight, if that has changed."""
        kept = {piece.name for collection in self.state.history for piece in collection.references()}
        wanted = {entry.freight.name for entry in self.state.queue}
        if self.state.promoting is not None:
            wanted |= {piece.name for piece in self.state.promoting.collection.references()}
        kept |= wanted
        current = self.state.current()
        for name in self._warehouses():
            here = [piece for piece in current.references() if piece.origin.name == name] if current else []
            snapshot = self.state.snapshots.get(name)
            told = (
                {record.name for record in snapshot.freight if self.state.name in record.verified_in}
                if snapshot
                else set()
            )
            marks = {
                freight: when
                for freight, when in self.state.verified.get(name, {}).items()
                if freight not in told or freight in kept
            }
            self.state.verified[name] = marks
            report = StageReport(
                stage=self.state.name,
                sequence=0,
                current={piece.name: self.state.entered.get(piece.name, workflow.now()) for piece in here},
                verified=dict(sorted(marks.items())),
                kept=sorted(kept),
                promoting=sorted(wanted),
            )
            digest = hashlib.sha256(report.model_dump_json().encode()).hexdigest()[:16]
            if self.state.reported.get(name) == digest or (name not in self.state.reported and not kept and not marks):
                continue
            self.state.report_sequence += 1
            report.sequence = self.state.report_sequence
            if await self._tell_warehouse(name, "stage_report", report):
                self.state.reported[name] = digest

    async def _tell_warehouse(
        self, name: str, signal: str, message: StageSubscription | StageReport | FreightQuestion
    ) -> bool:
        """Signal a Warehouse. False: there is none (yet); it is told when it comes."""
        return await tell(warehouse_id(self.state.project, name), signal, message)

    async def _tell_promotion(self, entry: QueueEntry, signal: str, message: Accepted | Proceed | Expired) -> bool:
        return await tell(entry.workflow_id, signal, message, run_id=entry.run_id)

    async def _take_leave(self) -> None:
        """Deleted: the Warehouses forget what was verified here, the Project forgets the Stage."""
        self.health_watch.stop()
        self.holder_watch.stop()
        for name in sorted(self.state.subscribed):
            message = StageSubscription(
                stage=self.state.name, revision=self.state.generation + 1, request=None, forget=True
            )
            await self._tell_warehouse(name, "subscribe", message)
        farewell = Retired(kind="Stage", name=self.state.name, generation=self.state.generation)
        await tell(project_id(self.state.project), "retired", farewell)
        await workflow.wait_condition(workflow.all_handlers_finished)
        # Who asked too late hears it, too, rather than waiting to ask again.
        while self.state.inbox:
            await self._refuse(self.state.inbox[0], f"Stage {self.state.name} is deleted")

    # Odds and ends of the loop

    def _touch(self) -> None:
        self.life.touch()

    def _succeed(self, message: StageConfiguration) -> None:
        """Applied again while it takes its leave: the Stage begins anew, without anything of what it was."""
        if message.manifest is not None and message.generation > self.state.generation:
            self.successor = StageState(
                project=self.state.project,
                name=self.state.name,
                generation=message.generation,
                manifest=message.manifest,
                bundle=message.bundle or StageBundle(revision=0),
            )
        elif self.successor is not None and message.bundle is not None:
            self.successor.bundle = message.bundle

    def _read_manifest(self) -> None:
        if self.state.manifest is not None:
            self.stage = StageManifest.model_validate(self.state.manifest)

    def _show(self) -> None:
        """Write the memo that lists are made from, if it has changed."""
        glance = summary(self.state, self.stage, self._waiting() if self.state.queue else "")
        text = glance.model_dump_json()
        if text != self.shown:
            self.shown = text
            workflow.upsert_memo({SUMMARY: glance})
        self.state.transitions = note(conditions(self.state, self._waiting()), self.state.transitions, workflow.now())
        described = self._described()
        if described != self.described:
            self.described = described
            workflow.upsert_search_attributes(changed(workflow.now()))
        workflow.set_current_details(details(self.state, glance))

    def _described(self) -> str:
        """A digest of what is shown of the Stage; of its manifest the generation tells."""
        status = self.describe()["status"]
        return hashlib.sha256(json.dumps(status, sort_keys=True).encode()).hexdigest()[:16]

    def _set_alarm(self) -> None:
        """Wake up by itself when time alone changes something."""
        assert self.stage is not None
        now = workflow.now()
        moments = [
            next_availability(self.stage, self.state, now),
            next_change_of_windows(self.state, now),
            self.holder_watch.due(self.state.turn),
        ]
        if needs_verification(self.stage, self.state):
            moments.append(self.state.settling_until)
        moments += [asked + ANSWER for asked in self.state.asked.values()]
        self.life.alarm.set(min((moment for moment in moments if moment is not None and moment > now), default=None))
