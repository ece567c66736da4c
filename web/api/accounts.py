"""All endpoints about who may and what is secret, for the API to include below its prefix."""

from __future__ import annotations

from fastapi import APIRouter

from web.api import configmaps, credentials, login, roles, tokens


def access_routers() -> list[APIRouter]:
    """In the order of the document."""
    return [
        login.router,
        *credentials.routers(),
        *configmaps.routers(),
        *roles.routers(),
        *tokens.routers(),
    ]
