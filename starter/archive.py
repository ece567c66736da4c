"""Backups: the state of every entity, in one file, from which all of them can be started again elsewhere.

Temporal is the only store, so this is the whole of what Towpath knows, apart from runs: Promotions and Verifications
under way are not in it. No secret is in it, because none is ever in a workflow.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from pydantic import Field
from temporalio.common import TypedSearchAttributes

from model.base import Json, Message, Time
from starter.calls import Calls, Start, Target
from starter.errors import InvalidInput, Refused
from starter.listing import entities
from starter.targets import CLUSTER
from workflows.attributes import PROJECT, STAGE, WAREHOUSE, attributes

#: The workflows that are entities, in the order in which they are restored: an owner of others comes before these.
TYPES = ("Cluster", "Project", "Warehouse", "Stage")
#: Of backups that this release reads.
VERSION = "towpath/v1"
#: Entities that are asked or started at once.
BREADTH = 16


class ArchivedEntity(Message):
    """One entity: its workflow type and id, and its state as its query `export` gives it."""

    type: str
    id: str
    state: Json


class Backup(Message):
    """All entities of one Towpath."""

    api_version: str = VERSION
    kind: str = "Backup"
    created_at: Time
    entities: list[ArchivedEntity] = Field(default_factory=list)


def read_backup(data: bytes) -> Backup:
    """The backup in a file. Raises InvalidInput."""
    try:
        backup = Backup.model_validate_json(data)
    except ValueError as error:
        raise InvalidInput("this is not a backup made by `towpath backup`") from error
    if backup.kind != "Backup" or backup.api_version != VERSION:
        raise InvalidInput(f"this is {backup.api_version} {backup.kind}; expected {VERSION} Backup")
    unknown = sorted({entity.type for entity in backup.entities} - set(TYPES))
    if unknown:
        raise InvalidInput(
            f"the backup holds {', '.join(unknown)}, made by a newer release; known are {', '.join(TYPES)}"
        )
    return backup


async def take_backup(calls: Calls) -> Backup:
    """See `Towpath.backup`."""
    gate = asyncio.Semaphore(BREADTH)

    async def export(workflow: str, workflow_id: str) -> ArchivedEntity:
        async with gate:
            target = Target(workflow_id, f"{workflow} {workflow_id}")
            state: Json = await calls.query(target, "export", dict, open_only=True)
        return ArchivedEntity(type=workflow, id=workflow_id, state=state)

    moment = datetime.now(UTC)
    found = [(workflow, sorted(item.id for item in await calls.executions(entities(workflow)))) for workflow in TYPES]
    exports = [export(workflow, workflow_id) for workflow, ids in found for workflow_id in ids]
    return Backup(created_at=moment, entities=list(await asyncio.gather(*exports)))


async def restore_backup(calls: Calls, backup: Backup) -> list[str]:
    """See `Towpath.restore`."""
    targets = [(entity, Target(entity.id, f"{entity.type} {entity.id}")) for entity in backup.entities]
    running = [target.workflow_id for _, target in targets if await calls.running(target)]
    if CLUSTER.workflow_id in running and await _cluster_is_empty(calls):
        # Every worker starts a Cluster; one that nobody has told anything makes room.
        running.remove(CLUSTER.workflow_id)
    if running:
        more = f" and {len(running) - 5} more" if len(running) > 5 else ""
        raise Refused(
            f"a backup is restored where nothing of it runs, but there is {', '.join(running[:5])}{more};"
            " delete those Projects first, or use another namespace. Nothing was restored"
        )
    order = sorted(targets, key=lambda pair: (TYPES.index(pair[0].type), pair[0].id))
    for entity, target in order:
        await calls.start(
            target,
            Start(
                workflow=entity.type,
                arg=entity.state,
                search_attributes=_attributes(entity),
            ),
            replace=entity.id == CLUSTER.workflow_id,
        )
    return [entity.id for entity, _ in order]


async def _cluster_is_empty(calls: Calls) -> bool:
    view = await calls.query(CLUSTER, "view", dict, open_only=True)
    return not any(view.get(field) for field in ("tasks", "templates", "channels", "config", "projects"))


def _attributes(entity: ArchivedEntity) -> TypedSearchAttributes:
    """What lists find the entity by, from its id: `stage/<project>/<name>`."""
    _, _, path = entity.id.partition("/")
    project, _, name = path.partition("/")
    key = {"Stage": STAGE, "Warehouse": WAREHOUSE}.get(entity.type)
    return attributes({PROJECT: project} | ({key: name} if key else {}))
