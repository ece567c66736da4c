"""Reads the history of a repository on this disk, through GitPython: objects only, no network, no hooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import git
from git.exc import GitCommandError

from activities.git.errors import GitError, RefNotFound
from model.base import format_time

#: Nobody's configuration but the repository's own, and no fetching of what a partial clone left out.
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
}


@dataclass(frozen=True)
class Commit:
    """One commit. Author and committer are `Name <address>`, the subject is its message's first line."""

    id: str
    committed_at: datetime
    author: str
    committer: str
    subject: str


def mainline(path: Path, tip: str, *, limit: int, since: datetime | None = None) -> list[Commit]:
    """At most `limit` commits from `tip` back along first parents, newest first, none committed before `since`.

    Blocks: call it in a thread. Raises RefNotFound, GitError.
    """
    options: dict[str, Any] = {"since": format_time(since)} if since else {}
    try:
        with git.Repo(path, odbt=git.GitCmdObjectDB) as repository:
            repository.git.update_environment(**_ENVIRONMENT)
            return [
                Commit(
                    id=commit.hexsha,
                    committed_at=commit.committed_datetime,
                    author=f"{commit.author.name} <{commit.author.email}>",
                    committer=f"{commit.committer.name} <{commit.committer.email}>",
                    subject=_text(commit.summary),
                )
                for commit in repository.iter_commits(tip, first_parent=True, max_count=limit, **options)
            ]
    except (git.BadName, git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise RefNotFound(f"commit {tip} is not in the repository") from error
    except (GitCommandError, ValueError) as error:
        raise GitError(f"the history of {tip} can't be read: {error}") from error


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
