"""What anybody may ask without being known: how to log in, and to log in as the local admin, as Kargo's does."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from web.access.access import Access
from web.access.routes import TooManyAttempts, check_password

router = APIRouter(tags=["System"])


class AdminLogin(BaseModel):
    """A token for whoever knew the password."""

    idToken: str  # noqa: N815  # Kargo's spelling


class OidcConfig(BaseModel):
    """Where to log in by OpenID Connect, and as which client."""

    issuerUrl: str  # noqa: N815  # Kargo's spelling
    clientId: str  # noqa: N815  # Kargo's spelling
    cliClientId: str | None = None  # noqa: N815  # Kargo's spelling
    scopes: list[str]


class PublicConfig(BaseModel):
    """How to log in."""

    adminAccountEnabled: bool  # noqa: N815  # Kargo's spelling
    #: Whether nobody has to: whoever uses this machine is admin.
    skipAuth: bool  # noqa: N815  # Kargo's spelling
    oidcConfig: OidcConfig | None = None  # noqa: N815  # Kargo's spelling


@router.get("/system/public-server-config", operation_id="GetPublicConfig", response_model=PublicConfig)
async def public_server_config(request: Request) -> Response:
    """How to log in here."""
    access: Access = request.state.access
    return JSONResponse(access.public_config())


@router.post(
    "/login",
    operation_id="AdminLogin",
    response_model=AdminLogin,
    responses={
        400: {"description": "There is no Authorization header with the password"},
        403: {"description": "The password is wrong, or there is no such account"},
        429: {"description": "Too many attempts failed; Retry-After says when the next may be made"},
    },
)
async def log_in(request: Request) -> Response:
    """A token for the local admin, whose password stands in the Authorization header as `Bearer PASSWORD`."""
    access: Access = request.state.access
    scheme, _, password = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not password:
        raise HTTPException(400, "send the password in the header Authorization, as Bearer PASSWORD")
    if not access.open and access.password is None:
        raise HTTPException(403, "there is no local admin: set TOWPATH_WEB_ADMIN_PASSWORD_HASH, or log in by --sso")
    try:
        # Headers are read as Latin-1; clients send UTF-8.
        fits = await check_password(request, password.encode("latin-1").decode(errors="replace"))
    except TooManyAttempts as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.wait)}) from error
    if not fits:
        raise HTTPException(403, "invalid password")
    return JSONResponse({"idToken": access.admin_tokens.issue()})
