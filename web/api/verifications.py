"""AnalysisRuns, and the templates they are made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from starter import kinds
from starter.deleting import Reference
from web.api.caller import Editing, Viewing
from web.api.errors import Unfit
from web.api.names import AnalysisRunName, ProjectName
from web.api.shapes import UNCHANGED, Shown, ShownList, list_of
from web.board.versions import versioned

router = APIRouter(prefix="/projects/{project}", tags=["Verifications"])

TemplateName = Annotated[str, Path(description="Name of the AnalysisTemplate", max_length=253)]

#: How many AnalysisRuns a list holds: the latest.
LATEST = 500


@router.get(
    "/analysis-runs",
    operation_id="ListAnalysisRuns",
    tags=["Beyond Kargo"],
    response_model=ShownList,
    responses=UNCHANGED,
)
async def list_runs(
    caller: Viewing, project: ProjectName, stage: Annotated[str, Query(description="Only those in this Stage")] = ""
) -> Response:
    """The last verifications, as AnalysisRuns, without their metrics."""
    items = await caller.towpath.list_verifications(project, stage, limit=LATEST)
    return await caller.json(list_of(kinds.VERIFICATION, items))


@router.get("/analysis-runs/{run}", operation_id="GetAnalysisRun", response_model=Shown, responses=UNCHANGED)
async def get_run(caller: Viewing, project: ProjectName, run: AnalysisRunName) -> Response:
    """One AnalysisRun, with its metrics and measurements."""
    return await caller.json(versioned(await caller.towpath.get_verification(project, run)))


@router.get(
    "/analysis-runs/{run}/logs",
    operation_id="GetAnalysisRunLogs",
    responses={501: {"description": "No log store is configured"}},
)
async def get_logs(
    caller: Viewing,
    project: ProjectName,
    run: AnalysisRunName,
    metric: Annotated[str, Query(alias="metricName")] = "",
    container: Annotated[str, Query(alias="containerName")] = "",
) -> Response:
    """Logs of a metric's Job: 501, as Towpath keeps none; the cluster that ran the Job has them."""
    await caller.towpath.get_verification(project, run)
    raise Unfit(501, "AnalysisRun log streaming is not configured: read the Job's logs in the cluster that ran it")


@router.get("/analysis-templates", operation_id="ListAnalysisTemplates", response_model=ShownList, responses=UNCHANGED)
async def list_templates(caller: Viewing, project: ProjectName) -> Response:
    """A Project's AnalysisTemplates, by name."""
    return await caller.json(list_of(kinds.ANALYSIS_TEMPLATE, await caller.towpath.list_analysis_templates(project)))


@router.get(
    "/analysis-templates/{name}",
    operation_id="GetAnalysisTemplate",
    response_model=Shown,
    responses=UNCHANGED,
)
async def get_template(caller: Viewing, project: ProjectName, name: TemplateName) -> Response:
    """One AnalysisTemplate."""
    return await caller.json(versioned(await caller.towpath.get_analysis_template(project, name)))


@router.delete("/analysis-templates/{name}", operation_id="DeleteAnalysisTemplate", status_code=204)
async def delete_template(caller: Editing, project: ProjectName, name: TemplateName) -> Response:
    """Delete an AnalysisTemplate."""
    await caller.towpath.delete([Reference(kinds.ANALYSIS_TEMPLATE, name, project)])
    caller.boards.wrote(project)
    return Response(status_code=204)
