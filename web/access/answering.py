"""What is known of whoever answers a step that asks people: claims, and roles in the Project."""

from __future__ import annotations

from starlette.requests import Request

from model.roles import bound_to
from web.access.identity import Identity, IdentityKind


async def standing(request: Request, identity: Identity, project: str) -> tuple[dict[str, list[str]], list[str]]:
    """Claims by name, and names of roles, for `model.questions.refusal`. Raises TowpathError.

    Only who came by OpenID Connect has roles by claims; the admin is known by that name.
    """
    known = identity.claims
    claims = {"email": [known.email], "sub": [known.subject], "groups": sorted(known.groups)}
    roles = await request.state.access.roster.roles(project) if identity.kind is IdentityKind.USER else []
    return (
        {name: [value for value in values if value] for name, values in claims.items() if any(values)},
        [role.name for role in roles if any(bound_to(known, [role], project))],
    )
