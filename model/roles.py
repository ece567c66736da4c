"""Who may do what: verbs, grants, and the one rule that compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from model.name_patterns import BadNamePattern, name_pattern
from model.resources.role import ProjectRole, Role, RoleClaim, SystemRole


class Verb(StrEnum):
    """What one may be allowed to do. Each endpoint asks for one."""

    #: What everybody may see who has any role at all: the version, tasks and templates of the cluster, a list of
    #: Projects that holds only those one may view.
    ENTER = "enter"
    #: See a Project and everything in it; of the system: the ClusterConfig, roles, tokens' names.
    VIEW = "view"
    #: Ask for a Promotion to a Stage, or for one again.
    PROMOTE = "promote"
    #: Approve Freight for a Stage.
    APPROVE = "approve"
    #: Verify a Stage's Freight again, and abort its verification.
    VERIFY = "verify"
    #: Have a Warehouse, Stage or config look again. Of a Warehouse: no Stage is named.
    REFRESH = "refresh"
    #: Abort a Promotion.
    ABORT = "abort"
    #: Promote although a promotion window is closed.
    OVERRIDE = "override"
    #: Freeze and thaw.
    FREEZE = "freeze"
    #: Apply and delete manifests, make and delete Freight, change its alias.
    EDIT = "edit"
    #: Credentials, ConfigMaps, and API tokens.
    ADMIN = "admin"


class RoleKind(StrEnum):
    """What a role is made of. Each has the verbs of those before it."""

    VIEWER = "viewer"
    PROMOTER = "promoter"
    ADMIN = "admin"


#: What a promoter may do with the Stages that fit, beside seeing the Project.
_PROMOTING = frozenset({Verb.PROMOTE, Verb.APPROVE, Verb.VERIFY, Verb.REFRESH, Verb.ABORT})


@dataclass(frozen=True)
class Grant:
    """One role that somebody has."""

    role: RoleKind
    #: Empty: of the system, thus in all Projects too.
    project: str = ""
    #: Patterns of names; empty: all Stages. Of promoters alone.
    stages: tuple[str, ...] = ()


#: What whoever may do everything has.
EVERYTHING = (Grant(RoleKind.ADMIN),)


def may(grants: Iterable[Grant], verb: Verb, project: str = "", stage: str = "") -> bool:
    """Whether the grants allow it.

    `project` empty: of the system, which only its own roles reach. `stage` empty: of the whole Project; a promoter of
    some of its Stages may then only see it and refresh its Warehouses.
    """
    return any(_allows(grant, verb, project, stage) for grant in grants)


def _allows(grant: Grant, verb: Verb, project: str, stage: str) -> bool:
    if verb is Verb.ENTER:
        return True
    if grant.project and grant.project != project:
        return False
    if grant.role is RoleKind.ADMIN or verb is Verb.VIEW:
        return True
    if grant.role is RoleKind.VIEWER or verb not in _PROMOTING:
        return False
    if not grant.stages or (verb is Verb.REFRESH and not stage):
        return True
    return bool(stage) and any(_fits(pattern, stage) for pattern in grant.stages)


def _fits(pattern: str, stage: str) -> bool:
    try:
        return name_pattern(pattern)(stage)
    except BadNamePattern:
        # Admission refuses such patterns: an older release let it through. It allows nothing.
        return False


#: Roles that are always there, under Kargo's names, so that tokens can be made for them. They bind nobody.
PROJECT_ROLES = tuple(ProjectRole(name=f"kargo-{kind}", role=kind.value) for kind in RoleKind)
SYSTEM_ROLES = tuple(
    SystemRole.model_validate({"name": f"kargo-{kind}", "role": kind}) for kind in (RoleKind.VIEWER, RoleKind.ADMIN)
)


def with_built_in(roles: Sequence[Role], project: str) -> list[Role]:
    """The declared roles of a Project (empty: the system), and those that are always there, by name."""
    always: Sequence[Role] = PROJECT_ROLES if project else SYSTEM_ROLES
    named = {role.name: role for role in (*always, *roles)}
    return [named[name] for name in sorted(named)]


def grant_of(role: Role, project: str) -> Grant:
    """What the role gives whoever has it. `project` empty: a role of the ClusterConfig."""
    stages = tuple(role.stages) if isinstance(role, ProjectRole) else ()
    return Grant(RoleKind(role.role), project, stages)


@dataclass(frozen=True)
class Claims:
    """What is known of whoever logged in by OpenID Connect."""

    email: str = ""
    subject: str = ""
    groups: frozenset[str] = frozenset()


def bound_to(claims: Claims, roles: Iterable[Role], project: str) -> Iterator[Grant]:
    """The grants of the roles that name one of these claims."""
    for role in roles:
        if any(_named(claim, claims) for claim in role.claims):
            yield grant_of(role, project)


def bound_to_token(name: str, made_for: str, roles: Iterable[Role], project: str) -> Iterator[Grant]:
    """The grants of an API token: of the role it was made for, as that is now, and of those that name it.

    `roles` and the token belong to one `project` (empty: the system), so that nobody makes a token of his own Project
    that has the name of another's.
    """
    for role in roles:
        if role.name == made_for or name in role.tokens:
            yield grant_of(role, project)


def _named(claim: RoleClaim, claims: Claims) -> bool:
    if claim.name == "groups":
        return not claims.groups.isdisjoint(claim.values)
    value = claims.email if claim.name == "email" else claims.subject
    return bool(value) and value in claim.values
