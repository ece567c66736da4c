"""What the owners of Stages and Freight know, asked and told by activities through Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from model.base import Json
from model.freight_status import FreightRecord
from model.names import CLUSTER, project_id, stage_id, warehouse_id
from model.projects import ProjectView
from model.warehouse_view import describe_freight
from model.warehouses import AliasRequest, MetadataRequest, Outcome

#: How long an owner may take to answer.
TIMEOUT = timedelta(seconds=20)

if TYPE_CHECKING:
    from activities.outside import Outside

_Answer = TypeVar("_Answer")


class StateUnknown(Exception):
    """The owner could not be asked: Temporal or its worker did not answer."""


class StateRefused(Exception):
    """There is no such Stage or Freight, or its owner says no."""


@dataclass(frozen=True)
class ProjectState:
    """Asks Projects' Warehouses and Stages, and has them change what steps may change.

    All methods raise StateUnknown; those that change something StateRefused.
    """

    client: Client

    async def freight(self, project: str, name: str) -> FreightRecord | None:
        """A piece of Freight by its name; None where no Warehouse of the Project holds it."""
        return next((record for record in await self._freight(project, [name]) if record.name == name), None)

    async def stage(self, project: str, name: str) -> dict[str, Json] | None:
        """A Stage in Kubernetes' shape; None where there is none."""
        handle = self.client.get_workflow_handle(stage_id(project, name))
        found: dict[str, Json] | None = await self._query(handle, "describe", dict[str, Json])
        return found

    async def message_channel(self, project: str, name: str) -> dict[str, Json] | None:
        """A MessageChannel of the Project, a ClusterMessageChannel where that is empty; None where there is none."""
        if project:
            view = await self._query(self.client.get_workflow_handle(project_id(project)), "view", ProjectView)
            held = view.channels if view else {}
        else:
            cluster = await self._query(self.client.get_workflow_handle(CLUSTER), "view", dict[str, Json])
            held = (cluster or {}).get("channels", {})
        found: dict[str, Json] | None = held.get(name)
        return found

    async def set_freight_metadata(self, project: str, name: str, values: dict[str, Json]) -> None:
        """Set these keys of the metadata of Freight; others stay."""
        record = await self._held(project, name)
        owner = warehouse_id(project, record.reference.origin.name)
        await self._update(owner, "set_metadata", MetadataRequest(freight=name, values=values))

    async def set_stage_metadata(self, project: str, name: str, values: dict[str, Json]) -> None:
        """Set these keys of the metadata of a Stage; others stay."""
        await self._update(stage_id(project, name), "set_metadata", MetadataRequest(values=values), f"Stage {name}")

    async def set_alias(self, project: str, name: str, alias: str) -> str:
        """Give Freight another alias, and return the former. Aliases are unique in a Project."""
        record = await self._held(project, name)
        holders = [other for other in await self._freight(project, [alias]) if other.alias == alias]
        holder = next((other for other in holders if other.name != name), None)
        if holder is not None:
            raise StateRefused(f"alias {alias} is in use by Freight {holder.name}")
        if record.alias != alias:
            owner = warehouse_id(project, record.reference.origin.name)
            await self._update(owner, "set_alias", AliasRequest(freight=name, alias=alias))
        return record.alias

    async def _held(self, project: str, name: str) -> FreightRecord:
        record = await self.freight(project, name)
        if record is None:
            raise StateRefused(f"there is no Freight {name} in Project {project}: give its name, not its alias")
        return record

    async def _freight(self, project: str, names: list[str]) -> list[FreightRecord]:
        """Freight by names or aliases, of all Warehouses of the Project."""
        view = await self._query(self.client.get_workflow_handle(project_id(project)), "view", ProjectView)
        if view is None:
            return []
        handles = [self.client.get_workflow_handle(warehouse_id(project, name)) for name in view.warehouses]
        found = await asyncio.gather(
            *(self._query(handle, "freight", list[FreightRecord], names) for handle in handles)
        )
        return [record for records in found for record in records or []]

    async def _query(
        self, handle: WorkflowHandle[Any, Any], query: str, kind: type[_Answer], *arguments: Any
    ) -> _Answer | None:
        """What an owner answers; None where there is no such owner, or it has ended."""
        try:
            answer: _Answer = await handle.query(query, args=list(arguments), result_type=kind, rpc_timeout=TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise StateUnknown(f"{handle.id} did not answer: {error.message}") from None
        except WorkflowQueryFailedError as error:
            raise StateUnknown(f"{handle.id} could not answer: {error}") from None
        return answer

    async def _update(self, workflow_id: str, update: str, message: Any, shown: str = "") -> None:
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(TIMEOUT.total_seconds()):
                outcome: Outcome = await handle.execute_update(update, message, result_type=Outcome)
        except TimeoutError:
            raise StateUnknown(f"{workflow_id} did not answer within {TIMEOUT.total_seconds():g} s") from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise StateRefused(f"there is no {shown or workflow_id}") from None
            raise StateUnknown(f"{workflow_id} did not answer: {error.message}") from None
        except WorkflowUpdateFailedError as error:
            raise StateRefused(str(error.cause)) from None
        if not outcome.ok:
            raise StateRefused(outcome.message)


class ProjectStatus:
    """The status functions of expressions, for one Project. Called from threads, answered in the worker's loop."""

    def __init__(self, project: str, state: ProjectState, loop: asyncio.AbstractEventLoop) -> None:
        self._project, self._state, self._loop = project, state, loop

    def freight_metadata(self, name: str) -> Mapping[str, Json] | None:
        record = self._wait(self._state.freight(self._project, name))
        return None if record is None else record.metadata

    def freight_status(self, name: str) -> Mapping[str, Json] | None:
        record = self._wait(self._state.freight(self._project, name))
        return None if record is None else describe_freight(self._project, record)["status"]

    def stage_metadata(self, name: str) -> Mapping[str, Json] | None:
        stage = self._wait(self._state.stage(self._project, name))
        return None if stage is None else (stage["status"].get("metadata") or {})

    def _wait(self, answer: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result(2 * TIMEOUT.total_seconds())


def project_status(project: str, outside: Outside) -> ProjectStatus | None:
    """The status functions for one Project, called in the loop that will answer; None where nothing can be asked."""
    return ProjectStatus(project, outside.state, asyncio.get_running_loop()) if outside.state else None
