"""ProjectConfig and ClusterConfig as they are answered."""

from __future__ import annotations

from datetime import UTC, datetime

from model.base import format_time
from starter.errors import NotFound
from starter.shapes import Resource
from web.api.caller import Caller
from web.board.versions import version_of, versioned

REFRESH = "kargo.akuity.io/refresh"
_SINCE = format_time(datetime.now(UTC).replace(microsecond=0))


def as_refreshed(config: Resource) -> Resource:
    """The config as one whose last refresh is over: it takes effect when it is applied, so none is ever pending."""
    token = config.get("metadata", {}).get("resourceVersion") or version_of(config)
    metadata = config.get("metadata", {})
    annotations = {**metadata.get("annotations", {}), REFRESH: token}
    status = {**config.get("status", {}), "lastHandledRefresh": token}
    if "conditions" in status:
        # They are made when they are read: how long they have held, nobody wrote down.
        status["conditions"] = [{"lastTransitionTime": _SINCE, **condition} for condition in status["conditions"]]
    shown = {**config, "metadata": {**metadata, "annotations": annotations}, "status": status}
    return versioned(shown, token)


async def project_config(caller: Caller, project: str) -> Resource:
    """Raises NotFound."""
    return as_refreshed(await caller.towpath.get_project_config(project))


async def cluster_config(caller: Caller) -> Resource:
    """Raises NotFound."""
    found = await caller.towpath.find_cluster_config()
    if found is None:
        raise NotFound("there is no ClusterConfig")
    return as_refreshed(found)
