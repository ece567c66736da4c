"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from model.roles import Claims

#: Whoever uses this machine, where nothing says that one has to log in.
ADMIN = "admin"


class IdentityKind(StrEnum):
    """How somebody became known."""

    #: By sitting at this machine: the web listens on loopback, and no login is configured.
    MACHINE = "machine"
    #: By the local admin's password.
    ADMIN = "admin"
    #: By OpenID Connect.
    USER = "user"
    #: By an API token.
    API = "api"


@dataclass(frozen=True)
class Identity:
    """Somebody who is known."""

    #: In Kargo's notation: `admin`, `email:…`, `subject:…`; of tokens `api:NAME` and `api:PROJECT/NAME`.
    actor: str
    #: As pages show it.
    display: str
    groups: tuple[str, ...] = ()
    kind: IdentityKind = IdentityKind.USER
    #: What roles are bound to, of those who came by OpenID Connect.
    claims: Claims = field(default_factory=Claims)
    #: Of tokens: their name, the Project they belong to (empty: the system), and the role they were made for.
    token: str = ""
    token_project: str = ""
    token_role: str = ""


def machine() -> Identity:
    """Whoever uses this machine."""
    return Identity(ADMIN, "admin of this machine", kind=IdentityKind.MACHINE)


def local_admin() -> Identity:
    """Whoever knows the admin's password."""
    return Identity(ADMIN, ADMIN, kind=IdentityKind.ADMIN)


def user(claims: Claims, name: str = "") -> Identity:
    """Whoever logged in by OpenID Connect; `name` is theirs, for pages."""
    actor = f"email:{claims.email}" if claims.email else f"subject:{claims.subject}"
    display = name or claims.email or claims.subject
    return Identity(actor, display, tuple(sorted(claims.groups)), IdentityKind.USER, claims)


def api_token(name: str, project: str, role: str) -> Identity:
    """Whoever holds an API token."""
    full = f"{project}/{name}" if project else name
    return Identity(
        f"api:{full}",
        f"token {full}",
        kind=IdentityKind.API,
        token=name,
        token_project=project,
        token_role=role,
    )
