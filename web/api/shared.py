"""What Projects share: the cluster's tasks and templates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from model.roles import Verb
from starter import kinds
from starter.deleting import Reference
from web.api.caller import Caller, Entering, needs
from web.api.shapes import UNCHANGED, Shown, ShownList, list_of
from web.board.versions import versioned

router = APIRouter(prefix="/shared")

Editing = Annotated[Caller, Depends(needs(Verb.EDIT))]
TemplateName = Annotated[str, Path(description="Name of the ClusterAnalysisTemplate", max_length=253)]
TaskName = Annotated[str, Path(description="Name of the ClusterPromotionTask", max_length=253)]


@router.get(
    "/cluster-analysis-templates",
    operation_id="ListClusterAnalysisTemplates",
    tags=["Verifications"],
    response_model=ShownList,
    responses=UNCHANGED,
)
async def list_templates(caller: Entering) -> Response:
    """All ClusterAnalysisTemplates, by name."""
    found = await caller.towpath.list_cluster_analysis_templates()
    return await caller.json(list_of(kinds.CLUSTER_ANALYSIS_TEMPLATE, found))


@router.get(
    "/cluster-analysis-templates/{name}",
    operation_id="GetClusterAnalysisTemplate",
    tags=["Verifications"],
    response_model=Shown,
    responses=UNCHANGED,
)
async def get_template(caller: Entering, name: TemplateName) -> Response:
    """One ClusterAnalysisTemplate."""
    return await caller.json(versioned(await caller.towpath.get_cluster_analysis_template(name)))


@router.delete(
    "/cluster-analysis-templates/{name}",
    operation_id="DeleteClusterAnalysisTemplate",
    tags=["Verifications"],
    status_code=204,
)
async def delete_template(caller: Editing, name: TemplateName) -> Response:
    """Delete a ClusterAnalysisTemplate."""
    await caller.towpath.delete([Reference(kinds.CLUSTER_ANALYSIS_TEMPLATE, name)])
    return Response(status_code=204)


@router.get(
    "/cluster-promotion-tasks",
    operation_id="ListClusterPromotionTasks",
    tags=["Core"],
    response_model=ShownList,
    responses=UNCHANGED,
)
async def list_tasks(caller: Entering) -> Response:
    """All ClusterPromotionTasks, by name."""
    found = await caller.towpath.list_cluster_promotion_tasks()
    return await caller.json(list_of(kinds.CLUSTER_PROMOTION_TASK, found))


@router.get(
    "/cluster-promotion-tasks/{name}",
    operation_id="GetClusterPromotionTask",
    tags=["Core"],
    response_model=Shown,
    responses=UNCHANGED,
)
async def get_task(caller: Entering, name: TaskName) -> Response:
    """One ClusterPromotionTask."""
    return await caller.json(versioned(await caller.towpath.get_cluster_promotion_task(name)))
