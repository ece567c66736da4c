"""A shard: a Warehouse and a Stage that only the workers of another network can serve."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from temporalio.api.enums.v1 import EventType

from model.names import promotion_id, task_queue
from tests.pipeline.installation import Installation, unique, until

ROOT = Path(__file__).parents[2]
SHARD = "edge"


@contextmanager
def shard_worker(towpath: Installation, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """`towpath worker --shard edge`, a process of its own, which alone knows where edge.example.com is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "TEMPORAL_ADDRESS": towpath.running.address,
        "TOWPATH_DATA_DIRECTORY": str(directory),
        "TOWPATH_REGISTRY_MIRRORS": f"edge.example.com={towpath.registry.host}",
        "TOWPATH_PLAIN_HTTP_REGISTRIES": towpath.registry.host,
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "starter", "worker", "--shard", SHARD],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("Towpath's worker is ready"):
                assert task_queue(SHARD) in line
                break
        yield child
    finally:
        child.terminate()
        try:
            child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def manifests(project: str, repository: str) -> str:
    def of(kind: str, name: str, **spec: Any) -> dict[str, Any]:
        found = {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": kind, "metadata": {"name": name}}
        return found | ({"spec": spec} if spec else {})

    stage = of(
        "Stage",
        "dev",
        shard=SHARD,
        requestedFreight=[{"origin": {"kind": "Warehouse", "name": "web"}, "sources": {"direct": True}}],
        promotionTemplate={
            "spec": {"steps": [{"uses": "file-write", "config": {"path": "a.txt", "contents": "${{ ctx.stage }}"}}]}
        },
    )
    warehouse = of("Warehouse", "web", shard=SHARD, subscriptions=[{"image": {"repoURL": repository}}])
    for manifest in (warehouse, stage):
        manifest["metadata"]["namespace"] = project
    return yaml.safe_dump_all([of("Project", project), warehouse, stage])


def test_a_shard_is_served_by_its_own_workers_alone(towpath: Installation, tmp_path: Path) -> None:
    project, name = unique("far"), unique("app")
    towpath.registry.push(name, "1.0.0")
    towpath.run("apply", "-f", "-", stdin=manifests(project, f"edge.example.com/{name}"))

    def watched() -> bool:
        executions = towpath.running.client.list_workflows(
            f"WorkflowType = 'Discovery' AND TowpathProject = '{project}'"
        )
        return bool(towpath.wait(_count(executions)))

    until(watched, "the Schedule of the Warehouse started its Discovery")
    # The run waits for somebody who serves the shard: the worker of `towpath up` looks at nothing of it.
    assert towpath.read("freight", "-p", project)["items"] == []
    assert "lastDiscovery" not in towpath.run("get", "warehouses", "-p", project)
    requested = [request for request in towpath.registry.requests if f"/{name}/" in request.path]
    assert requested == []

    with shard_worker(towpath, tmp_path / "data"):
        until(lambda: towpath.read("freight", "-p", project)["items"], "the shard's worker found the image")
        output = towpath.run("promote", "--stage", "dev", "--warehouse", "web", "-p", project, "--wait")
        assert "Succeeded" in output
        (promotion,) = towpath.read("promotions", "-p", project)["items"]
        handle = towpath.running.client.get_workflow_handle(promotion_id(project, promotion["metadata"]["name"]))
        history = towpath.wait(handle.fetch_history())
        queues = {
            event.activity_task_scheduled_event_attributes.task_queue.name
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        }
        assert queues
        assert all(queue.startswith(task_queue(SHARD)) for queue in queues)
    towpath.run("delete", "project", project)


async def _count(executions: Any) -> int:
    return len([one async for one in executions])
