"""API tokens: what the Cluster and Projects keep of them, which is never the token itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from model.base import Duration, Json, Message, Time
from model.warehouses import Outcome

#: How every token begins, so that scanners for leaked secrets can know them.
PREFIX = "towpath_"
#: Tokens of one owner.
MOST = 200
#: How long one that has expired is still listed.
LISTED = timedelta(days=30)


class ApiToken(Message):
    """One token, known by its hash."""

    name: str
    #: The role it was made for, of the same owner.
    role: str
    #: SHA-256 of the token, in hex: it is random and long, so nothing slower is needed.
    hash: str
    created_at: Time
    created_by: str = ""
    expires_at: Time


class CreateTokenRequest(Message):
    """Argument of the update `create_token` of Cluster and Project."""

    name: str
    role: str
    hash: str
    lifetime: Duration
    actor: str = ""


class RevokeTokenRequest(Message):
    """Argument of the update `revoke_token` of Cluster and Project."""

    name: str
    actor: str = ""


class AccessView(Message):
    """Answer of the query `access` of Cluster and Project: what says who may do what there."""

    #: As the ClusterConfig or ProjectConfig has them.
    roles: list[dict[str, Json]] = Field(default_factory=list)
    tokens: list[ApiToken] = Field(default_factory=list)


class TokenRefused(ValueError):
    """A token can't be made or revoked; the message says why."""


def roles_in(config: dict[str, Json] | None) -> list[dict[str, Json]]:
    """The roles that a ClusterConfig or ProjectConfig declares."""
    roles: list[dict[str, Json]] = (config or {}).get("spec", {}).get("roles", [])
    return roles


def with_token(tokens: Sequence[ApiToken], request: CreateTokenRequest, now: datetime) -> list[ApiToken]:
    """The tokens and a new one, without those that expired long ago. Raises TokenRefused."""
    kept = [token for token in tokens if token.expires_at + LISTED > now]
    if any(token.name == request.name for token in kept):
        raise TokenRefused(f"there is an API token {request.name} already; delete it, or choose another name")
    if len(kept) >= MOST:
        raise TokenRefused(f"there are {MOST} API tokens already; delete some that are not used")
    token = ApiToken(
        name=request.name,
        role=request.role,
        hash=request.hash,
        created_at=now,
        created_by=request.actor,
        expires_at=now + request.lifetime,
    )
    return [*kept, token]


def without_token(tokens: Sequence[ApiToken], name: str) -> list[ApiToken]:
    """The tokens without that one. Raises TokenRefused."""
    kept = [token for token in tokens if token.name != name]
    if len(kept) == len(tokens):
        raise TokenRefused(f"there is no API token {name}")
    return kept


def created(tokens: Sequence[ApiToken], request: CreateTokenRequest, now: datetime) -> tuple[list[ApiToken], Outcome]:
    """The tokens after a request for a new one, and the answer to it: refused, nothing has changed."""
    try:
        return with_token(tokens, request, now), Outcome(message=f"API token {request.name} is created")
    except TokenRefused as error:
        return list(tokens), Outcome(ok=False, message=str(error))


def revoked(tokens: Sequence[ApiToken], name: str) -> tuple[list[ApiToken], Outcome]:
    """The tokens after a request to forget one, and the answer to it: refused, nothing has changed."""
    try:
        return without_token(tokens, name), Outcome(message=f"API token {name} is deleted")
    except TokenRefused as error:
        return list(tokens), Outcome(ok=False, message=str(error))
