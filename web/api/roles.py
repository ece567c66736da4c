"""Roles as ProjectConfig and ClusterConfig declare them, in the shape of Kargo's. They are changed there alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from model.base import Json
from model.resources.role import ProjectRole, Role
from web.api.places import DESCRIPTION, Changing, Place, PlaceRouter, Reading, Scope

_KARGO = "kargo.akuity.io"

AsResources = Annotated[bool, Query(alias="as-resources")]


def routers() -> list[APIRouter]:
    """Those of Projects and of the system."""
    made: list[APIRouter] = []
    for scope in (Scope.PROJECT, Scope.SYSTEM):
        router = PlaceRouter(scope, "Roles")
        router.add("GET", "/roles", list_roles)
        if scope is Scope.PROJECT:
            router.add("POST", "/roles", change_roles, 201, "CreateProjectRole")
            router.add("POST", "/roles/grants", change_roles, operation="Grant")
            router.add("POST", "/roles/revocations", change_roles, operation="Revoke")
            router.add("PUT", "/roles/{role}", change_role, operation="UpdateRole")
            router.add("DELETE", "/roles/{role}", change_role, 204, "DeleteProjectRole")
        router.add("GET", "/roles/{role}", get_role)
        made.append(router)
    return made


async def list_roles(place: Reading, as_resources: AsResources = False) -> Response:  # a query's
    """Roles, by name: those declared, and those that are always there."""
    _no_resources(as_resources=as_resources)
    roles = await place.access.roster.roles(place.project)
    return JSONResponse([_shown(role, place) for role in roles])


async def get_role(place: Reading, role: str, as_resources: AsResources = False) -> Response:  # a query's
    """One role."""
    _no_resources(as_resources=as_resources)
    return JSONResponse(_shown(await find_role(place, role), place))


async def change_roles(place: Changing) -> Response:
    """Not done here: roles are declared in the ProjectConfig, and applied with it."""
    raise HTTPException(501, _declared(place))


async def change_role(place: Changing, role: str) -> Response:
    """Not done here: roles are declared in the ProjectConfig, and applied with it."""
    await find_role(place, role)
    raise HTTPException(501, _declared(place))


async def find_role(place: Place, name: str) -> Role:
    """Raises HTTPException where there is none of that name."""
    for role in await place.access.roster.roles(place.project):
        if role.name == name:
            return role
    raise HTTPException(404, f"role {name} not found")


def _declared(place: Place) -> str:
    return (
        f"roles are declared in the ProjectConfig of {place.project}: change spec.roles there, and apply it; "
        "docs/access.md shows how"
    )


def _no_resources(*, as_resources: bool) -> None:
    if as_resources:
        raise HTTPException(400, "there are no Kubernetes resources behind roles here")


def _shown(role: Role, place: Place) -> dict[str, Json]:
    metadata: dict[str, Json] = {"name": role.name, "namespace": place.directory}
    if role.description:
        metadata["annotations"] = {DESCRIPTION: role.description}
    return {
        "metadata": metadata,
        "kargoManaged": False,
        "claims": [{"name": claim.name, "values": claim.values} for claim in role.claims],
        "rules": _rules(role),
    }


def _rules(role: Role) -> list[dict[str, Json]]:
    """What it allows, in the words of Kubernetes' RBAC, as Kargo's command line shows it."""
    if role.role == "admin":
        return [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    rules: list[dict[str, Json]] = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    if isinstance(role, ProjectRole) and role.role == "promoter":
        promoting: dict[str, Json] = {
            "apiGroups": [_KARGO],
            "resources": ["stages"],
            "verbs": ["abort", "approve", "promote", "refresh", "verify"],
        }
        if role.stages:
            promoting["resourceNames"] = role.stages
        rules += [promoting, {"apiGroups": [_KARGO], "resources": ["warehouses"], "verbs": ["refresh"]}]
    return rules
