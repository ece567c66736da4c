"""What looking for commits needs of Git: the refs of a remote, and the mainline below one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True)
class Commit:
    """A commit of a branch's mainline. Author and committer: `Name <email>`."""

    id: str
    date: datetime
    author: str
    committer: str
    subject: str


class HistoryUnreadable(Exception):
    """A repository can't be read; the message is for people and holds no secret.

    `host_fault`: the whole host is in trouble, not this repository alone.
    """

    def __init__(self, message: str, *, host_fault: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.host_fault = host_fault
        self.retry_after = retry_after


class GitHistory(Protocol):
    """Reads remote repositories. All methods raise HistoryUnreadable."""

    def host(self, repo_url: str) -> str:
        """The host that is asked for this repository."""

    async def refs(self, project: str, repo_url: str, patterns: Sequence[str], *, verify: bool) -> dict[str, str]:
        """One `ls-remote`: object ids of the refs that match, by full name (`HEAD`, `refs/heads/main`)."""

    async def mainline(
        self,
        project: str,
        repo_url: str,
        ref: str,
        *,
        limit: int,
        since: datetime | None,
        verify: bool,
    ) -> list[Commit]:
        """The newest commits of this ref, first parents only, newest first, fetching what is missing."""
