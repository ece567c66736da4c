"""AnalysisRuns, and the templates they are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from starter import kinds
from starter.deleting import Reference
from web.api.caller import Editing, Viewing
from web.api.job_logs import job_logs
from web.api.names import AnalysisRunName, ProjectName
from web.api.shapes import UNCHANGED, Shown, ShownList, list_of
from web.api.watching import stream
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
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def get_logs(
    caller: Viewing,
    project: ProjectName,
    run: AnalysisRunName,
    metric: Annotated[str, Query(alias="metricName")] = "",
    container: Annotated[str, Query(alias="containerName")] = "",
) -> Response:
    """Logs of a metric's Jobs, as far as its measurements keep them, as one server-sent event."""
    text = job_logs(await caller.towpath.get_verification(project, run), metric, container)
    return stream(_sent(text))


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


async def _sent(text: str) -> AsyncIterator[str]:
    if text:
        yield "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
