"""Argo CD Applications: finding those that a Stage may change, and asking them for a refresh."""

from __future__ import annotations

from activities.kubernetes import Kubernetes, KubernetesError, ObjectNotFound, Resource, ResourceNotServed
from model.base import Json

APPLICATIONS = Resource("argoproj.io", "v1alpha1", "applications", "Application")

#: Names the Stages that may change an Application: `<project>:<stage>`, several with commas between.
AUTHORIZED_STAGE = "kargo.akuity.io/authorized-stage"
#: Asks Argo CD to look at the Application anew; `hard`: without its caches.
REFRESH = "argocd.argoproj.io/refresh"


class ApplicationError(Exception):
    """An Application can't be found, or may not be changed by the Stage. The message says what to do."""


async def find_application(kubernetes: Kubernetes, namespace: str, name: str) -> dict[str, Json]:
    """The Application of that name. Raises ApplicationError, also when Argo CD can't be reached."""
    try:
        return await kubernetes.get(APPLICATIONS, namespace, name)
    except ObjectNotFound as error:
        raise ApplicationError(f"there is no Argo CD Application {name!r} in namespace {namespace!r}") from error
    except KubernetesError as error:
        raise ApplicationError(explained(error)) from error


async def find_applications(kubernetes: Kubernetes, namespace: str, label_selector: str) -> list[dict[str, Json]]:
    """The Applications of a namespace that match a label selector. Raises ApplicationError when there is none."""
    try:
        found = await kubernetes.find(APPLICATIONS, namespace, label_selector)
    except KubernetesError as error:
        raise ApplicationError(explained(error)) from error
    if not found:
        raise ApplicationError(f"no Argo CD Application in namespace {namespace!r} matches {label_selector!r}")
    return found


def explained(error: KubernetesError) -> str:
    """An API error as the user of Argo CD needs it."""
    if isinstance(error, ResourceNotServed):
        return f"{error}: Argo CD is not installed in the cluster that this worker is configured for"
    return str(error)


def authorized(app: dict[str, Json], project: str, stage: str) -> None:
    """See to it that the Application's annotation lets this Stage change it. Raises ApplicationError otherwise."""
    metadata = app["metadata"]
    where = f"Argo CD Application {metadata['name']!r} in namespace {metadata['namespace']!r}"
    value = (metadata.get("annotations") or {}).get(AUTHORIZED_STAGE)
    wanted = f"{AUTHORIZED_STAGE}: {project}:{stage}"
    if value is None:
        raise ApplicationError(f"{where} may not be changed by this Stage: annotate it with {wanted!r}")
    stages = []
    for entry in filter(None, (entry.strip() for entry in value.split(","))):
        named = [part.strip() for part in entry.split(":", 1)]
        if len(named) != 2 or not all(named):
            raise ApplicationError(f"{where}: {entry!r} in {AUTHORIZED_STAGE} is not of the form <project>:<stage>")
        if "*" in entry:
            raise ApplicationError(f"{where}: {entry!r} in {AUTHORIZED_STAGE} is a glob; name the Stages instead")
        stages.append((named[0], named[1]))
    if (project, stage) not in stages:
        raise ApplicationError(
            f"{where} may be changed by {value.strip() or 'no Stage'} only: add {project}:{stage} to its annotation "
            f"{AUTHORIZED_STAGE}"
        )


async def request_refresh(kubernetes: Kubernetes, app: dict[str, Json]) -> None:
    """Ask for a hard refresh, unless one is asked for already. Raises ApplicationError when that isn't allowed."""
    metadata = app["metadata"]
    if REFRESH in (metadata.get("annotations") or {}):
        return
    try:
        await kubernetes.patch(
            APPLICATIONS, metadata["namespace"], metadata["name"], {"metadata": {"annotations": {REFRESH: "hard"}}}
        )
    except KubernetesError as error:
        raise ApplicationError(f"a refresh could not be asked for: {explained(error)}") from error
