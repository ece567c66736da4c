"""Resources as people and scripts see them: Kubernetes' shape, with Kargo's field names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from model.base import Json, format_time
from model.projects import ProjectView
from model.promotions import PromotionView, StepRecord
from model.steps import StepStatus
from starter.kinds import PROJECT, PROJECT_CONFIG, PROMOTION, Kind

ACTOR_ANNOTATION = "kargo.akuity.io/create-actor"
#: Why a Promotion may start in a closed promotion window.
OVERRIDE_ANNOTATION = "towpath/override-window"

Resource = dict[str, Json]


def resource(kind: Kind, name: str, project: str = "", created: datetime | None = None) -> Resource:
    """The frame of a resource, without spec and status."""
    metadata: Resource = {"name": name}
    if kind.namespaced and project:
        metadata["namespace"] = project
    if created is not None:
        metadata["creationTimestamp"] = format_time(created)
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


def resource_list(items: Sequence[Resource]) -> Resource:
    """A Kubernetes `List`."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(items)}


def held(kind: Kind, name: str, project: str, value: Resource) -> Resource:
    """A manifest as its owner holds it: whole, or its `spec` alone."""
    if "kind" in value and "metadata" in value:
        return value
    return {**resource(kind, name, project), "spec": value}


def project_resource(view: ProjectView) -> Resource:
    """The Project with Kargo's status: what it holds, counted."""
    shown = held(PROJECT, view.project, "", view.manifest)
    metadata = dict(shown["metadata"])
    if view.created_at is not None:
        metadata.setdefault("creationTimestamp", format_time(view.created_at))
    ready = {"type": "Ready", "status": "True", "reason": "Synced", "message": "Project is synced"}
    ready["lastTransitionTime"] = metadata.get("creationTimestamp") or format_time(datetime.fromtimestamp(0, UTC))
    status: Resource = {
        "conditions": [ready],
        "stats": {"warehouses": {"count": len(view.warehouses)}, "stages": {"count": len(view.stages)}},
    }
    return {**shown, "metadata": metadata, "status": status}


def config_resource(view: ProjectView) -> Resource | None:
    """The ProjectConfig, if there is one."""
    if view.config is None:
        return None
    shown = held(PROJECT_CONFIG, view.project, view.project, view.config)
    if view.config_created_at is None:
        return shown
    return {**shown, "metadata": {"creationTimestamp": format_time(view.config_created_at), **shown["metadata"]}}


def promotion_summary(
    project: str,
    name: str,
    stage: str,
    freight: str,
    phase: str,
    created: datetime,
    finished: datetime | None,
    waits: str = "",
) -> Resource:
    """A Promotion as far as a list knows it: no steps."""
    shown = resource(PROMOTION, name, project, created)
    shown["spec"] = {"stage": stage, "freight": freight}
    shown["status"] = {"phase": phase}
    if waits:
        shown["status"]["waits"] = waits
    if finished is not None:
        shown["status"]["finishedAt"] = format_time(finished)
    return shown


def promotion_resource(view: PromotionView) -> Resource:
    """A Promotion, in Kargo's shape (api/v1alpha1/promotion_types.go)."""
    shown = resource(PROMOTION, view.name, view.project, view.created_at)
    annotations = {ACTOR_ANNOTATION: view.actor, OVERRIDE_ANNOTATION: view.override_window}
    if any(annotations.values()):
        shown["metadata"]["annotations"] = {name: value for name, value in annotations.items() if value}
    shown["spec"] = {
        "stage": view.stage,
        "freight": view.freight,
        "steps": [{"uses": step.uses, "as": step.alias} for step in view.steps],
    }
    begun = [step for step in view.steps if step.status is not None]
    status: Resource = {
        "phase": view.phase.value if view.phase else "",
        "message": view.message or view.waiting,
        "freight": {"name": view.freight},
        "freightAlias": view.freight_alias,
        "startedAt": format_time(view.started_at) if view.started_at else "",
        "finishedAt": format_time(view.finished_at) if view.finished_at else "",
        "stepExecutionMetadata": [
            {
                key: value
                for key, value in {
                    "alias": step.alias,
                    "startedAt": format_time(step.started_at) if step.started_at else "",
                    "finishedAt": format_time(step.finished_at) if step.finished_at else "",
                    "errorCount": step.error_count,
                    "status": step.status.value if step.status else "",
                    "message": step.message,
                    "continueOnError": step.continue_on_error,
                    "warnings": step.warnings,
                    "rebuilds": step.rebuilds,
                    "question": _question(step),
                }.items()
                if value
            }
            for step in begun
        ],
        "state": {step.alias: step.output for step in view.steps if step.output is not None},
    }
    shown["status"] = {field: value for field, value in status.items() if value}
    waits = [step for step in begun if step.question is not None and step.status is StepStatus.RUNNING]
    if waits:
        shown["status"]["waits"] = f"{waits[0].alias} {waits[0].message}"
    running = [index for index, step in enumerate(view.steps) if step.status == StepStatus.RUNNING]
    if begun:
        shown["status"]["currentStep"] = running[0] if running else len(begun) - 1
    return shown


def _question(step: StepRecord) -> Resource | None:
    """What a step asks people, or asked, and who said what."""
    if step.question is None:
        return None
    shown: Resource = step.question.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    shown["responses"] = [
        response.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"rules"})
        for response in step.responses
    ]
    return {key: value for key, value in shown.items() if value}
