"""The way in: everything one can ask of Towpath's workflows, typed, without a word printed.

The command line and the web API are both built upon this.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import SystemRandom
from typing import TypeVar

from temporalio.client import Client
from temporalio.common import TypedSearchAttributes
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from model import names
from model.api_tokens import AccessView, CreateTokenRequest, RevokeTokenRequest
from model.availability import availability
from model.base import Json, format_time
from model.explanation import StageExplanation
from model.freezes import FreezeRequest, ThawRequest
from model.freight_choice import Choice
from model.freight_status import FreightRecord
from model.previews import PreviewDraft, PreviewRequest, PreviewResult
from model.projects import ProjectView
from model.promotions import (
    AbortRequest,
    Admission,
    FanOutRequest,
    FanOutResult,
    PromotionRecord,
    PromotionRequest,
    PromotionView,
    StepRecord,
)
from model.questions import Action, Answer, Answered
from model.reruns import RerunRefused, rerun_of
from model.resources.project_config import WebhookReceiverConfig
from model.resources.stage import Stage
from model.stages import VerifyRequest
from model.steps import StepDescriptions, StepStatus
from model.warehouse_view import describe_freight
from model.warehouses import (
    AliasRequest,
    ApproveRequest,
    CreatedFreight,
    CreateFreightRequest,
    DeleteFreightRequest,
    Outcome,
    RefreshRequest,
)
from starter import kinds
from starter.applying import Applied, apply_manifests, cluster_start, describe_steps
from starter.archive import Backup, restore_backup, take_backup
from starter.calls import UPDATE_TIMEOUT, Calls, Start, Target
from starter.deleting import Deleted, Reference, check_there, delete_resources
from starter.errors import Ambiguous, InvalidInput, NotFound, Refused, ServerSilent, WorkerSilent
from starter.files import ManifestFile
from starter.following import follow_promotion
from starter.listing import (
    ProjectLine,
    RunLine,
    StageLine,
    WarehouseLine,
    entities,
    last_part,
    project_lines,
    promotion_lines,
    run_lines,
    runs,
    stage_lines,
    waiting,
    warehouse_lines,
)
from starter.receivers import describe_receivers
from starter.shapes import (
    Resource,
    config_resource,
    held,
    promotion_resource,
    promotion_summary,
    resource,
)
from starter.targets import (
    CLUSTER,
    fanout_target,
    preview_target,
    project_target,
    promotion_target,
    stage_target,
    verification_target,
    warehouse_target,
)
from workflows.attributes import FREIGHT, PHASE, PROJECT, STAGE, SUMMARY, WAREHOUSE, attributes
from workflows.connection import ServerUnreachable, connect
from workflows.converter import KeysInvalid
from workflows.settings import SettingsInvalid, WebSettings, load_settings

T = TypeVar("T")

#: Queries under way at once when many entities are asked.
BREADTH = 16
#: The shortest beginning of a Freight's name that is taken for the name.
SHORTEST_PREFIX = 7
#: The longest `refresh` waits for a look to be over.
REFRESH_TIMEOUT = timedelta(minutes=10)
#: The longest a preview may take.
PREVIEW_TIMEOUT = timedelta(minutes=10)

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def check_name(kind: str, name: str) -> str:
    """The name, when it can be one. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} can't be the name of a {kind}: expected lower-case letters, digits, '-' and '.',"
            " beginning and ending with a letter or digit"
        )
    return name


@lru_cache(maxsize=1)
def _quiet_runtime() -> Runtime:
    """The SDK's runtime without log lines of its own: what goes wrong is said by this client, once."""
    logging = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=logging))


def _receivers(config: Resource) -> list[WebhookReceiverConfig]:
    found = config.get("spec", {}).get("webhookReceivers", [])
    return [WebhookReceiverConfig.model_validate(receiver) for receiver in found]


class Towpath:
    """A client of one Towpath: one Temporal namespace, and whoever acts through it.

    `actor` says who asks, in Kargo's notation (`email:…`, `subject:…`, `admin`). All methods raise TowpathError or one
    of its kinds; `project` and names are checked before they are used.
    """

    def __init__(self, temporal: Client, actor: str = "", task_queue: str = names.TASK_QUEUE) -> None:
        self.calls = Calls(temporal, task_queue)
        self.actor = actor
        self._random = SystemRandom()

    @classmethod
    async def connect(cls, actor: str = "") -> Towpath:
        """Connects as Temporal's environment says, else to this machine's server. Raises ServerSilent."""
        try:
            return cls(await connect(runtime=_quiet_runtime()), actor)
        except ServerUnreachable as error:
            raise ServerSilent(str(error)) from error
        except (SettingsInvalid, KeysInvalid) as error:
            raise InvalidInput(str(error)) from error

    def acting(self, actor: str) -> Towpath:
        """The same client, for somebody else: who is named acts in what is done through it."""
        other = copy(self)
        other.actor = actor
        return other

    @property
    def address(self) -> str:
        """`host:port` of the Temporal server."""
        return self.calls.address

    @property
    def namespace(self) -> str:
        return self.calls.temporal.namespace

    # Steps

    async def describe_steps(self, name: str = "") -> StepDescriptions:
        """The steps that the workers know: all of them, or one with the schemas of its config and output."""
        return await describe_steps(self.calls, name)

    # Manifests

    async def apply(self, files: Sequence[ManifestFile], *, project: str = "", dry_run: bool = False) -> Applied:
        """Validates the whole set, then hands it to the Cluster and the Projects: all or nothing.

        `project` is where manifests without a namespace belong. Raises InvalidManifests.
        """
        return await apply_manifests(self.calls, files, project=project, actor=self.actor, dry_run=dry_run)

    async def delete(self, references: Sequence[Reference], *, force: bool = False) -> list[Deleted]:
        """Ends what is named, dependents first; refuses while a promotion runs, unless forced.

        A Project goes with everything in it. Raises NotFound and Refused before anything is deleted.
        """
        freight = [reference for reference in references if reference.kind is kinds.FREIGHT]
        others = [reference for reference in references if reference.kind is not kinds.FREIGHT]
        for reference in others:
            if reference.kind is not kinds.PROJECT and freight:
                await self.check_there(reference)
        deleted = [
            Deleted(reference, (await self.delete_freight(reference.project, reference.name)).message)
            for reference in freight
        ]
        if others:
            deleted += await delete_resources(self.calls, others, actor=self.actor, force=force)
        return deleted

    async def check_there(self, reference: Reference) -> None:
        """Raises NotFound where there is no such resource."""
        if reference.kind is kinds.FREIGHT:
            await self.find_freight(reference.project, reference.name)
            return
        await check_there(self.calls, reference)

    # Projects and what they hold

    async def project_lines(self) -> list[ProjectLine]:
        """All Projects at a glance, by name: one call."""
        return await project_lines(await self.calls.executions(entities("Project")))

    async def project_names(self) -> list[str]:
        return sorted(last_part(execution) for execution in await self.calls.executions(entities("Project")))

    async def project_view(self, project: str) -> ProjectView:
        """All that a Project holds."""
        check_name("Project", project)
        return await self.calls.query(project_target(project), "view", ProjectView, open_only=True)

    async def list_projects(self) -> list[Resource]:
        return await self._each(await self.project_names(), self.get_project)

    async def get_project(self, project: str) -> Resource:
        view = await self.project_view(project)
        return held(kinds.PROJECT, project, "", view.manifest)

    async def get_project_config(self, project: str) -> Resource:
        view = await self.project_view(project)
        config = config_resource(view)
        if config is None:
            raise NotFound(f"Project {project} has no ProjectConfig")
        return await self._with_receivers(config, project)

    async def receivers(self, project: str = "") -> list[WebhookReceiverConfig]:
        """The receivers of webhooks that a ProjectConfig holds, or the ClusterConfig where no Project is named."""
        if project:
            return _receivers((await self.project_view(project)).config or {})
        return _receivers((await self._cluster_view()).get("config") or {})

    async def _with_receivers(self, config: Resource, project: str) -> Resource:
        receivers = _receivers(config)
        if not receivers:
            return config
        try:
            settings = load_settings(WebSettings)
        except SettingsInvalid as error:
            raise InvalidInput(str(error)) from error
        return await asyncio.to_thread(describe_receivers, config, project, receivers, settings)

    async def list_promotion_tasks(self, project: str) -> list[Resource]:
        view = await self.project_view(project)
        return [held(kinds.PROMOTION_TASK, name, project, task) for name, task in sorted(view.tasks.items())]

    async def get_promotion_task(self, project: str, name: str) -> Resource:
        return self._named(kinds.PROMOTION_TASK, name, project, await self.list_promotion_tasks(project))

    async def list_analysis_templates(self, project: str) -> list[Resource]:
        view = await self.project_view(project)
        templates = sorted(view.templates.items())
        return [held(kinds.ANALYSIS_TEMPLATE, name, project, template) for name, template in templates]

    async def get_analysis_template(self, project: str, name: str) -> Resource:
        return self._named(kinds.ANALYSIS_TEMPLATE, name, project, await self.list_analysis_templates(project))

    async def list_message_channels(self, project: str) -> list[Resource]:
        view = await self.project_view(project)
        return [held(kinds.MESSAGE_CHANNEL, name, project, value) for name, value in sorted(view.channels.items())]

    async def get_message_channel(self, project: str, name: str) -> Resource:
        return self._named(kinds.MESSAGE_CHANNEL, name, project, await self.list_message_channels(project))

    # The Cluster

    async def list_cluster_message_channels(self) -> list[Resource]:
        channels = sorted((await self._cluster_view()).get("channels", {}).items())
        return [held(kinds.CLUSTER_MESSAGE_CHANNEL, name, "", channel) for name, channel in channels]

    async def get_cluster_message_channel(self, name: str) -> Resource:
        return self._named(kinds.CLUSTER_MESSAGE_CHANNEL, name, "", await self.list_cluster_message_channels())

    async def list_cluster_promotion_tasks(self) -> list[Resource]:
        tasks = sorted((await self._cluster_view()).get("tasks", {}).items())
        return [held(kinds.CLUSTER_PROMOTION_TASK, name, "", task) for name, task in tasks]

    async def get_cluster_promotion_task(self, name: str) -> Resource:
        return self._named(kinds.CLUSTER_PROMOTION_TASK, name, "", await self.list_cluster_promotion_tasks())

    async def list_cluster_analysis_templates(self) -> list[Resource]:
        templates = sorted((await self._cluster_view()).get("templates", {}).items())
        return [held(kinds.CLUSTER_ANALYSIS_TEMPLATE, name, "", template) for name, template in templates]

    async def get_cluster_analysis_template(self, name: str) -> Resource:
        return self._named(kinds.CLUSTER_ANALYSIS_TEMPLATE, name, "", await self.list_cluster_analysis_templates())

    async def find_cluster_config(self) -> Resource | None:
        """The ClusterConfig, None where none was applied."""
        config: Resource | None = (await self._cluster_view()).get("config")
        return None if config is None else await self._with_receivers(config, "")

    async def _cluster_view(self) -> Resource:
        try:
            return await self.calls.query(CLUSTER, "view", dict, open_only=True)
        except NotFound:
            return {}

    # Who may

    async def access_view(self, project: str = "") -> AccessView:
        """Roles and API tokens of a Project, or of the system where none is named."""
        if project:
            check_name("Project", project)
            return await self.calls.query(project_target(project), "access", AccessView, open_only=True)
        try:
            return await self.calls.query(CLUSTER, "access", AccessView, open_only=True)
        except NotFound:
            # Nothing has been applied yet.
            return AccessView()

    async def create_token(self, project: str, name: str, role: str, hashed: str, lifetime: timedelta) -> Outcome:
        """Has an API token remembered by its hash; `project` empty: one of the system. Raises Refused."""
        check_name("API token", name)
        request = CreateTokenRequest(name=name, role=role, hash=hashed, lifetime=lifetime, actor=self.actor)
        if project:
            check_name("Project", project)
            return await self._ask(project_target(project), "create_token", request)
        outcome = await self.calls.update_with_start(CLUSTER, cluster_start(), "create_token", Outcome, request)
        if not outcome.ok:
            raise Refused(outcome.message)
        return outcome

    async def revoke_token(self, project: str, name: str) -> Outcome:
        """Has an API token forgotten. Raises NotFound where there is none."""
        check_name("API token", name)
        if project:
            check_name("Project", project)
        target = project_target(project) if project else CLUSTER
        request = RevokeTokenRequest(name=name, actor=self.actor)
        outcome = await self.calls.update(target, "revoke_token", Outcome, request)
        if not outcome.ok:
            raise NotFound(outcome.message)
        return outcome

    # Warehouses and Freight

    async def warehouse_lines(self, project: str) -> list[WarehouseLine]:
        """The Project's Warehouses at a glance, by name: one call."""
        check_name("Project", project)
        found = await self.calls.executions(entities("Warehouse", project))
        return await self._known(project, await warehouse_lines(found))

    async def every_warehouse(self) -> list[WarehouseLine]:
        """The Warehouses of all Projects at a glance: one call per thousand."""
        return await warehouse_lines(await self.calls.executions(entities("Warehouse")))

    async def list_warehouses(self, project: str) -> list[Resource]:
        """The Project's Warehouses whole: one query each."""
        lines = await self.warehouse_lines(project)
        return await self._each([line.name for line in lines], lambda name: self.get_warehouse(project, name))

    async def get_warehouse(self, project: str, name: str) -> Resource:
        check_name("Project", project)
        check_name("Warehouse", name)
        return await self.calls.query(warehouse_target(project, name), "describe", dict, open_only=True)

    async def freight_records(
        self, project: str, warehouses: Sequence[str] = (), freight: Sequence[str] = ()
    ) -> list[FreightRecord]:
        """Freight of these Warehouses (all of the Project's by default), newest first; only that named, if any is."""
        check_name("Project", project)
        chosen = list(warehouses) or [line.name for line in await self.warehouse_lines(project)]

        async def ask(warehouse: str) -> list[FreightRecord]:
            check_name("Warehouse", warehouse)
            target = warehouse_target(project, warehouse)
            return await self.calls.query(target, "freight", list[FreightRecord], list(freight), open_only=True)

        found = [record for records in await self._each(chosen, ask) for record in records]
        return sorted(found, key=lambda record: (record.discovered_at, record.name), reverse=True)

    async def list_freight(self, project: str, warehouses: Sequence[str] = ()) -> list[Resource]:
        return [describe_freight(project, record) for record in await self.freight_records(project, warehouses)]

    async def find_freight(self, project: str, name: str = "", alias: str = "") -> FreightRecord:
        """The Freight of that name or alias.

        A `name` may be an alias too (as in Kargo's API), or the beginning of a name, seven characters at least, where
        that is unique. Raises NotFound, Ambiguous.
        """
        if name:
            exact = await self.freight_records(project, freight=[name])
            if exact:
                return exact[0]
        records = await self.freight_records(project)
        wanted = alias or name
        fitting = [record for record in records if record.alias == wanted]
        if not fitting and len(name) >= SHORTEST_PREFIX:
            fitting = [record for record in records if record.name.startswith(name)]
        if len(fitting) > 1:
            found = ", ".join(record.name for record in fitting)
            raise Ambiguous(f"{wanted!r} fits more than one piece of Freight in Project {project}: {found}")
        if not fitting:
            what = f"Freight with the alias {alias!r}" if alias else f"Freight {name!r}"
            raise NotFound(
                f"{what} not found in Project {project}; `towpath get freight -p {project}` lists what there is"
            )
        return fitting[0]

    async def get_freight(self, project: str, name: str = "", alias: str = "") -> Resource:
        return describe_freight(project, await self.find_freight(project, name, alias))

    async def approve(self, project: str, stage: str, freight: str = "", alias: str = "") -> Outcome:
        """Approves Freight for a Stage, whatever was or wasn't verified upstream."""
        check_name("Stage", stage)
        record = await self.find_freight(project, freight, alias)
        await self.get_stage(project, stage)
        request = ApproveRequest(freight=record.name, stage=stage, actor=self.actor)
        return await self._ask(self._warehouse_of(project, record), "approve", request)

    async def create_freight(
        self, project: str, warehouse: str, choices: Sequence[Choice], alias: str = ""
    ) -> CreatedFreight:
        """Makes Freight of one artifact per subscription of the Warehouse. Raises Refused, saying what doesn't fit."""
        check_name("Project", project)
        check_name("Warehouse", warehouse)
        if alias:
            check_name("alias", alias)
        request = CreateFreightRequest(choices=list(choices), alias=alias, actor=self.actor)
        target = warehouse_target(project, warehouse)
        created = await self.calls.update(target, "create_freight", CreatedFreight, request)
        if not created.ok:
            raise Refused(created.message)
        return created

    async def delete_freight(self, project: str, freight: str) -> Outcome:
        """Deletes Freight, found by name or alias, that no Stage holds."""
        record = await self.find_freight(project, freight)
        request = DeleteFreightRequest(freight=record.name, actor=self.actor)
        return await self._ask(self._warehouse_of(project, record), "delete_freight", request)

    async def set_alias(self, project: str, new_alias: str, freight: str = "", alias: str = "") -> Outcome:
        """Gives Freight, found by name or present alias, another alias."""
        check_name("alias", new_alias)
        record = await self.find_freight(project, freight, alias)
        request = AliasRequest(freight=record.name, alias=new_alias)
        return await self._ask(self._warehouse_of(project, record), "set_alias", request)

    async def explain_stage(
        self, project: str, stage: str, freight: Sequence[str] = (), aliases: Sequence[str] = ()
    ) -> StageExplanation:
        """Why a Stage does what it does; of each piece of Freight named, whether it may come, and why."""
        check_name("Project", project)
        check_name("Stage", stage)
        records = [await self.find_freight(project, name) for name in freight]
        records += [await self.find_freight(project, alias=alias) for alias in aliases]
        return await self.calls.query(
            stage_target(project, stage), "explain", StageExplanation, records, open_only=True
        )

    async def freeze(self, reason: str, project: str = "", stage: str = "") -> Outcome:
        """Lets nothing new start in a Stage, in a Project, or (neither given) anywhere, until it is thawed."""
        return await self._ask(self._scope(project, stage), "freeze", FreezeRequest(reason=reason, actor=self.actor))

    async def thaw(self, project: str = "", stage: str = "") -> Outcome:
        """Ends a freeze of just this scope. Raises Refused where it isn't frozen."""
        return await self._ask(self._scope(project, stage), "thaw", ThawRequest(actor=self.actor))

    def _scope(self, project: str, stage: str) -> Target:
        if not project:
            return CLUSTER
        check_name("Project", project)
        if not stage:
            return project_target(project)
        check_name("Stage", stage)
        return stage_target(project, stage)

    async def refresh_warehouse(self, project: str, name: str, *, wait: bool = False) -> Outcome:
        """Looks for new artifacts now. `wait`: returns when the look is over."""
        check_name("Project", project)
        check_name("Warehouse", name)
        request = RefreshRequest(actor=self.actor, wait=wait)
        timeout = REFRESH_TIMEOUT if wait else UPDATE_TIMEOUT
        return await self._ask(warehouse_target(project, name), "refresh", request, timeout)

    # Stages

    async def stage_lines(self, project: str) -> list[StageLine]:
        """The Project's Stages at a glance, by name: one call."""
        check_name("Project", project)
        found = await self.calls.executions(entities("Stage", project))
        return await self._known(project, await stage_lines(project, found))

    async def list_stages(self, project: str) -> list[Resource]:
        """The Project's Stages whole: one query each."""
        lines = await self.stage_lines(project)
        return await self._each([line.name for line in lines], lambda name: self.get_stage(project, name))

    async def get_stage(self, project: str, name: str) -> Resource:
        check_name("Project", project)
        check_name("Stage", name)
        return await self.calls.query(stage_target(project, name), "describe", dict, open_only=True)

    async def refresh_stage(self, project: str, name: str, *, wait: bool = False) -> Outcome:
        """Looks at the Stage's health now."""
        check_name("Project", project)
        check_name("Stage", name)
        request = RefreshRequest(actor=self.actor, wait=wait)
        timeout = REFRESH_TIMEOUT if wait else UPDATE_TIMEOUT
        return await self._ask(stage_target(project, name), "refresh", request, timeout)

    async def verify(self, project: str, stage: str) -> Outcome:
        """Verifies the Stage's current Freight again."""
        check_name("Project", project)
        check_name("Stage", stage)
        return await self._ask(stage_target(project, stage), "verify", VerifyRequest(actor=self.actor))

    async def abort_verification(self, project: str, stage: str, reason: str = "") -> Outcome:
        """Aborts the verification that runs in a Stage."""
        check_name("Project", project)
        check_name("Stage", stage)
        request = AbortRequest(actor=self.actor, reason=reason)
        return await self._ask(stage_target(project, stage), "abort_verification", request)

    # Promotions

    async def promotion_lines(
        self, project: str, stage: str = "", freight: str = "", limit: int | None = None
    ) -> list[RunLine]:
        """Promotions at a glance, those under way first, then the newest first: one call per thousand."""
        check_name("Project", project)
        if stage:
            check_name("Stage", stage)
        if freight:
            check_name("Freight", freight)
        found = await self.calls.executions(runs("Promotion", project, stage, freight), limit)
        return await self._known(project, await promotion_lines(project, found))

    async def list_promotions(self, project: str, stage: str = "", *, whole: bool = False) -> list[Resource]:
        """Promotions; `whole`: with their steps, for one query each."""
        lines = await self.promotion_lines(project, stage)
        if whole:
            return await self._each([line.name for line in lines], lambda name: self.get_promotion(project, name))
        return [
            promotion_summary(
                project,
                line.name,
                line.stage,
                line.freight,
                line.phase,
                line.created_at,
                line.finished_at,
                line.waits,
            )
            for line in lines
        ]

    async def running_promotions(self, project: str = "", limit: int = 1000) -> list[PromotionView]:
        """Promotions whose steps run, with their steps, of one Project or of all; one query each."""
        if project:
            check_name("Project", project)
        found = await self.calls.executions(waiting(project), limit)
        views = await self._each([execution.id for execution in found], self._progress)
        return [view for view in views if view is not None]

    async def _progress(self, workflow_id: str) -> PromotionView | None:
        """None: it was just closed, and its history is gone."""
        _, project, name = workflow_id.split("/", 2)
        try:
            return await self.promotion_view(project, name)
        except NotFound:
            return None

    async def wake_promotion(self, project: str, name: str) -> None:
        """Has the step that waits look at once; one that doesn't just wait takes no notice."""
        check_name("Project", project)
        check_name("Promotion", name)
        await self.calls.signal(promotion_target(project, name), "wake")

    async def promotion_view(self, project: str, name: str) -> PromotionView:
        """A Promotion with its steps, running or over."""
        check_name("Project", project)
        check_name("Promotion", name)
        return await self.calls.query(promotion_target(project, name), "progress", PromotionView)

    async def get_promotion(self, project: str, name: str) -> Resource:
        return promotion_resource(await self.promotion_view(project, name))

    async def promote(
        self,
        project: str,
        stage: str,
        *,
        freight: str = "",
        alias: str = "",
        warehouse: str = "",
        override_window: str = "",
    ) -> Admission:
        """Asks for a Promotion of Freight (by name, alias, or the Stage's candidate of a Warehouse) to a Stage.

        The Stage's answer says whether it was accepted; a refusal is an answer, not an error. Where a Warehouse is
        named, the Stage takes what is its candidate when it decides, so auto-promotion resumes.
        `override_window` is the reason for which it may start in a closed promotion window.
        """
        check_name("Project", project)
        check_name("Stage", stage)
        if warehouse:
            record = await self.candidate(project, stage, warehouse)
        else:
            record = await self.find_freight(project, freight, alias)
        name = self._run_name(stage, record.name)
        request = PromotionRequest(
            project=project,
            stage=stage,
            name=name,
            freight=record.name,
            actor=self.actor,
            warehouse=warehouse,
            override_window=override_window,
        )
        shown = record.alias or record.name[:7]
        start = Start(
            workflow="Promotion",
            arg=request,
            search_attributes=self._attributes(project, stage, record),
            memo={SUMMARY: {"freightAlias": record.alias, "actor": self.actor}},
            summary=f"{shown} to {stage}",
            details=f"Freight {record.name} ({record.alias}) to Stage {stage} of Project {project},"
            f" asked for by {self.actor or 'nobody in particular'}",
        )
        return await self._admission(promotion_target(project, name), start)

    async def promote_again(
        self, project: str, promotion: str, *, from_failed_step: bool = False, override_window: str = ""
    ) -> Admission:
        """Asks for a Promotion with the plan and the Freight of an earlier one, whatever has been applied since.

        `from_failed_step`: what succeeded before counts as done; only the workspace is made anew. Raises Refused.
        """
        check_name("Project", project)
        check_name("Promotion", promotion)
        record = await self.calls.query(promotion_target(project, promotion), "record", PromotionRecord)
        try:
            rerun = rerun_of(promotion, record, from_failed_step=from_failed_step)
        except RerunRefused as error:
            raise Refused(str(error)) from error
        freight = await self.find_freight(project, record.freight)
        name = self._run_name(record.stage, freight.name)
        start = Start(
            workflow="Promotion",
            arg=PromotionRequest(
                project=project,
                stage=record.stage,
                name=name,
                freight=record.freight,
                actor=self.actor,
                override_window=override_window,
                rerun=rerun,
            ),
            search_attributes=self._attributes(project, record.stage, freight),
            memo={SUMMARY: {"freightAlias": freight.alias, "actor": self.actor}},
            summary=f"{promotion} again",
            details=f"repeats Promotion {promotion}, asked for by {self.actor or 'nobody in particular'}",
        )
        return await self._admission(promotion_target(project, name), start)

    async def preview(self, project: str, stage: str, *, freight: str = "", alias: str = "") -> PreviewResult:
        """What a Promotion would commit: its steps are run in a workspace that is thrown away, but for those that act
        outside. Raises Refused where the Stage has no plan for it, WorkerSilent after `PREVIEW_TIMEOUT`.
        """
        check_name("Project", project)
        check_name("Stage", stage)
        record = await self.find_freight(project, freight, alias)
        draft = await self.calls.query(stage_target(project, stage), "draft", PreviewDraft, record, open_only=True)
        if draft.plan is None or draft.context is None:
            raise Refused(f"Stage {stage} can't promote: {draft.refusal}")
        name = self._run_name(stage, record.name)
        start = Start(
            workflow="Preview",
            arg=PreviewRequest(context=draft.context.model_copy(update={"actor": self.actor}), plan=draft.plan),
            search_attributes=self._attributes(project, stage, record),
            summary=f"what {record.alias or record.name[:7]} would change in {stage}",
        )
        result = await self.calls.execute(preview_target(project, name), start, PreviewResult, PREVIEW_TIMEOUT)
        return result.model_copy(update={"unavailable": draft.unavailable})

    async def promote_downstream(self, project: str, stage: str, *, freight: str = "", alias: str = "") -> Admission:
        """Asks for a Promotion to each Stage immediately downstream of this one; its name is the FanOut's."""
        check_name("Project", project)
        check_name("Stage", stage)
        record = await self.find_freight(project, freight, alias)
        name = self._run_name(stage, record.name)
        request = FanOutRequest(
            project=project,
            stage=stage,
            name=name,
            freight=record.name,
            warehouse=record.reference.origin.name,
            actor=self.actor,
        )
        start = Start(
            workflow="FanOut",
            arg=request,
            search_attributes=self._attributes(project, stage, record),
            memo={SUMMARY: {"freightAlias": record.alias, "actor": self.actor}},
            summary=f"{record.alias or record.name[:7]} to all downstream of {stage}",
            details=f"Freight {record.name} ({record.alias}) to all Stages immediately downstream of {stage}"
            f" in Project {project}, asked for by {self.actor or 'nobody in particular'}",
        )
        admission = await self._admission(fanout_target(project, name), start)
        await self._started([promotion_target(project, promotion) for promotion in admission.promotions])
        return admission

    async def candidate(self, project: str, stage: str, warehouse: str) -> FreightRecord:
        """What the Stage would take of a Warehouse: by its selection policy the newest available. Raises NotFound."""
        check_name("Warehouse", warehouse)
        explanation = await self.explain_stage(project, stage)
        for origin in explanation.origins:
            if origin.origin == f"Warehouse/{warehouse}" and origin.candidate:
                return await self.find_freight(project, origin.candidate)
        shown = await self.get_stage(project, stage)
        spec = Stage.model_validate({key: value for key, value in shown.items() if key != "status"}).spec
        records = await self.freight_records(project, [warehouse])
        passing = [line.name for line in await self.stage_lines(project) if line.summary.control_flow]
        now = datetime.now(UTC)
        reason = f"Warehouse {warehouse} has no Freight yet"
        for record in records:
            verdict = availability(stage, spec.requested_freight, record, now, passing)
            if verdict.available:
                return record
            if record is records[0]:
                reason = f"of its newest, {record.alias or record.name}: {verdict.reason}"
        raise NotFound(f"no Freight of Warehouse {warehouse} is available to Stage {stage}: {reason}")

    async def fanout_progress(self, project: str, name: str) -> FanOutResult:
        check_name("Project", project)
        return await self.calls.query(fanout_target(project, name), "progress", FanOutResult)

    def follow(
        self, project: str, name: str, on_silence: Callable[[WorkerSilent], None] | None = None
    ) -> AsyncIterator[PromotionView]:
        """Yields a Promotion whenever it has changed, until its terminal phase. Writes nothing to its history."""
        check_name("Project", project)
        check_name("Promotion", name)
        return follow_promotion(self.calls, promotion_target(project, name), on_silence)

    async def answer_promotion(
        self,
        project: str,
        name: str,
        action: Action,
        *,
        step: str = "",
        message: str = "",
        values: Mapping[str, Json] | None = None,
        claims: Mapping[str, Sequence[str]] | None = None,
        roles: Sequence[str] = (),
    ) -> Answered:
        """Approves, rejects, or gives the `values` that a step of a Promotion asks for.

        `step` is its alias; empty: the one that asks now. `claims` and `roles` are what is known of the actor, whose
        own name counts as a claim (`email`, `sub`). Raises Refused, with the reason: it may not answer, the values
        don't fit, it is answered already. The step goes on waiting then.
        """
        check_name("Project", project)
        check_name("Promotion", name)
        target = promotion_target(project, name)
        answer = Answer(
            action=action,
            step=step,
            actor=self.actor,
            claims={claim: list(held) for claim, held in (claims or {}).items()},
            roles=list(roles),
            message=message,
            values=dict(values or {}),
        )
        try:
            return await self.calls.update(target, "answer", Answered, answer)
        except NotFound:
            # The update of a workflow that is closed isn't found either.
            view = await self.promotion_view(project, name)
            phase = view.phase.value if view.phase else "refused"
            raise Refused(f"Promotion {name} is over already: {phase}") from None

    async def question(self, project: str, name: str, step: str = "") -> StepRecord:
        """The step of a Promotion that asks people now; `step` is its alias, where several might be meant.

        Raises Refused where none does.
        """
        view = await self.promotion_view(project, name)
        for record in view.steps:
            if record.question is not None and record.status is StepStatus.RUNNING and step in ("", record.alias):
                return record
        what = f"step {step}" if step else "no step"
        raise Refused(f"{what} of Promotion {name} asks for anything now")

    async def abort_promotion(self, project: str, name: str, reason: str = "") -> Outcome:
        """Aborts a Promotion or a FanOut that is under way; of one that is over nothing changes, and says so."""
        check_name("Project", project)
        check_name("Promotion", name)
        promotion, fanout = promotion_target(project, name), fanout_target(project, name)
        if await self.calls.running(fanout) and await self._abort(fanout, reason):
            return Outcome(message=f"the promotions of {name} are being aborted")
        if await self.calls.running(promotion):
            view = await self._seen(project, name)
            if view is not None and view.cleaning_up_until is not None:
                until = format_time(view.cleaning_up_until)
                return Outcome(message=f"Promotion {name} is aborted already: it cleans up, until {until} at most")
            over = view is not None and view.phase is not None and view.phase.terminal
            if not over and await self._abort(promotion, reason):
                return Outcome(message=f"Promotion {name} is being aborted")
        view = await self.promotion_view(project, name)
        phase = view.phase.value if view.phase else "refused"
        return Outcome(message=f"Promotion {name} is over already: {phase}")

    async def _seen(self, project: str, name: str) -> PromotionView | None:
        """A Promotion whose workflow may take a moment to close. None: nobody answers."""
        try:
            return await self.promotion_view(project, name)
        except WorkerSilent:
            # What is to be aborted may be just what keeps the worker busy.
            return None

    async def _abort(self, target: Target, reason: str) -> bool:
        """Aborts a run. False: it was over before it heard of it."""
        try:
            await self.calls.signal(target, "abort", AbortRequest(actor=self.actor, reason=reason))
            await self.calls.cancel(target)
        except NotFound:
            return False
        return True

    # Verifications

    async def verification_lines(self, project: str, stage: str = "", limit: int | None = None) -> list[RunLine]:
        """Verifications at a glance, those under way first, then the newest first."""
        check_name("Project", project)
        if stage:
            check_name("Stage", stage)
        found = await self.calls.executions(runs("Verification", project, stage), limit)
        return await self._known(project, run_lines(project, found))

    async def list_verifications(
        self, project: str, stage: str = "", *, whole: bool = False, limit: int | None = None
    ) -> list[Resource]:
        """Verifications as AnalysisRuns; `whole`: with their metrics, for one query each."""
        lines = await self.verification_lines(project, stage, limit)
        if whole:
            return await self._each([line.name for line in lines], lambda name: self.get_verification(project, name))
        shown = []
        for line in lines:
            item = resource(kinds.VERIFICATION, line.name, project, line.created_at)
            item["metadata"]["labels"] = {"kargo.akuity.io/stage": line.stage}
            item["status"] = {"phase": line.phase}
            shown.append(item)
        return shown

    async def get_verification(self, project: str, name: str) -> Resource:
        check_name("Project", project)
        check_name("AnalysisRun", name)
        return await self.calls.query(verification_target(project, name), "describe", dict)

    # Workers

    async def worker_last_seen(self) -> datetime | None:
        """When a worker last asked for work; None: none did for minutes."""
        return await self.calls.last_poll()

    # Backup

    async def backup(self) -> Backup:
        """Every entity's state, as it can be restored. Promotions and verifications under way are not in it."""
        return await take_backup(self.calls)

    async def restore(self, backup: Backup) -> list[str]:
        """Starts every entity of a backup where none of them runs yet; returns their ids. Raises Refused."""
        return await restore_backup(self.calls, backup)

    # Inner

    async def _ask(self, target: Target, update: str, request: object, timeout: timedelta = UPDATE_TIMEOUT) -> Outcome:
        outcome = await self.calls.update(target, update, Outcome, request, timeout)
        if not outcome.ok:
            raise Refused(outcome.message or f"{target.words} refused")
        return outcome

    async def _admission(self, target: Target, start: Start) -> Admission:
        try:
            return await self.calls.update_with_start(target, start, "admission", Admission, fresh=True)
        except WorkerSilent:
            # Nobody must be surprised, hours later, by a promotion that was reported as not made.
            await self._abort(target, "nobody answered the request")
            raise

    async def _started(self, targets: Sequence[Target]) -> None:
        """Waits, for a bounded time, until what was promised is there to be seen."""
        for target in targets:
            for _ in range(100):
                if await self.calls.exists(target):
                    break
                await asyncio.sleep(0.05)

    async def _known(self, project: str, lines: list[T]) -> list[T]:
        """The lines; where there are none, the Project must at least be there."""
        if not lines and not await self.calls.running(project_target(project)):
            raise project_target(project).missing()
        return lines

    async def _each(self, wanted: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> list[T]:
        """The answers, in the order of the questions."""
        gate = asyncio.Semaphore(BREADTH)

        async def bounded(name: str) -> T:
            async with gate:
                return await ask(name)

        return list(await asyncio.gather(*(bounded(name) for name in wanted)))

    def _named(self, kind: kinds.Kind, name: str, project: str, found: list[Resource]) -> Resource:
        for item in found:
            if item["metadata"]["name"] == name:
                return item
        where = f" in Project {project}" if project else ""
        raise NotFound(f"{kind.name} {name} not found{where}; `towpath get {kind.plural}` lists what there is")

    def _warehouse_of(self, project: str, record: FreightRecord) -> Target:
        return warehouse_target(project, record.reference.origin.name)

    def _run_name(self, stage: str, freight: str) -> str:
        return names.run_name(stage, names.new_ulid(datetime.now(UTC), self._random), freight)

    def _attributes(self, project: str, stage: str, record: FreightRecord) -> TypedSearchAttributes:
        warehouse = record.reference.origin.name
        return attributes(
            {PROJECT: project, STAGE: stage, WAREHOUSE: warehouse, FREIGHT: record.name, PHASE: "Pending"}
        )
