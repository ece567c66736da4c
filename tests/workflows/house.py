"""A house for tests: all workflows on a time-skipping server; steps and health are played by a script."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import RawValue, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.verification import Verifications
from model.discovery import DiscoveryReport
from model.freight_status import FreightRecord
from model.health import HealthRequest
from model.names import (
    CLUSTER,
    fanout_id,
    new_ulid,
    project_id,
    promotion_id,
    run_name,
    stage_id,
    warehouse_id,
)
from model.project_state import ClusterState, ProjectState
from model.projects import ApplyRequest, ApplyResult
from model.promotions import (
    AbortRequest,
    Admission,
    Enqueue,
    FanOutRequest,
    FanOutResult,
    PromotionFinished,
    PromotionRequest,
    PromotionView,
)
from model.references import Health, HealthState
from model.resources.warehouse import (
    DiscoveredArtifacts,
    DiscoveredImageReference,
    ImageDiscoveryResult,
)
from model.stages import HolderReport
from model.steps import NOT_YET, Effect, StepKind, StepRequest, StepResult, StepStatus
from model.verifications import MeasurementRequest, VerificationRequest
from model.warehouses import Outcome
from tests.patience import PATIENCE
from workflows.attributes import FREIGHT, PHASE, PROJECT, STAGE, attributes
from workflows.cluster import Cluster
from workflows.fanout import FanOut
from workflows.project import Project
from workflows.promotion import Promotion
from workflows.stage import Stage
from workflows.verification import Verification
from workflows.warehouse import Warehouse

RUNNER = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_all_modules())

#: What a step does in a test: it gets the request and returns its output, raises, or waits.
Play = Callable[[StepRequest], Any]


@workflow.defn
class Silent:
    """Takes the turn of a Stage as a Promotion does, and never says another word."""

    @workflow.run
    async def run(self, project: str, stage: str, freight: str) -> None:
        info = workflow.info()
        message = Enqueue(
            name=f"{stage}.silent",
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            freight=freight,
            created_at=workflow.now(),
        )
        await workflow.get_external_workflow_handle(stage_id(project, stage)).signal("enqueue", message)
        await workflow.wait_condition(lambda: False)

    @workflow.signal(dynamic=True)
    def hear(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Whatever the Stage says."""


class Gate:
    """A step that waits until the test opens it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, request: StepRequest) -> dict[str, Any]:
        await self.open.wait()
        return {}


@dataclass
class House:
    """Everything a test needs to run a pipeline and look at it."""

    environment: WorkflowEnvironment
    task_queue: str
    project: str = "shop"
    #: What a step does, by kind; others succeed with `{}`.
    plays: dict[str, Play] = field(default_factory=dict)
    #: Steps that ran: (promotion, alias).
    ran: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[str, StepKind] = field(default_factory=dict)
    #: Health by Stage; missing: Healthy.
    health: dict[str, Health] = field(default_factory=dict)
    #: Pause between two looks at who holds a turn.
    looks_at_holders: timedelta = timedelta(minutes=1)
    #: What looks at health were asked.
    watched: list[HealthRequest] = field(default_factory=list)
    #: Workflows that ended without a word.
    ended: dict[str, str] = field(default_factory=dict)
    #: The activities of a worker, for tests that measure.
    verifications: Verifications | None = None

    @property
    def client(self) -> Client:
        return self.environment.client

    # Activities

    @activity.defn(dynamic=True)
    async def step(self, arguments: Sequence[RawValue]) -> Any:
        name = activity.info().activity_type
        converter = activity.payload_converter()
        if name == "watch-health":
            request = converter.from_payload(arguments[0].payload, HealthRequest)
            self.watched.append(request)
            health = self.health.get(request.stage, Health(status=HealthState.HEALTHY))
            if health == request.known:
                raise ApplicationError("unchanged", type=NOT_YET, next_retry_delay=request.interval)
            return health
        if name in ("ensure-schedule", "delete-schedule", "trigger-schedule"):
            return None
        if name == "watch-holder":
            workflow_id = converter.from_payload(arguments[0].payload, dict)["workflowId"]
            if workflow_id not in self.ended:
                raise ApplicationError("still running", type=NOT_YET, next_retry_delay=self.looks_at_holders)
            return HolderReport(status=self.ended[workflow_id])
        if self.verifications is not None and name == "prepare-analysis":
            return await self.verifications.prepare(converter.from_payload(arguments[0].payload, VerificationRequest))
        if self.verifications is not None and name == "measure":
            return await self.verifications.measure(converter.from_payload(arguments[0].payload, MeasurementRequest))
        request = converter.from_payload(arguments[0].payload, StepRequest)
        self.ran.append((request.context.promotion, request.step.alias))
        play = self.plays.get(name)
        output = play(request) if play else {}
        if asyncio.iscoroutine(output):
            beating = asyncio.create_task(_beat())
            try:
                output = await output
            finally:
                beating.cancel()
        if isinstance(output, StepResult):
            return output
        return StepResult(status=StepStatus.SUCCEEDED, output=output, queue=self.task_queue)

    # Requests

    async def apply(self, *manifests: dict[str, Any]) -> ApplyResult:
        """Apply to the Project, which is started where it doesn't exist."""
        for manifest in manifests:
            manifest["metadata"].setdefault("namespace", self.project)
        start = WithStartWorkflowOperation(
            "Project",
            ProjectState(project=self.project),
            id=project_id(self.project),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=attributes({PROJECT: self.project}),
        )
        return await self.client.execute_update_with_start_workflow(
            "apply",
            ApplyRequest(manifests=list(manifests), kinds=self.kinds),
            start_workflow_operation=start,
            result_type=ApplyResult,
        )

    async def discover(self, tag: str, warehouse: str = "web", digest: str = "") -> FreightRecord:
        """Have the Warehouse hear of an image tag, and return the Freight it makes of it."""
        handle = self.client.get_workflow_handle(warehouse_id(self.project, warehouse))
        digest = digest or f"sha256:{tag.encode().hex():0<64}"[:71]
        found = DiscoveredArtifacts(
            discovered_at=datetime.now(UTC),
            images=[
                ImageDiscoveryResult(
                    repo_url=f"ghcr.io/shop/{warehouse}",
                    references=[DiscoveredImageReference(tag=tag, digest=digest)],
                )
            ],
        )
        report = DiscoveryReport(
            project=self.project,
            warehouse=warehouse,
            generation=1_000_000,
            observed=tag,
            artifacts=found,
            discovered_at=datetime.now(UTC),
        )
        await handle.signal("discovered", report)

        async def made() -> FreightRecord | None:
            for record in await self.freight(warehouse):
                if record.reference.images and record.reference.images[0].tag == tag:
                    return record
            return None

        record: FreightRecord = await self.until(made)
        return record

    async def freight(self, warehouse: str = "web") -> list[FreightRecord]:
        handle = self.client.get_workflow_handle(warehouse_id(self.project, warehouse))
        return await handle.query("freight", [], result_type=list[FreightRecord])

    async def request(self, stage: str, freight: str, actor: str = "subject:tester") -> tuple[Admission, str]:
        """Ask for a promotion. Returns the answer and the Promotion's name."""
        name = run_name(stage, _ulid(), freight)
        start = WithStartWorkflowOperation(
            Promotion.run,
            PromotionRequest(project=self.project, stage=stage, name=name, freight=freight, actor=actor),
            id=promotion_id(self.project, name),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            search_attributes=attributes({PROJECT: self.project, STAGE: stage, FREIGHT: freight, PHASE: "Pending"}),
        )
        answer = await self.client.execute_update_with_start_workflow(
            Promotion.admission, start_workflow_operation=start
        )
        return answer, name

    async def promote(self, stage: str, freight: str) -> PromotionFinished:
        """Ask for a promotion and wait for its end."""
        answer, name = await self.request(stage, freight)
        assert answer.accepted, answer.reason
        return await self.result(name)

    async def result(self, name: str) -> PromotionFinished:
        handle = self.client.get_workflow_handle(promotion_id(self.project, name), result_type=PromotionFinished)
        # The server that skips time ends a long poll early while activities wait to be tried again.
        for _ in range(5):
            with suppress(RuntimeError):
                return await handle.result()
        return await handle.result()

    async def progress(self, name: str) -> PromotionView:
        handle = self.client.get_workflow_handle(promotion_id(self.project, name))
        return await handle.query(Promotion.progress)

    async def waits(self, name: str) -> bool:
        """A step has looked in vain and will look again: the server itself knows of it."""
        handle = self.client.get_workflow_handle(promotion_id(self.project, name))
        pending = (await handle.describe()).raw_description.pending_activities
        return any(activity.HasField("last_failure") for activity in pending)

    async def abort(self, name: str, actor: str = "subject:tester") -> None:
        handle = self.client.get_workflow_handle(promotion_id(self.project, name))
        await handle.signal(Promotion.abort, AbortRequest(actor=actor))
        await handle.cancel()

    async def fan_out(
        self, stage: str, freight: str, warehouse: str = "web"
    ) -> tuple[Admission, WorkflowHandle[Any, FanOutResult]]:
        name = run_name(stage, _ulid(), freight)
        start = WithStartWorkflowOperation(
            FanOut.run,
            FanOutRequest(project=self.project, stage=stage, name=name, freight=freight, warehouse=warehouse),
            id=fanout_id(self.project, name),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        answer = await self.client.execute_update_with_start_workflow(FanOut.admission, start_workflow_operation=start)
        return answer, self.client.get_workflow_handle_for(FanOut.run, fanout_id(self.project, name))

    async def stage(self, name: str) -> dict[str, Any]:
        """The Stage as shown."""
        handle = self.client.get_workflow_handle(stage_id(self.project, name))
        return await handle.query(Stage.describe)

    async def update_stage(self, name: str, update: str, message: Any) -> Outcome:
        handle = self.client.get_workflow_handle(stage_id(self.project, name))
        return await handle.execute_update(update, message, result_type=Outcome)

    async def until(self, look: Callable[[], Any], bound: float = PATIENCE) -> Any:
        """Await a condition, with a bound in seconds; returns what it found."""
        async with asyncio.timeout(bound):
            while True:
                found = await look()
                if found:
                    return found
                await asyncio.sleep(0.02)


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.1)


def _ulid() -> str:
    import random

    return new_ulid(datetime.now(UTC), random.Random(uuid.uuid4().int))


@asynccontextmanager
async def house(environment: WorkflowEnvironment) -> AsyncIterator[House]:
    """A house with a running worker and the Cluster started."""
    built = House(environment=environment, task_queue=f"test-{uuid.uuid4()}", project=f"p{uuid.uuid4().hex[:8]}")
    worker = Worker(
        environment.client,
        task_queue=built.task_queue,
        workflows=[Cluster, FanOut, Project, Promotion, Silent, Stage, Verification, Warehouse],
        activities=[built.step],
        workflow_runner=RUNNER,
        build_id="test",
    )
    async with worker:
        await environment.client.start_workflow(
            Cluster.run,
            ClusterState(),
            id=CLUSTER,
            task_queue=built.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        yield built


def project(name: str = "shop") -> dict[str, Any]:
    return {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Project", "metadata": {"name": name}}


def warehouse(name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": {"name": name},
        "spec": {"subscriptions": [{"image": {"repoURL": f"ghcr.io/shop/{name}"}}]},
    }


def stage(
    name: str,
    *upstream: str,
    warehouses: Sequence[str] = ("web",),
    steps: list[dict[str, Any]] | None = None,
    soak: str = "",
    strategy: str = "",
    verification: dict[str, Any] | None = None,
    direct: bool = False,
) -> dict[str, Any]:
    """A Stage manifest; no steps: a single `work`; an empty list: a control-flow Stage."""
    sources: dict[str, Any] = {"stages": list(upstream)} if upstream else {}
    if direct or not upstream:
        sources["direct"] = True
    if soak:
        sources["requiredSoakTime"] = soak
    if strategy:
        sources["availabilityStrategy"] = strategy
    spec: dict[str, Any] = {
        "requestedFreight": [
            {"origin": {"kind": "Warehouse", "name": origin}, "sources": sources} for origin in warehouses
        ]
    }
    if steps is None:
        steps = [{"uses": "work"}]
    if steps:
        spec["promotionTemplate"] = {"spec": {"steps": steps}}
    if verification is not None:
        spec["verification"] = verification
    return {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def policies(project: str, *stages: str) -> dict[str, Any]:
    """A ProjectConfig that turns auto-promotion on for these Stages."""
    return {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ProjectConfig",
        "metadata": {"name": project},
        "spec": {"promotionPolicies": [{"stage": name, "autoPromotionEnabled": True} for name in stages]},
    }


EXTERNAL = StepKind(name="work", effect=Effect.EXTERNAL)
