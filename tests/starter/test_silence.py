"""What the client says when no worker is there, and what it leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model.freight_status import FreightRecord
from model.project_state import ProjectState
from model.references import FreightOrigin, FreightReference
from starter import calls
from starter.client import Towpath
from starter.errors import NotFound, WorkerSilent
from tests.starter.house import Rooms


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "QUERY_TIMEOUT", timedelta(seconds=1))


async def deserted(house: Rooms, name: str) -> Towpath:
    """A client whose workflows have no worker, and a Project that waits for one."""
    towpath = Towpath(await house.client(), "subject:tester", "nobody-works-here")
    await towpath.calls.temporal.start_workflow(
        "Project", ProjectState(project=name), id=f"project/{name}", task_queue="nobody-works-here"
    )
    return towpath


def test_a_silent_worker_is_told_from_a_missing_project(house: Rooms, impatient: None) -> None:
    name = house.project()

    async def asked() -> None:
        towpath = await deserted(house, name)
        with pytest.raises(WorkerSilent, match="no Towpath worker answered in time; start one with `towpath worker`"):
            await towpath.get_project(name)
        with pytest.raises(NotFound, match=f"Project {name}x not found"):
            await towpath.get_project(f"{name}x")

    house.wait(asked())


def test_a_promotion_that_nobody_answered_is_withdrawn(
    house: Rooms, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = house.project()

    async def asked() -> None:
        towpath = Towpath(await house.client(), "subject:tester", "nobody-works-here")
        record = FreightRecord(
            reference=FreightReference(name="f" * 40, origin=FreightOrigin(name="web")),
            alias="frozen-fox",
            discovered_at=datetime.now(UTC),
        )

        async def found(*_: object) -> object:
            return record

        monkeypatch.setattr(towpath, "find_freight", found)
        monkeypatch.setattr(calls, "UPDATE_TIMEOUT", timedelta(seconds=1))
        with pytest.raises(WorkerSilent):
            await towpath.promote(name, "dev", freight="x")
        (execution,) = [
            item
            async for item in towpath.calls.temporal.list_workflows(
                f"WorkflowType = 'Promotion' AND TowpathProject = '{name}'"
            )
        ]
        events = await towpath.calls.temporal.get_workflow_handle(execution.id).fetch_history()
        kinds = [event.WhichOneof("attributes") for event in events.events]
        assert "workflow_execution_cancel_requested_event_attributes" in kinds

    house.wait(asked())
