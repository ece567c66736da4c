"""Roles in a ProjectConfig and in the ClusterConfig: an extension of ours, beside Kargo's fields.

Kargo keeps them as Kubernetes ServiceAccounts, Roles and RoleBindings, which there are none of here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from model.base import Manifest

#: A name of a token, or a value of a claim.
Value = Annotated[str, Field(min_length=1, max_length=500)]


class RoleClaim(Manifest):
    """Whom a role is for: one of these values in that claim of whoever logged in by OpenID Connect."""

    name: Literal["email", "sub", "groups"]
    values: list[Value] = Field(min_length=1, max_length=500)


class Role(Manifest):
    """What both kinds of roles have."""

    name: str = Field(min_length=1, max_length=63)
    role: Literal["viewer", "promoter", "admin"]
    description: str = Field(default="", max_length=500)
    claims: list[RoleClaim] = Field(default_factory=list)
    #: Names of API tokens, of the Project or of the system, that have the role beside those made for it.
    tokens: list[Value] = Field(default_factory=list)


class SystemRole(Role):
    """A role of the ClusterConfig: for all Projects, and for what belongs to none."""

    role: Literal["viewer", "admin"]


class ProjectRole(Role):
    """A role of a ProjectConfig: for that Project."""

    #: Of a promoter: the Stages it is for, by name (exact, `glob:…`, `regex:…`). Empty: all of them.
    stages: list[Value] = Field(default_factory=list)
