"""A Warehouse: what was last discovered, its Freight, and what is known of each piece."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from model.aliases import new_alias
    from model.base import Json
    from model.conditions import note
    from model.discovery import (
        DiscoveryReport,
        DiscoveryRequest,
        Retention,
        ScheduleRequest,
        Verdict,
        WatchingNotice,
        schedule_period,
    )
    from model.freight_assembly import Incomplete, assemble
    from model.freight_choice import Unsuitable, choose
    from model.freight_status import FreightRecord
    from model.names import project_id, stage_id, task_queue
    from model.projects import Retired
    from model.promotions import FanOutInquiry
    from model.pushes import subscribed_urls
    from model.references import FreightReference
    from model.resources.warehouse import DiscoveredArtifacts, FreightCreationPolicy
    from model.resources.warehouse import Warehouse as WarehouseManifest
    from model.warehouse_rules import (
        Shelf,
        collectable,
        control_flow_stages,
        downstream,
        forget_stage,
        newest_first,
        relevant,
        take_report,
        why_not_deleted,
    )
    from model.warehouse_state import WarehouseState
    from model.warehouse_view import conditions, describe, summary
    from model.warehouses import (
        AliasRequest,
        ApproveRequest,
        CreatedFreight,
        CreateFreightRequest,
        DeleteFreightRequest,
        FreightQuestion,
        MetadataRequest,
        Outcome,
        RefreshRequest,
        RetireRequest,
        StageReport,
        StageSubscription,
        WarehouseChanges,
        WarehouseConfiguration,
        WarehouseSnapshot,
        merged_metadata,
    )
    from workflows.attributes import SUMMARY, changed
    from workflows.life import Life
    from workflows.telling import tell

#: How long a refresh that is waited for may take.
LONGEST_REFRESH = timedelta(minutes=5)
#: Pause after which the Schedule is tried again, where even retries gave up.
SCHEDULE_AGAIN = timedelta(minutes=5)
#: How many of the names a Stage asked about are remembered.
QUESTIONS = 20
#: A state near Temporal's limit of 2 MB is reported from this size on, in bytes of JSON.
LARGE_STATE = 1_000_000


@workflow.defn
class Warehouse:
    """Owns its Freight; Stages get a small copy of what concerns them, and poke back."""

    @workflow.init
    def __init__(self, state: WarehouseState) -> None:
        self.state = state
        self.warehouse: WarehouseManifest | None = None
        #: The URLs that webhooks find it by.
        self.subscribes: list[str] = []
        #: An entity of this name that was applied while this one took its leave.
        self.successor: WarehouseState | None = None
        self.life = Life(f"warehouse {state.name}")
        self.shown = ""
        #: What tells whether there is anything new to show.
        self.seen: object = None
        self.waiting_tokens: set[str] = set()
        self.new_reports: list[DiscoveryReport] = []
        self.inquiries: list[FanOutInquiry] = []
        self.scheduling: asyncio.Task[None] | None = None
        self._read_manifest()

    # Messages

    @workflow.signal
    def configure(self, message: WarehouseConfiguration) -> None:
        """A new manifest; the latest generation wins."""
        if self.state.retired:
            self._succeed(message)
            return
        if message.generation > self.state.generation:
            self.state.manifest, self.state.generation = message.manifest, message.generation
            self._read_manifest()
        self._touch()

    @workflow.signal
    def watching(self, message: WatchingNotice) -> None:
        """A Discovery run watches from now on."""
        self.state.watcher, self.state.watcher_run = message.workflow_id, message.run_id

    @workflow.signal
    def discovered(self, message: DiscoveryReport) -> None:
        """Something new was found, or looking failed."""
        self.new_reports.append(message)
        self._touch()

    @workflow.signal
    def subscribe(self, message: StageSubscription) -> None:
        """A Stage says what it asks for; told anew even if nothing has changed."""
        known = self.state.subscriptions.get(message.stage)
        if message.forget:
            # A farewell that comes late takes nothing from a Stage that was made anew in the meantime.
            if known is None or message.revision >= known.revision:
                forget_stage(self.state, message.stage)
                self._touch()
            return
        if known is None or message.revision >= known.revision:
            if message.request is None:
                self.state.subscriptions.pop(message.stage, None)
            else:
                self.state.subscriptions[message.stage] = message
            self.state.told.pop(message.stage, None)
            self._touch()

    @workflow.signal
    def stage_report(self, message: StageReport) -> None:
        """A Stage tells what it holds and what has been verified in it."""
        if take_report(self.state, message):
            self._touch()

    @workflow.signal
    def ask(self, message: FreightQuestion) -> None:
        """A Stage must decide about Freight that its copy doesn't hold."""
        asked = [name for name in self.state.questions.get(message.stage, []) if name != message.freight]
        self.state.questions[message.stage] = [*asked, message.freight][-QUESTIONS:]
        self.state.told.pop(message.stage, None)
        self._touch()

    @workflow.signal
    def inquire(self, message: FanOutInquiry) -> None:
        """A FanOut asks which Stages are downstream, and whether the Freight may go there."""
        self.inquiries.append(message)
        self._touch()

    @workflow.update
    async def approve(self, message: ApproveRequest) -> Outcome:
        """Approve Freight for a Stage; makes it available there, and promotes nothing by itself."""
        record = self.state.freight.get(message.freight)
        if record is None:
            return Outcome(ok=False, message=f"Freight {message.freight} does not exist in Warehouse {self.state.name}")
        if message.stage not in self.state.subscriptions:
            return Outcome(
                ok=False, message=f"Stage {message.stage} requests no Freight from Warehouse {self.state.name}"
            )
        if message.stage in record.approved_for:
            return Outcome(message=f"Freight {record.alias} was approved for Stage {message.stage} already")
        record.approved_for[message.stage] = workflow.now()
        self.state.touch(record)
        self._touch()
        return Outcome(message=f"Freight {record.alias} is approved for Stage {message.stage}")

    @workflow.update
    async def create_freight(self, message: CreateFreightRequest) -> CreatedFreight:
        """Make Freight of artifacts that a person chose, whatever the policy and criteria say."""
        if self.warehouse is None:
            return CreatedFreight(ok=False, message=f"Warehouse {self.state.name} is not configured yet")
        found = self.state.report.artifacts if self.state.report else None
        try:
            reference = choose(
                self.state.name,
                self.warehouse.spec,
                found or DiscoveredArtifacts(discovered_at=workflow.now()),
                message.choices,
            )
        except Unsuitable as error:
            return CreatedFreight(ok=False, message=str(error))
        there = self.state.freight.get(reference.name)
        if there is not None:
            words = f"this set exists already: Freight {there.name} ({there.alias})"
            return CreatedFreight(ok=False, message=words, name=there.name, alias=there.alias)
        holder = next((r for r in self.state.freight.values() if message.alias and r.alias == message.alias), None)
        if holder is not None:
            return CreatedFreight(ok=False, message=f"alias {message.alias} is in use by Freight {holder.name}")
        record = self._add(reference, message.alias)
        self._touch()
        words = f"Freight {record.name} ({record.alias}) is created"
        return CreatedFreight(message=words, name=record.name, alias=record.alias)

    @workflow.update
    async def delete_freight(self, message: DeleteFreightRequest) -> Outcome:
        """Forget Freight. Refused while a Stage holds it, or a Promotion waits or runs with it."""
        record = self.state.freight.get(message.freight)
        if record is None:
            return Outcome(ok=False, message=f"Freight {message.freight} does not exist in Warehouse {self.state.name}")
        if reason := why_not_deleted(self.state, record.name):
            return Outcome(ok=False, message=reason)
        self.state.forget(record.name)
        self._touch()
        return Outcome(message=f"Freight {record.name} ({record.alias}) is deleted")

    @workflow.update
    async def set_alias(self, message: AliasRequest) -> Outcome:
        """Give Freight another alias."""
        record = self.state.freight.get(message.freight)
        if record is None:
            return Outcome(ok=False, message=f"Freight {message.freight} does not exist in Warehouse {self.state.name}")
        holder = next((r for r in self.state.freight.values() if r.alias == message.alias and r is not record), None)
        if holder is not None:
            return Outcome(ok=False, message=f"alias {message.alias} is in use by Freight {holder.name}")
        record.alias = message.alias
        self.state.touch(record)
        self._touch()
        return Outcome(message=f"Freight {record.name} has the alias {message.alias}")

    @workflow.update
    async def set_metadata(self, message: MetadataRequest) -> Outcome:
        """Set keys of the metadata of Freight; others stay."""
        record = self.state.freight.get(message.freight)
        if record is None:
            return Outcome(ok=False, message=f"Freight {message.freight} does not exist in Warehouse {self.state.name}")
        merged = merged_metadata(record.metadata, message.values)
        if merged is None:
            return Outcome(ok=False, message=f"metadata of Freight {record.name} would be larger than 16 KiB")
        record.metadata = merged
        self.state.touch(record)
        self._touch()
        return Outcome(message=f"metadata of Freight {record.name} is set")

    @workflow.update
    async def refresh(self, message: RefreshRequest) -> Outcome:
        """Look now. With `wait`, returns when the look is over."""
        token = str(workflow.uuid4())
        self.state.last_refresh = token
        self._touch()
        if message.wait:
            self.waiting_tokens.add(token)
        if not await self._look_now(token):
            self.waiting_tokens.discard(token)
            self.state.handled_refresh = token
            self._touch()
            return Outcome(ok=False, message=f"Warehouse {self.state.name} could not be refreshed: no worker answered")
        if not message.wait:
            return Outcome(message=f"Warehouse {self.state.name} is being refreshed")
        try:
            await workflow.wait_condition(lambda: token not in self.waiting_tokens, timeout=LONGEST_REFRESH)
        except TimeoutError:
            self.waiting_tokens.discard(token)
            return Outcome(ok=False, message=f"Warehouse {self.state.name} did not finish looking in 5 minutes")
        error = self.state.report.error if self.state.report else ""
        return Outcome(ok=not error, message=error or f"Warehouse {self.state.name} is refreshed")

    @workflow.update
    async def retire(self, message: RetireRequest) -> Outcome:
        """End the Warehouse and its Schedule. Refused while Stages hold its Freight, unless forced."""
        holders = sorted({stage for record in self.state.freight.values() for stage in record.currently_in})
        if holders and not message.force:
            return Outcome(
                ok=False, message=f"its Freight is in {', '.join(holders)}: delete those Stages, or use --force"
            )
        self.state.retired = True
        self._touch()
        return Outcome(message=f"Warehouse {self.state.name} is deleted")

    @workflow.query
    def describe(self) -> dict[str, Json]:
        """The Warehouse in Kubernetes' shape, with Kargo's status."""
        return describe(self.state)

    @workflow.query
    def freight(self, names: list[str]) -> list[FreightRecord]:
        """Freight by name or alias, newest first; all of it where no names are given."""
        wanted = set(names)
        return [
            record
            for record in newest_first(self.state.freight.values())
            if not wanted or record.name in wanted or record.alias in wanted
        ]

    @workflow.query
    def changes(self, since: int) -> WarehouseChanges:
        """The Warehouse, and what has changed of its Freight since a revision; 0, or one long gone: all of it."""
        state = self.state
        whole = since <= 0 or since < state.forgotten_before or since > state.revision
        return WarehouseChanges(
            revision=state.revision,
            whole=whole,
            created_at=state.created_at,
            warehouse=describe(state),
            freight=[record for record in state.freight.values() if whole or record.revision > since],
            forgotten=[] if whole else [name for name, revision in state.forgotten.items() if revision > since],
        )

    @workflow.query
    def export(self) -> WarehouseState:
        """The whole state, for backups."""
        return self.state

    # The life of the entity

    @workflow.run
    async def run(self, state: WarehouseState) -> None:
        self.state.created_at = self.state.created_at or workflow.now()
        heralded, self.state.heralded = self.state.heralded, []
        for stage in heralded:
            await tell(stage_id(self.state.project, stage), "warehouse_created", self.state.name)
        await self.life.live(
            self._reconcile, self.state, lambda: self.state.retired, may_renew=lambda: not self.waiting_tokens
        )
        await self._take_leave()
        if self.successor is not None:
            self.successor.heralded = sorted(self.state.subscriptions)
            workflow.continue_as_new(self.successor)

    async def _reconcile(self) -> None:
        if self.scheduling is None or self.scheduling.done():
            self.scheduling = asyncio.create_task(self._schedule())
        self._take_discoveries()
        self._collect()
        await self._answer_fanouts()
        await self._tell_stages()
        self._show()

    # Discovery

    async def _schedule(self) -> None:
        """See that the polling Schedule is there for this generation, and that a running Discovery knows it."""
        if self.warehouse is None or self.state.scheduled >= self.state.generation:
            return
        generation = self.state.generation
        request = self._discovery_request()
        try:
            await workflow.execute_activity(
                "ensure-schedule",
                ScheduleRequest(request=request, task_queue=task_queue()),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
                summary=f"generation {generation}",
            )
        except FailureError as error:
            workflow.logger.error("warehouse %s could not be scheduled: %s", self.state.name, error)
            await asyncio.sleep(SCHEDULE_AGAIN.total_seconds())
            self._touch()
            return
        if self.state.watcher:
            await self._tell_watcher("reconfigure", request)
        self.state.scheduled = generation
        if self.state.generation != generation:
            self._touch()

    def _discovery_request(self) -> DiscoveryRequest:
        assert self.warehouse is not None
        interval = self.warehouse.spec.interval
        return DiscoveryRequest(
            project=self.state.project,
            warehouse=self.state.name,
            generation=self.state.generation,
            spec=(self.state.manifest or {}).get("spec"),
            interval=interval,
            warehouse_workflow=workflow.info().workflow_id,
            period=schedule_period(interval),
            shard=self.warehouse.spec.shard,
        )

    async def _tell_watcher(self, signal: str, message: DiscoveryRequest | str) -> bool:
        handle = workflow.get_external_workflow_handle(self.state.watcher)
        try:
            await handle.signal(signal, message)
        except FailureError as error:
            workflow.logger.info("discovery %s could not be told %s: %s", self.state.watcher, signal, error)
            self.state.watcher = ""
            return False
        return True

    async def _look_now(self, token: str) -> bool:
        """Wake the Discovery that watches, or start one."""
        if self.state.watcher and await self._tell_watcher("look_now", token):
            return True
        try:
            await workflow.wait_condition(
                lambda: self.state.scheduled > 0 or self.state.retired, timeout=timedelta(seconds=30)
            )
            await workflow.execute_activity(
                "trigger-schedule",
                ScheduleRequest(request=self._discovery_request(), task_queue=task_queue()),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=5),
                summary="refresh",
            )
            await workflow.wait_condition(lambda: bool(self.state.watcher), timeout=timedelta(minutes=1))
        except (FailureError, TimeoutError) as error:
            workflow.logger.warning("warehouse %s: no discovery could be started: %s", self.state.name, error)
            return False
        return await self._tell_watcher("look_now", token)

    def _take_discoveries(self) -> None:
        for report in self.new_reports:
            known = self.state.report
            if report.generation < self.state.generation:
                # Of an older spec: it answers those who wait, but makes nothing.
                self._answered(report)
                continue
            if report.error:
                self.state.failing_since = self.state.failing_since or report.discovered_at
                kept = {"artifacts": known.artifacts, "criteria": known.criteria} if known else {}
                self.state.report = report.model_copy(update=kept)
            else:
                self.state.failing_since = None
                self.state.report = report
                self._make_freight(report)
            self._answered(report)
        self.new_reports.clear()

    def _answered(self, report: DiscoveryReport) -> None:
        tokens = [report.token, *report.answered]
        self.waiting_tokens.difference_update(tokens)
        if self.state.last_refresh in tokens:
            self.state.handled_refresh = self.state.last_refresh

    def _make_freight(self, report: DiscoveryReport) -> None:
        """At most one piece per discovery, and none that exists already."""
        self.state.no_freight = ""
        if self.warehouse is None or report.artifacts is None:
            return
        if self.warehouse.spec.freight_creation_policy is not FreightCreationPolicy.AUTOMATIC:
            return
        try:
            reference = assemble(self.state.name, self.warehouse.spec, report.artifacts)
        except Incomplete as gap:
            self.state.no_freight = str(gap)
            return
        if report.criteria is Verdict.FAILED:
            self.state.no_freight = report.criteria_error
        elif report.criteria is not Verdict.NOT_SATISFIED and reference.name not in self.state.freight:
            self._add(reference)

    def _add(self, reference: FreightReference, alias: str = "") -> FreightRecord:
        taken = {record.alias for record in self.state.freight.values()}
        record = FreightRecord(
            reference=reference, alias=alias or new_alias(workflow.random(), taken), discovered_at=workflow.now()
        )
        self.state.freight[reference.name] = record
        self.state.touch(record)
        return record

    def _collect(self) -> None:
        """Forget old Freight that nobody holds, waits for, or could go back to."""
        protected = {name for names in self.state.kept.values() for name in names}
        retention = self.state.report.retention if self.state.report else Retention()
        old = collectable(
            self.state.freight, protected, workflow.now(), retained=retention.pieces, min_age=retention.age
        )
        for name in old:
            self.state.forget(name)

    # What others hear

    async def _answer_fanouts(self) -> None:
        inquiries, self.inquiries = self.inquiries, []
        for inquiry in inquiries:
            answer = downstream(self.state, inquiry.stage, inquiry.freight, workflow.now())
            try:
                await workflow.get_external_workflow_handle(inquiry.workflow_id).signal("answer", answer)
            except FailureError as error:
                workflow.logger.info("fan-out %s could not be answered: %s", inquiry.workflow_id, error)

    async def _tell_stages(self) -> None:
        """Poke the Stages for which something has changed, and just those."""
        if self.warehouse is None:
            return
        passing = control_flow_stages(self.state)
        repos = self.warehouse.spec.repos()
        shelf = Shelf(self.state.freight.values())
        for stage in sorted(self.state.subscriptions):
            subscription = self.state.subscriptions.get(stage)
            if subscription is None or subscription.request is None:
                continue
            snapshot = WarehouseSnapshot(
                warehouse=self.state.name,
                version=0,
                subscriptions=repos,
                control_flow=sorted(passing & set(subscription.request.sources.stages)),
                freight=relevant(self.state, subscription, workflow.now(), shelf),
                asked=self.state.questions.get(stage, []),
            )
            digest = hashlib.sha256(snapshot.model_dump_json().encode()).hexdigest()[:16]
            if self.state.told.get(stage) == digest:
                continue
            self.state.version += 1
            snapshot.version = self.state.version
            self.state.told[stage] = digest
            try:
                handle = workflow.get_external_workflow_handle(stage_id(self.state.project, stage))
                await handle.signal("freight_changed", snapshot)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                # A Stage that is gone is no longer a subscriber; a new one subscribes by itself.
                workflow.logger.info("stage %s could not be told: %s", stage, error)
                if self.state.subscriptions.get(stage) is subscription:
                    self.state.subscriptions.pop(stage)
            if self.life.changed:
                shelf = Shelf(self.state.freight.values())

    async def _take_leave(self) -> None:
        """Deleted: its Schedule and the Discovery that runs end, and the Project forgets it."""
        if self.scheduling is not None:
            self.scheduling.cancel()
        try:
            await workflow.execute_activity(
                "delete-schedule",
                ScheduleRequest(request=DiscoveryRequest(project=self.state.project, warehouse=self.state.name)),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=10),
                summary="deleted",
            )
        except FailureError as error:
            workflow.logger.error("schedule of warehouse %s could not be deleted: %s", self.state.name, error)
        if self.state.watcher:
            try:
                await workflow.get_external_workflow_handle(self.state.watcher).cancel()
            except FailureError as error:
                workflow.logger.info("discovery %s was over already: %s", self.state.watcher, error)
        try:
            project = workflow.get_external_workflow_handle(project_id(self.state.project))
            farewell = Retired(kind="Warehouse", name=self.state.name, generation=self.state.generation)
            await project.signal("retired", farewell)
        except FailureError as error:
            workflow.logger.info("project %s could not be told: %s", self.state.project, error)
        await workflow.wait_condition(workflow.all_handlers_finished)

    # Odds and ends of the loop

    def _touch(self) -> None:
        self.life.touch()

    def _succeed(self, message: WarehouseConfiguration) -> None:
        """Applied again while it takes its leave: the Warehouse begins anew, without anything of what it was."""
        if message.manifest is not None and message.generation > self.state.generation:
            self.successor = WarehouseState(
                project=self.state.project,
                name=self.state.name,
                generation=message.generation,
                manifest=message.manifest,
            )

    def _read_manifest(self) -> None:
        if self.state.manifest is not None:
            self.warehouse = WarehouseManifest.model_validate(self.state.manifest)
            self.subscribes = subscribed_urls(self.warehouse.spec)

    def _show(self) -> None:
        state, report = self.state, self.state.report
        looked = report and (report.observed, report.discovered_at, report.error, report.criteria)
        state.transitions = note(conditions(state), state.transitions, workflow.now())
        refreshed = state.last_refresh, state.handled_refresh
        seen = (state.generation, state.revision, looked, state.failing_since, state.no_freight, refreshed)
        if seen != self.seen:
            self.seen = seen
            workflow.upsert_search_attributes(changed(workflow.now()))
        glance = summary(self.state, self.subscribes)
        text = repr(glance)
        if text != self.shown:
            self.shown = text
            workflow.upsert_memo({SUMMARY: glance})
            workflow.set_current_details(
                f"**Warehouse {self.state.name}** of Project {self.state.project}: {glance['freight']} Freight"
                f" · last discovery {glance['lastDiscovery'] or '—'}\n\n{glance['error']}\n\n"
                f"watched by `{self.state.watcher or 'nobody yet'}`"
            )
