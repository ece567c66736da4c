"""What has changed: entities and Promotions as visibility knows them, so that who watches asks only for those."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from model.promotions import PromotionSummary
from starter.listing import last_part
from workflows.attributes import CHANGED, FREIGHT, PHASE, STAGE, SUMMARY

#: The types of workflows that are sighted.
PROJECT, WAREHOUSE, STAGE_ENTITY, PROMOTION = "Project", "Warehouse", "Stage", "Promotion"


@dataclass(frozen=True)
class Sighting:
    """One run of an entity or of a Promotion."""

    #: Type of the workflow: `Project`, `Warehouse`, `Stage`, `Promotion`.
    kind: str
    name: str
    run_id: str
    #: It runs now.
    running: bool
    #: It ended, and nothing took its place: continuing as new is no end.
    over: bool
    started_at: datetime
    changed_at: datetime | None
    #: The memo as it is stored: the same bytes say the same.
    memo: bytes
    execution: WorkflowExecution

    @property
    def mark(self) -> tuple[object, ...]:
        """Equal for two sightings of which the second shows nothing new."""
        return self.run_id, self.running, self.changed_at, self.memo

    @property
    def stage(self) -> str:
        return self.execution.typed_search_attributes.get(STAGE) or ""

    @property
    def freight(self) -> str:
        return self.execution.typed_search_attributes.get(FREIGHT) or ""

    @property
    def phase(self) -> str:
        """Of a Promotion; empty: it was refused."""
        return self.execution.typed_search_attributes.get(PHASE) or ""

    async def promotion(self) -> PromotionSummary:
        """A Promotion's memo."""
        found: PromotionSummary = await self.execution.memo_value(
            SUMMARY, PromotionSummary(), type_hint=PromotionSummary
        )
        return found


def sighting(execution: WorkflowExecution) -> Sighting:
    """What there is to know of one execution."""
    status = execution.status
    return Sighting(
        kind=execution.workflow_type,
        name=last_part(execution),
        run_id=execution.run_id,
        running=status is WorkflowExecutionStatus.RUNNING,
        over=status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW),
        started_at=execution.start_time,
        changed_at=execution.typed_search_attributes.get(CHANGED),
        memo=execution.raw_info.memo.SerializeToString(deterministic=True),
        execution=execution,
    )


def all_of(project: str) -> str:
    """The visibility query for the entities of a Project that run, itself among them."""
    return (
        f"TowpathProject = '{project}' AND ExecutionStatus = 'Running'"
        f" AND WorkflowType IN ('{PROJECT}', '{WAREHOUSE}', '{STAGE_ENTITY}')"
    )


def under_way(project: str) -> str:
    """The visibility query for a Project's Promotions that are not over."""
    return f"TowpathProject = '{project}' AND ExecutionStatus = 'Running' AND WorkflowType = '{PROMOTION}'"


def changed_since(project: str, moment: datetime) -> str:
    """The visibility query for what has changed in a Project, or ended, since a moment."""
    return (
        f"TowpathProject = '{project}' AND TowpathChanged >= '{moment.isoformat()}'"
        f" AND WorkflowType IN ('{PROJECT}', '{WAREHOUSE}', '{STAGE_ENTITY}', '{PROMOTION}')"
    )
