"""API tokens: made for a role, shown once, kept as hashes, valid for a time.

Shapes are Kargo's (pkg/server/*_api_token.go), which has them as Secrets of ServiceAccounts. `expiresIn` is ours.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from model.api_tokens import PREFIX, ApiToken
from model.base import Duration, Json, field_name, format_time
from web.access.guard import note
from web.access.roster import hash_token
from web.api.places import REDACTED, Changing, Place, PlaceRouter, Reading, Scope
from web.api.roles import find_role

#: Random bytes of a token.
_BYTES = 32
_ROLE = "kubernetes.io/service-account.name"
_EXPIRES = "towpath/expires-at"
_ACTOR = "kargo.akuity.io/create-actor"


class NewToken(BaseModel):
    """A token for a role."""

    model_config = ConfigDict(extra="forbid", alias_generator=field_name)

    name: str
    #: Go's notation; no longer than TOWPATH_API_TOKEN_LIFETIME.
    expires_in: Duration | None = Field(default=None, json_schema_extra={"type": "string", "examples": ["720h"]})


def routers() -> list[APIRouter]:
    """Those of Projects and of the system."""
    made: list[APIRouter] = []
    for scope in (Scope.PROJECT, Scope.SYSTEM):
        router = PlaceRouter(scope, "API tokens")
        router.add("GET", "/api-tokens", list_api_tokens)
        router.add("GET", "/api-tokens/{apitoken}", get_api_token)
        router.add("DELETE", "/api-tokens/{apitoken}", delete_api_token, 204)
        router.add("POST", "/roles/{role}/api-tokens", create_api_token, 201)
        made.append(router)
    return made


async def list_api_tokens(place: Reading, role: str = "") -> Response:
    """Tokens without themselves, by name; of one role, if any is named."""
    tokens = (await place.towpath.access_view(place.project)).tokens
    chosen = sorted((token for token in tokens if role in ("", token.role)), key=lambda token: token.name)
    items = [_shown(token, place) for token in chosen]
    return JSONResponse({"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": items})


async def get_api_token(place: Reading, apitoken: str) -> Response:
    """One token, without itself."""
    return JSONResponse(_shown(await _find(place, apitoken), place))


async def create_api_token(place: Changing, role: str, body: NewToken) -> Response:
    """Make a token. The answer is the only place where it ever stands."""
    note(place.request, f"APIToken/{body.name}")
    await find_role(place, role)
    longest = timedelta(seconds=place.access.settings.api_token_lifetime)
    lifetime = longest if body.expires_in is None else body.expires_in
    if not timedelta(0) < lifetime <= longest:
        raise HTTPException(400, f"expiresIn must be more than 0 and at most {longest} (TOWPATH_API_TOKEN_LIFETIME)")
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    await place.towpath.create_token(place.project, body.name, role, hash_token(token), lifetime)
    place.access.roster.forget()
    return JSONResponse(_shown(await _find(place, body.name), place, token), 201)


async def delete_api_token(place: Changing, apitoken: str) -> Response:
    """Revoke a token: it is valid no longer than a few seconds."""
    note(place.request, f"APIToken/{apitoken}")
    await place.towpath.revoke_token(place.project, apitoken)
    place.access.roster.forget()
    return Response(status_code=204)


async def _find(place: Place, name: str) -> ApiToken:
    for token in (await place.towpath.access_view(place.project)).tokens:
        if token.name == name:
            return token
    raise HTTPException(404, f"API token {name} not found")


def _shown(token: ApiToken, place: Place, itself: str = REDACTED) -> dict[str, Json]:
    expired = token.expires_at <= datetime.now(UTC)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": token.name,
            "namespace": place.directory,
            "creationTimestamp": format_time(token.created_at.replace(microsecond=0)),
            "labels": {"rbac.kargo.akuity.io/api-token": "true"},
            "annotations": {
                _ROLE: token.role,
                _EXPIRES: format_time(token.expires_at.replace(microsecond=0)),
                **({"towpath/expired": "true"} if expired else {}),
                **({_ACTOR: token.created_by} if token.created_by else {}),
            },
        },
        "type": "kubernetes.io/service-account-token",
        # A Secret's data is base64.
        "data": {"token": base64.b64encode(itself.encode()).decode()},
    }
