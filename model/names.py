"""Names of runs and ids of workflows (Kargo: pkg/api/promotion.go)."""

from __future__ import annotations

from datetime import datetime
from random import Random

from ulid import ULID

#: The longest name Kubernetes takes.
MAX_NAME = 253

CLUSTER = "cluster"


def new_ulid(now: datetime, random: Random) -> str:
    """A lower-case ULID of that moment: names that carry it sort in order of creation."""
    milliseconds = int(now.timestamp() * 1000)
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + random.getrandbits(80).to_bytes(10, "big"))).lower()


def run_name(stage: str, ulid: str, subject: str) -> str:
    """Name of a Promotion, Verification or FanOut: `<stage>.<ulid>.<first seven of subject>`, at most 253 long.

    `subject` is the Freight's name, for a Verification the id of its collection.
    """
    tail = f".{ulid}.{subject[:7]}".lower()
    head = stage.lower()
    if len(head) + len(tail) > MAX_NAME:
        head = head[: MAX_NAME - len(tail)].rstrip(".-")
    return head + tail


def project_id(project: str) -> str:
    return f"project/{project}"


def warehouse_id(project: str, name: str) -> str:
    return f"warehouse/{project}/{name}"


def stage_id(project: str, name: str) -> str:
    return f"stage/{project}/{name}"


def discovery_id(project: str, warehouse: str) -> str:
    """Id of the Warehouse's Schedule, and beginning of the ids of the Discovery runs it starts."""
    return f"discovery/{project}/{warehouse}"


def promotion_id(project: str, name: str) -> str:
    return f"promotion/{project}/{name}"


def verification_id(project: str, name: str) -> str:
    return f"verification/{project}/{name}"


def fanout_id(project: str, name: str) -> str:
    return f"fanout/{project}/{name}"


def preview_id(project: str, name: str) -> str:
    return f"preview/{project}/{name}"


#: Task queue of workflows, of a promotion's first step, and of all activities that need no workspace.
TASK_QUEUE = "towpath"


def task_queue(shard: str = "") -> str:
    """The shared task queue, or that of a shard served by workers in another network."""
    return f"{TASK_QUEUE}-shard-{shard}" if shard else TASK_QUEUE
