"""Whether a request may do what it asks for, and who is behind it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True)
class Identity:
    """Who asks. `actor` in Kargo's notation: `admin`, `email:…`, `subject:…`."""

    actor: str


async def permit(request: Request, verb: str, project: str = "", stage: str = "") -> Identity:
    """The identity behind a request that may do this; on loopback everybody is the administrator."""
    return Identity(actor="admin")
