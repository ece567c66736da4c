"""Kubernetes on loopback with Jobs, whose controller is the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from examples.world.kubernetes import KubernetesServer, Served
from tests.patience import PATIENCE

JOBS = Served("batch", "v1", "jobs", "Job")
PODS = Served("", "v1", "pods", "Pod")
PROVIDER = {"job": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "test"}]}}}}}


class Cluster:
    """A cluster that runs nothing by itself: the test says what becomes of its Jobs."""

    def __init__(self, server: KubernetesServer) -> None:
        self.server = server
        self._jobs, self._pods = (server.stores[kind.group, "v1", kind.plural] for kind in (JOBS, PODS))

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return self._jobs.find(lambda _: True)[0]

    @property
    def deleted(self) -> list[str]:
        return [path.rpartition("/")[2] for method, path, _ in self.server.writes if method == "DELETE"]

    async def job(self) -> dict[str, Any]:
        """The one Job there is, once there is one."""
        async with asyncio.timeout(PATIENCE):
            while not self.jobs:  # noqa: ASYNC110  # another thread can't set an asyncio.Event
                await asyncio.sleep(0.02)
        [job] = self.jobs
        return job

    def pod(self, job: dict[str, Any], log: str = "", **state: Any) -> None:
        """Give the Job its pod, in this state."""
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        pod = f"{name}-x1".replace(".", "-")
        labels = job["spec"]["template"]["metadata"]["labels"] | {"job-name": name}
        self._pods.create(namespace, {"metadata": {"name": pod, "labels": labels}})
        status = {"containerStatuses": [{"name": "test", "state": state}]}
        self._pods.patch(namespace, pod, {"status": status})
        self.server.logs[namespace, pod, "test"] = log

    def unscheduled(self, job: dict[str, Any], message: str) -> None:
        """The Job has a pod that no node takes."""
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        pod = f"{name}-x1".replace(".", "-")
        self._pods.create(namespace, {"metadata": {"name": pod, "labels": {"job-name": name}}})
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._pods.patch(namespace, pod, {"status": {"phase": "Pending", "conditions": [condition]}})

    def end(self, job: dict[str, Any], condition: str, log: str = "", **fields: str) -> None:
        """The Job's pod has ended, and so has the Job: Complete or Failed."""
        self.pod(job, log, terminated={"exitCode": 0})
        self._jobs.patch(
            job["metadata"]["namespace"],
            job["metadata"]["name"],
            {"status": {"conditions": [{"type": condition, "status": "True", **fields}]}},
        )


@contextmanager
def cluster(directory: Path) -> Iterator[tuple[Cluster, Outside]]:
    """A cluster, and a worker's ways to the outside that lead to it; Project `demo` has a Secret `api`."""
    credentials = directory / "credentials" / "demo"
    credentials.mkdir(parents=True)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}, "stringData": {"token": "hidden-4711"}}
    (credentials / "api.yaml").write_text(yaml.safe_dump(secret))
    (credentials / "api.yaml").chmod(0o600)
    with KubernetesServer(JOBS, PODS) as server:
        settings = ActivitySettings(
            data_directory=directory / "data",
            credentials_directory=directory / "credentials",
            kubeconfig=server.kubeconfig(directory / "kubeconfig"),
        )
        yield Cluster(server), open_outside(settings, host_queue="tests")
