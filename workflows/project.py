"""A Project: owns its manifests, and starts and configures its Warehouses and Stages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from model.api_tokens import (
        AccessView,
        CreateTokenRequest,
        RevokeTokenRequest,
        created,
        revoked,
        roles_in,
    )
    from model.base import Json, format_time
    from model.freezes import FreezeRequest, ThawRequest, active, frozen, thawed
    from model.names import CLUSTER, stage_id, warehouse_id
    from model.project_rules import bundle_for, digest, missing_references, stage_entry
    from model.project_state import ProjectState
    from model.projects import (
        Action,
        AppliedResource,
        ApplyRequest,
        ApplyResult,
        ClusterSnapshot,
        DeleteRequest,
        ProjectView,
        Retired,
        StageEntry,
        WarehouseEntry,
    )
    from model.stage_state import StageState
    from model.stages import StageConfiguration
    from model.warehouse_state import WarehouseState
    from model.warehouses import Outcome, RetireRequest, WarehouseConfiguration
    from workflows.attributes import PROJECT, STAGE, SUMMARY, WAREHOUSE, attributes, changed
    from workflows.life import Life
    from workflows.telling import tell


#: Kinds that the Project holds itself, many of each.
HELD = ("PromotionTask", "AnalysisTemplate", "MessageChannel")
#: How often an entity is told, and started where it isn't there, before that is given up.
ATTEMPTS = 5
#: Stages or Warehouses that are told of at the same time: each is a message of several kilobytes.
AT_ONCE = 25


@workflow.defn
class Project:
    """Distributes what it is told; each Stage and Warehouse holds its own manifest."""

    @workflow.init
    def __init__(self, state: ProjectState) -> None:
        self.state = state
        self.life = Life(f"project {state.project}")
        self.shown = ""
        self.registered = False
        self.applying = asyncio.Lock()

    # Messages

    @workflow.update
    async def apply(self, message: ApplyRequest) -> ApplyResult:
        """Take a validated set of manifests. What is unchanged is left alone."""
        async with self.applying:
            if self.state.retired:
                raise ApplicationError(
                    f"Project {self.state.project} is being deleted: apply again", non_retryable=True
                )
            self.state.kinds.update(message.kinds)
            actions: list[AppliedResource] = []
            # What Stages refer to comes before them, Warehouses before the Stages that ask for their Freight.
            for kind in ("Project", "ProjectConfig", *HELD, "Warehouse", "Stage"):
                chosen = [manifest for manifest in message.manifests if manifest["kind"] == kind]
                for start in range(0, len(chosen), AT_ONCE):
                    actions += await asyncio.gather(
                        *(self._take(kind, manifest) for manifest in chosen[start : start + AT_ONCE])
                    )
            await self._send_bundles()
            self._touch()
            return ApplyResult(resources=actions, warnings=missing_references(self.state))

    @workflow.update
    async def delete(self, message: DeleteRequest) -> Outcome:
        """Delete a manifest that the Project holds itself."""
        async with self.applying:
            held = self._held(message.kind) if message.kind in HELD else None
            if message.kind == "ProjectConfig" and self.state.config is not None:
                self.state.config, self.state.config_created_at = None, None
            elif held is None or held.pop(message.name, None) is None:
                return Outcome(
                    ok=False, message=f"{message.kind} {message.name} does not exist in Project {self.state.project}"
                )
            await self._send_bundles()
            self._touch()
            return Outcome(message=f"{message.kind} {message.name} is deleted")

    @workflow.update
    async def freeze(self, message: FreezeRequest) -> Outcome:
        """Nothing new starts in the Project until it is thawed; what runs goes on."""
        self.state.freezes = frozen(self.state.freezes, f"Project {self.state.project}", message, workflow.now())
        async with self.applying:
            await self._send_bundles()
        self._touch()
        return Outcome(message=f"Project {self.state.project} is frozen")

    @workflow.update
    async def thaw(self, message: ThawRequest) -> Outcome:
        """End a freeze of this Project; one of everything, or of a Stage, stays."""
        if not active(self.state.freezes):
            return Outcome(ok=False, message=f"Project {self.state.project} is not frozen by itself")
        self.state.freezes = thawed(self.state.freezes, message, workflow.now())
        async with self.applying:
            await self._send_bundles()
        self._touch()
        return Outcome(message=f"Project {self.state.project} is thawed")

    @workflow.update
    async def create_token(self, message: CreateTokenRequest) -> Outcome:
        """Remember an API token of this Project, by its hash."""
        self.state.tokens, outcome = created(self.state.tokens, message, workflow.now())
        if outcome.ok:
            self._touch()
        return outcome

    @workflow.update
    async def revoke_token(self, message: RevokeTokenRequest) -> Outcome:
        """Forget an API token: it is valid no longer."""
        self.state.tokens, outcome = revoked(self.state.tokens, message.name)
        if outcome.ok:
            self._touch()
        return outcome

    @workflow.update
    async def retire(self, message: RetireRequest) -> Outcome:
        """End the Project, once its Stages and Warehouses are gone."""
        async with self.applying:
            left = [f"Stage {name}" for name in sorted(self.state.stages)]
            left += [f"Warehouse {name}" for name in sorted(self.state.warehouses)]
            if left:
                return Outcome(ok=False, message=f"Project {self.state.project} still has {', '.join(left)}")
            self.state.retired = True
            self._touch()
        return Outcome(message=f"Project {self.state.project} is deleted")

    @workflow.signal
    def retired(self, message: Retired) -> None:
        """A Stage or Warehouse of its own has ended; one that was applied again meanwhile begins anew instead."""
        entries: Mapping[str, StageEntry | WarehouseEntry]
        entries = self.state.stages if message.kind == "Stage" else self.state.warehouses
        entry = entries.get(message.name)
        if entry is None or 0 < message.generation < entry.generation:
            return
        if message.kind == "Stage":
            del self.state.stages[message.name]
            self.state.bundles.pop(message.name, None)
        else:
            del self.state.warehouses[message.name]
        self._touch()

    @workflow.signal
    def cluster_changed(self, message: ClusterSnapshot) -> None:
        """ClusterPromotionTasks or ClusterAnalysisTemplates have changed."""
        if message.revision > self.state.cluster.revision:
            self.state.cluster = message
            self._touch()

    @workflow.query
    def view(self) -> ProjectView:
        """All that the Project holds."""
        return ProjectView(
            project=self.state.project,
            manifest=self.state.manifest or {},
            config=self.state.config,
            tasks=self.state.tasks,
            templates=self.state.templates,
            channels=self.state.channels,
            stages=self.state.stages,
            warehouses=self.state.warehouses,
            cluster_tasks=sorted(self.state.cluster.tasks),
            cluster_templates=sorted(self.state.cluster.templates),
            freezes=[*self.state.cluster.freezes, *self.state.freezes],
            warnings=missing_references(self.state),
            created_at=self.state.created_at,
            config_created_at=self.state.config_created_at,
        )

    @workflow.query
    def access(self) -> AccessView:
        """Who may do what in the Project: roles as declared, and API tokens."""
        return AccessView(roles=roles_in(self.state.config), tokens=self.state.tokens)

    @workflow.query
    def export(self) -> ProjectState:
        """The whole state, for backups."""
        return self.state

    # The life of the entity

    @workflow.run
    async def run(self, state: ProjectState) -> None:
        self.state.created_at = self.state.created_at or workflow.now()
        await self.life.live(self._reconcile, self.state, lambda: self.state.retired)
        await tell(CLUSTER, "deregister", self.state.project)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _reconcile(self) -> None:
        try:
            await self._register()
            async with self.applying:
                await self._send_bundles()
        finally:
            self._show()

    async def _register(self) -> None:
        """Hear from the Cluster of what belongs to no Project."""
        if not self.registered:
            self.registered = await tell(CLUSTER, "register", self.state.project)

    async def _take(self, kind: str, manifest: dict[str, Json]) -> AppliedResource:
        name = manifest["metadata"]["name"]
        return AppliedResource(kind=kind, name=name, action=await self._pass_on(kind, name, manifest))

    async def _pass_on(self, kind: str, name: str, manifest: dict[str, Json]) -> Action:
        """Take one manifest, and pass on what is a Warehouse's or a Stage's."""
        if kind in ("Project", "ProjectConfig"):
            known = self.state.manifest if kind == "Project" else self.state.config
            if kind == "Project":
                self.state.manifest = manifest
            else:
                self.state.config = manifest
                self.state.config_created_at = self.state.config_created_at or workflow.now()
            return _action(known, manifest)
        if kind in HELD:
            held = self._held(kind)
            action = _action(held.get(name), manifest)
            held[name] = manifest
            return action
        entries: dict[str, StageEntry] | dict[str, WarehouseEntry]
        entries = self.state.stages if kind == "Stage" else self.state.warehouses
        entry = entries.get(name)
        if entry is not None and entry.digest == digest(manifest):
            return Action.UNCHANGED
        # Counted per Project, not per resource: one that is deleted and made again goes on counting.
        self.state.revision += 1
        if kind == "Stage":
            await self._configure_stage(name, manifest, self.state.revision, created=entry is None)
        else:
            await self._configure_warehouse(name, manifest, self.state.revision, created=entry is None)
        return Action.CREATED if entry is None else Action.CONFIGURED

    def _held(self, kind: str) -> dict[str, Json]:
        """The manifests of a kind that the Project holds itself, by name."""
        return {
            "PromotionTask": self.state.tasks,
            "AnalysisTemplate": self.state.templates,
            "MessageChannel": self.state.channels,
        }[kind]

    async def _configure_stage(self, name: str, manifest: dict[str, Json], generation: int, *, created: bool) -> None:
        entry = stage_entry(manifest, generation)
        self.state.stages[name] = entry
        bundle = bundle_for(self.state, name, entry)
        self.state.bundles[name] = digest(bundle.model_dump(mode="json"))
        self.state.revision += 1
        bundle.revision = self.state.revision
        known: dict[str, Any] = {
            "project": self.state.project,
            "name": name,
            "generation": generation,
            "manifest": manifest,
        }
        message = StageConfiguration(**known, bundle=bundle)
        await self._bring("Stage", entry, message, StageState(**known, bundle=bundle), created=created)

    async def _configure_warehouse(
        self, name: str, manifest: dict[str, Json], generation: int, *, created: bool
    ) -> None:
        entry = self.state.warehouses[name] = WarehouseEntry(generation=generation, digest=digest(manifest))
        known: dict[str, Any] = {
            "project": self.state.project,
            "name": name,
            "generation": generation,
            "manifest": manifest,
        }
        await self._bring(
            "Warehouse",
            entry,
            WarehouseConfiguration(**known),
            WarehouseState(**known),
            created=created,
        )
        if created:
            for stage, asking in sorted(self.state.stages.items()):
                if name in asking.origins:
                    await tell(stage_id(self.state.project, stage), "warehouse_created", name)

    async def _bring(
        self,
        kind: Literal["Stage", "Warehouse"],
        entry: StageEntry | WarehouseEntry,
        message: StageConfiguration | WarehouseConfiguration,
        start: StageState | WarehouseState,
        *,
        created: bool,
    ) -> None:
        """Tell a Stage or Warehouse what it is to be, or start it. One just ending may be neither there nor gone."""
        named, attribute = (stage_id, STAGE) if kind == "Stage" else (warehouse_id, WAREHOUSE)
        workflow_id = named(self.state.project, message.name)
        for _ in range(ATTEMPTS):
            if not created and await tell(workflow_id, "configure", message):
                return
            created = False
            try:
                await workflow.start_child_workflow(
                    kind,
                    start,
                    id=workflow_id,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    search_attributes=attributes({PROJECT: self.state.project, attribute: message.name}),
                    memo={SUMMARY: {"generation": message.generation}},
                    static_summary=f"{kind} {message.name} of Project {self.state.project}",
                )
            except WorkflowAlreadyStartedError:
                continue
            return
        # So that applying it again is no matter of "unchanged".
        entry.digest = ""
        raise ApplicationError(f"{kind} {message.name} is just being deleted: apply again", non_retryable=True)

    async def _send_bundles(self) -> None:
        """Send each Stage what it needs of the Project, where that has changed."""
        for name, entry in sorted(self.state.stages.items()):
            bundle = bundle_for(self.state, name, entry)
            content = digest(bundle.model_dump(mode="json"))
            if self.state.bundles.get(name) == content:
                continue
            self.state.revision += 1
            bundle.revision = self.state.revision
            message = StageConfiguration(project=self.state.project, name=name, bundle=bundle)
            if await tell(stage_id(self.state.project, name), "configure", message):
                self.state.bundles[name] = content

    def _touch(self) -> None:
        self.life.touch()

    def _show(self) -> None:
        receivers = (self.state.config or {}).get("spec", {}).get("webhookReceivers", [])
        glance: dict[str, Json] = {
            "stages": len(self.state.stages),
            "warehouses": len(self.state.warehouses),
            "receivers": len(receivers),
            "createdAt": format_time(self.state.created_at) if self.state.created_at else None,
        }
        access = self.access()
        if access.roles or access.tokens:
            # Whoever has read them once need not again until this is another.
            glance["access"] = digest(access.model_dump(mode="json"))
        if repr(glance) != self.shown:
            self.shown = repr(glance)
            workflow.upsert_memo({SUMMARY: glance})
        workflow.upsert_search_attributes(changed(workflow.now()))
        warnings = "\n".join(f"- {sentence}" for sentence in missing_references(self.state))
        workflow.set_current_details(
            f"**Project {self.state.project}**: {len(self.state.warehouses)} Warehouses, "
            f"{len(self.state.stages)} Stages\n\n{warnings}"
        )


def _action(known: Json, manifest: dict[str, Json]) -> Action:
    if known is None:
        return Action.CREATED
    return Action.UNCHANGED if known == manifest else Action.CONFIGURED
