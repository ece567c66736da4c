"""The page that asks who one is. What checks the answer is `web.access.routes`."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from web.pages.site import framed


async def login(request: Request) -> Response:
    """`/login`"""
    query = request.query_params
    access = getattr(request.state, "access", None)
    wait = query.get("wait", "")
    return framed(
        request,
        "login.html",
        next=_ours(query.get("next", "")),
        failed=query.get("failed", ""),
        wait=wait if wait.isdigit() else "",
        by_password=getattr(access, "password", None) is not None,
        by_oidc=getattr(access, "oidc", None) is not None,
    )


def _ours(where: str) -> str:
    """The address where it is one of this site, else the start."""
    try:
        parts = urlsplit(where)
    except ValueError:
        return "/"
    fits = where.startswith("/") and not where.startswith(("//", "/\\")) and not parts.netloc
    return where if fits else "/"
