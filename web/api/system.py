"""The installation itself: its version, its settings as far as clients need them, its ClusterConfig."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response, StreamingResponse

from model.roles import Verb
from model.steps import StepDescriptions
from starter import kinds
from starter.deleting import Reference
from starter.errors import NotFound
from web.access.access import Access
from web.api.caller import Caller, Entering, needs
from web.api.config import cluster_config
from web.api.shapes import UNCHANGED, WATCHED, Shown
from web.api.version import installed_version
from web.api.watching_cluster_config import watch_cluster_config

#: Workers ask for work at least once a minute.
ALIVE = timedelta(minutes=2)

router = APIRouter(prefix="/system", tags=["System"])

Viewing = Annotated[Caller, Depends(needs(Verb.VIEW))]
Editing = Annotated[Caller, Depends(needs(Verb.EDIT))]
Refreshing = Annotated[Caller, Depends(needs(Verb.REFRESH))]


@router.get("/server-version", operation_id="GetVersionInfo", responses=UNCHANGED)
async def server_version(caller: Entering) -> Response:
    """Which version of Towpath answers; `goVersion` and `compiler` say what runs it."""
    return await caller.json(
        {
            "version": installed_version(),
            "buildDate": "1970-01-01T00:00:00Z",
            "gitCommit": "",
            "gitTreeDirty": False,
            "goVersion": "",
            "compiler": f"python{platform.python_version()}",
            "platform": f"{platform.system().lower()}/{platform.machine()}",
        }
    )


@router.get("/server-config", operation_id="GetConfig", responses=UNCHANGED)
async def server_config(caller: Entering) -> Response:
    """What a client may need to know. There are no namespaces: their names are empty."""
    access: Access = caller.request.state.access
    return await caller.json(
        {
            "argocdShards": {},
            "secretManagementEnabled": access.settings.credentials_directory is not None,
            "systemResourcesNamespace": "",
            "sharedResourcesNamespace": "",
            "kargoNamespace": "",
            "hasAnalysisRunLogsUrlTemplate": False,
        }
    )


@router.get(
    "/cluster-config", operation_id="GetClusterConfig", tags=["Config"], response_model=Shown, responses=WATCHED
)
async def get_cluster_config(caller: Viewing, watched: Annotated[bool, Query(alias="watch")] = False) -> Response:
    """The ClusterConfig."""
    found = await cluster_config(caller)
    if watched:
        return watch_cluster_config(caller, found)
    return await caller.json(found)


@router.post("/cluster-config/refresh", response_class=Response, operation_id="RefreshClusterConfig", tags=["Config"])
async def refresh_cluster_config(caller: Refreshing) -> Response:
    """Nothing needs it: a ClusterConfig takes effect when it is applied. Checks that there is one."""
    await cluster_config(caller)
    return Response(status_code=200)


@router.delete("/cluster-config", operation_id="DeleteClusterConfig", tags=["Config"], status_code=204)
async def delete_cluster_config(caller: Editing) -> Response:
    """Delete the ClusterConfig."""
    await caller.towpath.delete([Reference(kinds.CLUSTER_CONFIG, "cluster")])
    return Response(status_code=204)


@router.get("/controller-heartbeats", operation_id="GetControllerHeartbeats", responses=UNCHANGED)
async def heartbeats(caller: Entering) -> Response:
    """When a worker last asked for work: the default controller's heartbeat."""
    seen = await caller.towpath.worker_last_seen()
    alive = seen is not None and datetime.now(UTC) - seen < ALIVE
    beat = {"controller": "", "status": "alive" if alive else "dead"}
    if seen is not None:
        beat["timestamp"] = seen.isoformat()
    return await caller.json({"heartbeats": {"": beat} if seen else {}, "defaultController": ""})


@router.get(
    "/steps", operation_id="ListSteps", tags=["Beyond Kargo"], response_model=StepDescriptions, responses=UNCHANGED
)
async def list_steps(caller: Entering) -> Response:
    """The steps that the workers know."""
    told = await caller.towpath.describe_steps()
    return await caller.json(told.model_dump(mode="json", by_alias=True))


@router.get(
    "/steps/{step}",
    operation_id="GetStep",
    tags=["Beyond Kargo"],
    response_model=StepDescriptions,
    responses=UNCHANGED,
)
async def get_step(caller: Entering, step: Annotated[str, Path(max_length=100)]) -> Response:
    """One step, with the schemas of its config and output."""
    told = await caller.towpath.describe_steps(step)
    if not told.steps:
        raise NotFound(told.message or f"there is no step {step}")
    return await caller.json(told.model_dump(mode="json", by_alias=True))


#: Where Kargo's own client watches the ClusterConfig.
watching = APIRouter()


@watching.get("/cluster-config", include_in_schema=False)
async def watched_cluster_config(caller: Viewing) -> StreamingResponse:
    return watch_cluster_config(caller, await cluster_config(caller))
