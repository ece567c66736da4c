"""Lines of lists: what visibility and memos know, so that a list costs one call however long it is."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.client import WorkflowExecution

from model.base import Message, Time
from model.stages import StageSummary
from workflows.attributes import FREIGHT, PHASE, STAGE, SUMMARY, WAITS


class ProjectSummary(Message):
    """A Project at a glance: its memo."""

    stages: int = 0
    warehouses: int = 0
    #: How many receivers of webhooks its ProjectConfig has.
    receivers: int = 0
    #: None: an older release wrote the memo.
    created_at: Time | None = None
    #: Digest of its roles and API tokens; empty: it has neither.
    access: str = ""


class ProjectLine(Message):
    """One Project in a list."""

    name: str
    summary: ProjectSummary


class StageLine(Message):
    """One Stage in a list."""

    project: str
    name: str
    summary: StageSummary


class WarehouseSummary(Message):
    """A Warehouse at a glance: its memo."""

    generation: int = 0
    #: How many pieces of Freight it has.
    freight: int = 0
    #: When it last looked, in RFC 3339; empty: never yet.
    last_discovery: str = ""
    #: Why the last look found nothing or failed.
    error: str = ""
    #: Since when looking fails.
    failing_since: Time | None = None
    #: None: an older release wrote the memo.
    created_at: Time | None = None
    healthy: bool | None = None
    #: The normalised URLs that it subscribes to; None: an older release wrote the memo.
    subscribes: list[str] | None = None


class WarehouseLine(Message):
    """One Warehouse in a list."""

    project: str
    name: str
    summary: WarehouseSummary
    #: Of its workflow: another one is another Warehouse, or the same with a new history.
    run_id: str = ""


class RunLine(Message):
    """One Promotion or Verification in a list."""

    project: str
    name: str
    stage: str
    freight: str = ""
    phase: str
    created_at: Time
    #: When its workflow closed.
    finished_at: Time | None = None
    #: What a Promotion waits for people to say: `approve waits for approval of groups qa`.
    waits: str = ""


def entities(workflow: str, project: str = "") -> str:
    """The visibility query for running entities of a type, in one Project or in all."""
    where = f" AND TowpathProject = '{project}'" if project else ""
    return f"WorkflowType = '{workflow}' AND ExecutionStatus = 'Running'{where}"


def runs(workflow: str, project: str, stage: str = "", freight: str = "") -> str:
    """The visibility query for runs that were accepted: refused ones have no phase."""
    query = f"WorkflowType = '{workflow}' AND TowpathProject = '{project}' AND TowpathPhase IS NOT NULL"
    if stage:
        query += f" AND TowpathStage = '{stage}'"
    if freight:
        query += f" AND TowpathFreight = '{freight}'"
    return query


def waiting(project: str = "") -> str:
    """The visibility query for Promotions whose steps run, in one Project or in all."""
    where = f" AND TowpathProject = '{project}'" if project else ""
    return f"WorkflowType = 'Promotion' AND ExecutionStatus = 'Running' AND TowpathPhase = 'Running'{where}"


def last_part(execution: WorkflowExecution) -> str:
    """The resource's name: what stands behind the last slash of the workflow's id."""
    return execution.id.rpartition("/")[2]


async def project_lines(executions: Iterable[WorkflowExecution]) -> list[ProjectLine]:
    """Lines in the order of names."""
    lines = [
        ProjectLine(
            name=last_part(execution),
            summary=await execution.memo_value(SUMMARY, ProjectSummary(), type_hint=ProjectSummary),
        )
        for execution in executions
    ]
    return sorted(lines, key=lambda line: line.name)


async def stage_lines(project: str, executions: Iterable[WorkflowExecution]) -> list[StageLine]:
    """Lines in the order of names."""
    lines = [
        StageLine(
            project=project,
            name=last_part(execution),
            summary=await execution.memo_value(SUMMARY, StageSummary(), type_hint=StageSummary),
        )
        for execution in executions
    ]
    return sorted(lines, key=lambda line: line.name)


async def warehouse_lines(executions: Iterable[WorkflowExecution]) -> list[WarehouseLine]:
    """Lines in the order of Projects and names."""
    lines = [
        WarehouseLine(
            project=execution.id.split("/")[1],
            name=last_part(execution),
            summary=await execution.memo_value(SUMMARY, WarehouseSummary(), type_hint=WarehouseSummary),
            run_id=execution.run_id,
        )
        for execution in executions
    ]
    return sorted(lines, key=lambda line: (line.project, line.name))


async def promotion_lines(project: str, executions: Iterable[WorkflowExecution]) -> list[RunLine]:
    """As `run_lines`, with what those under way wait for people to say."""
    executions = list(executions)
    waits = {
        last_part(execution): await execution.memo_value(WAITS, "", type_hint=str)
        for execution in executions
        if execution.close_time is None
    }
    lines = run_lines(project, executions)
    return [line.model_copy(update={"waits": waits[line.name]}) if waits.get(line.name) else line for line in lines]


def run_lines(project: str, executions: Iterable[WorkflowExecution]) -> list[RunLine]:
    """Lines as Kargo lists Promotions: those still under way first, then the newest first."""
    lines = []
    for execution in executions:
        attributes = execution.typed_search_attributes
        lines.append(
            RunLine(
                project=project,
                name=last_part(execution),
                stage=attributes.get(STAGE) or "",
                freight=attributes.get(FREIGHT) or "",
                phase=attributes.get(PHASE) or "",
                created_at=execution.start_time,
                finished_at=execution.close_time,
            )
        )
    lines.sort(key=lambda line: (line.created_at, line.name), reverse=True)
    lines.sort(key=lambda line: line.finished_at is not None)
    return lines
