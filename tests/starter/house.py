"""A whole Towpath for tests of the client and the command line: the embedded server, all workflows, played steps."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from model.names import CLUSTER
from model.project_state import ClusterState
from model.steps import (
    CheckStepsReport,
    CheckStepsRequest,
    DescribeStepsRequest,
    StepDescription,
    StepDescriptions,
    StepKind,
    StepProblem,
)
from starter.client import Towpath
from starter.main import cli
from starter.session import Session
from tests.patience import PATIENCE
from tests.workflows.house import RUNNER, House
from worker.embedded import EmbeddedServer, free_port
from workflows.cluster import Cluster
from workflows.connection import connect_to
from workflows.fanout import FanOut
from workflows.project import Project
from workflows.promotion import Promotion
from workflows.settings import ClientSettings
from workflows.stage import Stage
from workflows.verification import Verification
from workflows.warehouse import Warehouse

#: The kinds of steps that this house's worker knows.
KNOWN = ("work", "push", "fail")


@activity.defn(name="check-steps")
async def check_steps(request: CheckStepsRequest) -> CheckStepsReport:
    problems = [
        StepProblem(where=use.where, message=f"there is no step {use.uses}")
        for use in request.uses
        if use.uses not in KNOWN
    ]
    return CheckStepsReport(problems=problems, kinds={kind: StepKind(name=kind) for kind in KNOWN})


@activity.defn(name="describe-steps")
async def describe_steps(request: DescribeStepsRequest) -> StepDescriptions:
    names = [name for name in sorted(KNOWN) if request.name in ("", name)]
    schema = {"properties": {"path": {"type": "string"}}} if request.name else {}
    steps = [
        StepDescription(kind=StepKind(name=name), description=f"Does {name}.", config_schema=schema) for name in names
    ]
    return StepDescriptions(steps=steps, message="" if steps else f"there is no step {request.name!r}")


@dataclass
class Rooms:
    """A running house, reached from tests that are not asynchronous, as the command line is not."""

    loop: asyncio.AbstractEventLoop
    settings: ClientSettings
    address: str
    task_queue: str = "towpath"
    house: House = field(init=False)

    async def client(self) -> Client:
        return await connect_to({"target_host": self.address}, self.settings)

    async def connect(self) -> Towpath:
        return Towpath(await self.client(), "subject:tester", self.task_queue)

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """One call of the command line."""
        session = Session(self.connect)
        return CliRunner().invoke(cli, list(arguments), obj=session, input=stdin, catch_exceptions=False)

    def wait(self, awaitable: Any) -> Any:
        """Awaits something in the house's own loop."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result(PATIENCE)

    def project(self) -> str:
        """A name that no other test uses."""
        return f"p{uuid.uuid4().hex[:8]}"


@contextmanager
def rooms(directory: Path) -> Iterator[Rooms]:
    """Runs the house in a thread of its own."""
    loop = asyncio.new_event_loop()
    ready: asyncio.Future[Rooms] = loop.create_future()
    stop = asyncio.Event()

    async def live() -> None:
        settings = ClientSettings(data_directory=directory, encryption_keys_file=None)
        async with EmbeddedServer(settings, port=free_port(0), ui=False) as server:
            built = Rooms(loop, settings, server.address)
            client = await built.client()
            built.house = House(WorkflowEnvironment.from_client(client), built.task_queue)
            worker = Worker(
                client,
                task_queue=built.task_queue,
                workflows=[Cluster, FanOut, Project, Promotion, Stage, Verification, Warehouse],
                activities=[built.house.step, check_steps, describe_steps],
                workflow_runner=RUNNER,
                build_id="test",
            )
            async with worker:
                await client.start_workflow(Cluster.run, ClusterState(), id=CLUSTER, task_queue=built.task_queue)
                ready.set_result(built)
                await stop.wait()

    def body() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    started: asyncio.Future[Rooms] = ready

    async def await_ready() -> Rooms:
        return await started

    try:
        yield asyncio.run_coroutine_threadsafe(await_ready(), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


def manifests(*items: dict[str, Any]) -> str:
    """Manifests as one YAML text."""
    return yaml.safe_dump_all(items, sort_keys=False)


def in_project(name: str, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The manifests, put into a Project."""
    return [{**item, "metadata": {**item["metadata"], "namespace": name}} for item in items]
