"""Records the histories that later releases must be able to replay: `python -m tests.replay.record`.

Run it before a release. It writes a directory for the version of pyproject.toml; one that is there already is written
anew only with `--again`, and must not be once that version is released.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from examples.world.argocd import Script
from model.names import project_id, promotion_id, stage_id, warehouse_id
from model.promotions import AbortRequest
from model.stages import VerifyRequest
from model.steps import WORKSPACE_LOST, Effect, StepKind
from model.warehouses import RefreshRequest
from tests.pipeline.installation import Installation, installation, until
from tests.pipeline.pipeline import REGIONS, SECOND, Pipeline
from tests.replay.histories import HISTORIES, write_history
from tests.temporal import test_server_binary
from tests.workflows import house
from worker.namespace import add_search_attributes
from workflows.converter import data_converter

#: After so many refused requests a Stage has begun its history anew.
REQUESTS = 220


def version() -> str:
    """The version that is being made."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def record(directory: Path) -> None:
    """Live through everything once, and write down what happened."""
    with tempfile.TemporaryDirectory() as scratch, installation(Path(scratch)) as towpath:
        _pipeline(directory, towpath)
    asyncio.run(_house(directory))


def _pipeline(directory: Path, towpath: Installation) -> None:
    """Every type of workflow, in the pipeline that is shaped like kargo-advanced."""
    pipeline = Pipeline.create(towpath)
    pipeline.apply()
    freight = pipeline.discover()
    for stage in ("dev", "staging", "ab-test-a"):
        pipeline.bring(stage, freight)
    pipeline.promote("ab-test-b", freight)
    pipeline.await_verification("ab-test-b", "Failed")
    pipeline.await_verified("prod", freight)
    pipeline.fail("promote", "--stage", "dev", "--freight", "0" * 40)
    pipeline.run("promote", "--stage", "dev", "--freight", freight, "--preview")
    pipeline.run("promote", "--downstream-from", "prod", "--freight", freight, "--wait")
    for region in REGIONS:
        pipeline.await_verified(region, freight)
    pipeline.apply({"result < 200": "result < 300"})
    pipeline.run("verify", "stage", "ab-test-b")
    pipeline.await_verified("ab-test-b", freight)

    towpath.registry.push(pipeline.project, SECOND)
    second = pipeline.discover(SECOND)
    towpath.argocd.scripts[pipeline.application("dev")] = Script(operation="Running")
    for _ in range(2):
        pipeline.run("promote", "--stage", "dev", "--freight", second)
    running = until(lambda: pipeline.stage("dev").get("currentPromotion"), "a promotion that runs")["name"]
    pending = pipeline.stage("dev")["queue"][0]["name"]
    until(lambda: _waits_for_argocd(pipeline, running), "the last step")
    for name in (pending, running):
        pipeline.run("abort", "promotion", name)
        until(lambda name=name: pipeline.read("promotion", name)["status"]["phase"] == "Aborted", "the abort")

    def write(name: str, workflow_id: str) -> None:
        handle = towpath.running.client.get_workflow_handle(workflow_id)
        write_history(directory, name, towpath.wait(handle.fetch_history()))

    def found(kind: str) -> str:
        async def look() -> list[str]:
            query = f"WorkflowType = '{kind}' AND TowpathProject = '{pipeline.project}'"
            return [execution.id async for execution in towpath.running.client.list_workflows(query)]

        return until(lambda: towpath.wait(look()), kind)[0]

    write("cluster", "cluster")
    write("project", project_id(pipeline.project))
    write("warehouse", warehouse_id(pipeline.project, "cargo"))
    write("discovery", found("Discovery"))
    write("fanout", found("FanOut"))
    write("preview", found("Preview"))
    write("stage", stage_id(pipeline.project, "dev"))
    write("stage-control-flow", stage_id(pipeline.project, "prod"))
    write("stage-verified-again", stage_id(pipeline.project, "ab-test-b"))
    write("promotion", promotion_id(pipeline.project, pipeline.stage("staging")["lastPromotion"]["name"]))
    write("promotion-of-a-fanout", promotion_id(pipeline.project, pipeline.stage("prod-east")["lastPromotion"]["name"]))
    write("promotion-aborted", promotion_id(pipeline.project, running))
    write("promotion-aborted-while-pending", promotion_id(pipeline.project, pending))
    passed, failed = pipeline.stage("ab-test-b")["freightHistory"][0]["verificationHistory"]
    write("verification", f"verification/{pipeline.project}/{passed['id']}")
    write("verification-failed", f"verification/{pipeline.project}/{failed['id']}")


def _waits_for_argocd(pipeline: Pipeline, promotion: str) -> bool:
    steps = pipeline.read("promotion", promotion)["status"]["stepExecutionMetadata"]
    return bool(steps and steps[-1]["alias"].endswith("step-7"))


async def _house(directory: Path) -> None:
    """What takes played steps: a promotion that lost its host, one by a policy, a Stage that began its history anew."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=test_server_binary(), data_converter=data_converter()
    )
    async with environment:
        await add_search_attributes(environment.client)
        async with house.house(environment) as built:
            built.kinds = {name: StepKind(name=name, effect=Effect.WORKSPACE) for name in ("clone", "build")}
            built.plays["build"] = _losing()
            steps: list[dict[str, Any]] = [{"uses": "clone"}, {"uses": "build"}]
            await built.apply(
                house.project(built.project),
                house.policies(built.project, "auto"),
                house.warehouse(),
                house.stage("dev", steps=steps),
                house.stage("auto"),
            )
            freight = await built.discover("1.0.0")
            _, name = await built.request("dev", freight.name)
            await built.result(name)
            await _write(directory, built.client, "promotion-rebuilt", promotion_id(built.project, name))

            async def promoted() -> Any:
                return (await built.stage("auto"))["status"].get("lastPromotion")

            automatic = (await built.until(promoted))["name"]
            await _write(directory, built.client, "promotion-automatic", promotion_id(built.project, automatic))
            await _write(directory, built.client, "stage-automatic", stage_id(built.project, "auto"))

            handle = built.client.get_workflow_handle(stage_id(built.project, "auto"))
            first = (await handle.describe()).run_id
            for _ in range(REQUESTS):
                await built.update_stage("auto", "abort_verification", AbortRequest())
            await built.update_stage("auto", "refresh", RefreshRequest())

            async def renewed() -> bool:
                return (await handle.describe()).run_id != first

            await built.until(renewed)
            whole = built.client.get_workflow_handle(stage_id(built.project, "auto"), run_id=first)
            write_history(directory, "stage-continued-as-new", await whole.fetch_history())
            await built.update_stage("auto", "verify", VerifyRequest())
            await _write(directory, built.client, "stage-continued", stage_id(built.project, "auto"))


def _losing() -> house.Play:
    """A step whose workspace is gone the first time."""
    calls: list[object] = []

    def play(request: object) -> dict[str, Any]:
        calls.append(request)
        if len(calls) == 1:
            raise ApplicationError("the workspace is gone", type=WORKSPACE_LOST, non_retryable=True)
        return {}

    return play


async def _write(directory: Path, client: Client, name: str, workflow_id: str) -> None:
    write_history(directory, name, await client.get_workflow_handle(workflow_id).fetch_history())


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Record the histories of this version's workflows.")
    parser.add_argument(
        "--again", action="store_true", help="overwrite those of this version, which isn't released yet"
    )
    arguments = parser.parse_args()
    directory = HISTORIES / version()
    if directory.exists() and not arguments.again:
        print(
            f"{directory} is there already. Is {version()} released? Then leave it; else say --again", file=sys.stderr
        )
        return 1
    with tempfile.TemporaryDirectory() as made:
        record(Path(made))
        for old in directory.glob("*.json.gz"):
            old.unlink()
        directory.mkdir(parents=True, exist_ok=True)
        for new in sorted(Path(made).iterdir()):
            (directory / new.name).write_bytes(new.read_bytes())
            print(f"{new.name}: {new.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
