"""Roles and API tokens of all Projects, as they were seconds ago: asked for together, and only what has changed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from model.api_tokens import AccessView, ApiToken
from model.resources.role import ProjectRole, Role, SystemRole
from model.roles import Grant, bound_to, bound_to_token, with_built_in
from starter.client import Towpath
from starter.errors import NotFound
from web.access.identity import Identity, IdentityKind

logger = logging.getLogger("towpath.access")

#: Seconds for which nothing is asked again: what is revoked ends within them.
FRESH = 3.0
#: Seconds after which a token that is not known makes it ask again: it may just have been made.
PAUSE = 0.5
_BREADTH = 16


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass
class _Page:
    """What one owner declares. The system's has no name."""

    digest: str
    roles: list[Role]
    tokens: list[ApiToken]


@dataclass
class _Read:
    pages: dict[str, _Page] = field(default_factory=dict)
    #: By the hash of the token: its owner, and itself.
    tokens: dict[str, tuple[str, ApiToken]] = field(default_factory=dict)


class Roster:
    """What the Cluster and the Projects say about who may do what."""

    def __init__(
        self,
        towpath: Towpath,
        *,
        fresh: float = FRESH,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._towpath = towpath
        self._fresh, self._pause, self._clock = fresh, pause, clock
        self._read = _Read()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def grants(self, identity: Identity, project: str | None = None) -> Sequence[Grant]:
        """The roles of somebody: of the system, and in one Project or (None) in all. Raises TowpathError."""
        read = await self._current(self._fresh)
        pages = read.pages.items() if project is None else [(name, read.pages.get(name)) for name in {"", project}]
        return [grant for name, page in pages if page is not None for grant in _of_page(identity, name, page)]

    async def token(self, token: str) -> tuple[str, ApiToken] | None:
        """The owner (a Project, or empty) and the record of a token that is valid now. Raises TowpathError."""
        hashed = hash_token(token)
        found = (await self._current(self._fresh)).tokens.get(hashed)
        if found is None:
            found = (await self._current(self._pause)).tokens.get(hashed)
        return found if found is not None and found[1].expires_at > datetime.now(UTC) else None

    async def roles(self, project: str) -> list[Role]:
        """The roles of a Project, or of the system: those declared, and those that are always there."""
        page = (await self._current(self._fresh)).pages.get(project)
        return page.roles if page is not None else with_built_in([], project)

    async def named_groups(self) -> frozenset[str]:
        """All groups that some role is for."""
        read = await self._current(self._fresh)
        return frozenset(
            value
            for page in read.pages.values()
            for role in page.roles
            for claim in role.claims
            if claim.name == "groups"
            for value in claim.values
        )

    def forget(self) -> None:
        """What was read counts no longer: something was changed through this process."""
        self._read_at = float("-inf")

    async def _current(self, fresh: float) -> _Read:
        if self._clock() - self._read_at >= fresh:
            async with self._reading:
                if self._clock() - self._read_at >= fresh:
                    began = self._clock()
                    self._read = await self._ask()
                    self._read_at = began
        return self._read

    async def _ask(self) -> _Read:
        lines, system = await asyncio.gather(self._towpath.project_lines(), self._towpath.access_view())
        gate = asyncio.Semaphore(_BREADTH)

        async def page(project: str, digest: str) -> _Page | None:
            known = self._read.pages.get(project)
            if known is not None and known.digest == digest:
                return known
            async with gate:
                try:
                    return _page(project, digest, await self._towpath.access_view(project))
                except NotFound:
                    # Deleted just now.
                    return None

        having = [line for line in lines if line.summary.access]
        pages = await asyncio.gather(*(page(line.name, line.summary.access) for line in having))
        read = _Read({"": _page("", "", system)})
        read.pages.update({line.name: found for line, found in zip(having, pages, strict=True) if found is not None})
        read.tokens = {token.hash: (project, token) for project, found in read.pages.items() for token in found.tokens}
        return read


def _page(project: str, digest: str, view: AccessView) -> _Page:
    kind = ProjectRole if project else SystemRole
    roles: list[Role] = []
    for declared in view.roles:
        try:
            roles.append(kind.model_validate(declared))
        except ValidationError:
            # Of another release. A role that can't be read gives nothing.
            where = f"Project {project}" if project else "the ClusterConfig"
            logger.error("role %s of %s can't be read and is left out", declared.get("name"), where)
    return _Page(digest, with_built_in(roles, project), view.tokens)


def _of_page(identity: Identity, project: str, page: _Page) -> Iterator[Grant]:
    if identity.kind is IdentityKind.API:
        if identity.token_project == project:
            yield from bound_to_token(identity.token, identity.token_role, page.roles, project)
        return
    yield from bound_to(identity.claims, page.roles, project)
