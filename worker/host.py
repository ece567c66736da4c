"""Which host this worker is, and on which task queues it works."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from activities.workspace import Workspaces
from model.names import task_queue
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class Host:
    """A host is a workspace directory: a worker that is restarted on it finds its promotions' files again."""

    #: Queue of workflows, of first steps, and of activities that need no workspace.
    task_queue: str
    #: Queue of steps that need a workspace of this host. The shared queue where there is one host only.
    queue: str
    #: How the worker is shown in Temporal.
    identity: str

    @property
    def single(self) -> bool:
        return self.queue == self.task_queue


def host(settings: WorkerSettings, *, single: bool) -> Host:
    """This host. `single`: there is no other, so that steps run on the queue of the workflows and start eagerly.

    Raises OSError where the workspace directory can't be written.
    """
    shared = task_queue(settings.shard)
    workspaces = Workspaces(settings.workspace_directory)
    return Host(
        task_queue=shared,
        queue=shared if single else workspaces.queue(shared),
        identity=f"{os.getpid()}@{socket.gethostname()}/{workspaces.host_id()}",
    )
