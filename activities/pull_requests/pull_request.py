"""What the steps know of pull requests, on whatever host they are (Kargo: pkg/gitprovider)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class PullRequest:
    """One pull request, or merge request."""

    #: Unique within its repository.
    number: int
    #: Its page.
    url: str
    #: Open, drafts too. Neither open nor merged: it was closed.
    open: bool
    merged: bool
    #: Name of the source branch, and the commit at its head.
    head: str = ""
    head_commit: str = ""
    #: What merging made the head of the target branch; empty unless merged.
    merge_commit: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class Proposal:
    """A pull request to open."""

    #: Source and target branch.
    head: str
    base: str
    title: str
    description: str = ""
    labels: list[str] = field(default_factory=list)


class PullRequests(Protocol):
    """The pull requests of one repository. All methods raise HostError where the host can't be asked."""

    @property
    def labels(self) -> bool:
        """Whether the host knows labels."""
        ...

    async def find(self, head: str, base: str) -> list[PullRequest]:
        """All from this source to this target branch, open or not, the newest first; at most a few hundred."""
        ...

    async def get(self, number: int) -> PullRequest:
        """One by its number."""
        ...

    async def create(self, proposal: Proposal) -> PullRequest:
        """Open one, with its labels. Raises HostError of status 400, 409 or 422 where there is one already."""
        ...

    async def add_labels(self, number: int, labels: list[str]) -> None:
        """Have these labels on it; may be repeated."""
        ...

    async def merge(self, number: int, method: str) -> PullRequest:
        """Merge it; one that is merged is returned as it is. `method` is the host's word; empty: its default.

        Raises NotReady where it may become possible, MergeRefused where not.
        """
        ...


class NotReady(Exception):
    """It can't be merged yet: checks run, approvals are missing, or the host has not made up its mind."""

    def __init__(self, reason: str, *, underway: bool = False) -> None:
        super().__init__(reason)
        #: The host is merging; it only takes longer.
        self.underway = underway


class MergeRefused(Exception):
    """It can't be merged, and waiting won't help: conflicts, closed, or a method that isn't allowed."""


def newest_first(found: list[PullRequest]) -> list[PullRequest]:
    """Sorted by creation, as hosts order them differently."""
    return sorted(found, key=lambda pull: (pull.created_at.timestamp() if pull.created_at else 0, pull.number))[::-1]
