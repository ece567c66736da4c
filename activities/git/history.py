"""Reads the history of a repository on this disk, through GitPython: objects only, no network, no hooks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import git
from git.exc import GitCommandError, ODBError

from activities.git.errors import GitError, RefNotFound
from model.base import format_time

#: Nobody's configuration but the repository's own, and no fetching of what a partial clone left out.
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
}
#: Seconds in which the changes of some commits must have been listed.
_DIFF_TIMEOUT = 300


@dataclass(frozen=True)
class Commit:
    """One commit. Author and committer are `Name <address>`, the subject is its message's first line."""

    id: str
    committed_at: datetime
    author: str
    committer: str
    subject: str
    #: Its first parent; empty: it has none.
    parent: str = ""


@dataclass(frozen=True)
class Tag:
    """A tag and its commit. `tagger` and `annotation`, its message's first line, are empty for lightweight tags."""

    name: str
    commit: Commit
    #: When the tag was made; for a lightweight tag, when the commit was.
    created_at: datetime
    tagger: str = ""
    annotation: str = ""


class History:
    """Commits, tags and changes of one repository. Everything here blocks: use it in a thread."""

    def __init__(self, repository: git.Repo) -> None:
        self._repository = repository

    def mainline(self, tip: str, *, since: datetime | None = None) -> Iterator[Commit]:
        """From `tip` back along first parents, newest first, none committed before `since`; read as it is consumed."""
        options: dict[str, Any] = {"since": format_time(since)} if since else {}
        for commit in self._repository.iter_commits(tip, first_parent=True, **options):
            yield _commit(commit)

    def tag(self, name: str, *, commit: str, object_id: str = "") -> Tag | None:
        """A tag by the ids of its commit and, for an annotated one, of the tag itself. None: it tags no commit."""
        database = self._repository.odb
        try:
            if database.info(bytes.fromhex(commit)).type != b"commit":
                return None
            found = _commit(self._repository.commit(commit))
            if not object_id or object_id == commit:
                return Tag(name, found, found.committed_at)
            raw = database.stream(bytes.fromhex(object_id)).read()
        except (ODBError, git.BadName, ValueError) as error:
            raise RefNotFound(f"the commit of tag {name} is not in the repository") from error
        tagger, when, annotation = _annotation(raw)
        return Tag(name, found, when or found.committed_at, tagger, annotation)

    def changed_paths(self, commits: Sequence[Commit]) -> dict[str, list[str]]:
        """What each commit changed against its first parent, by its id: a moved file under both names."""
        paths: dict[str, list[str]] = {commit.id: [] for commit in commits}
        with tempfile.TemporaryFile() as lines:
            lines.write("".join(f"{commit.id} {commit.parent}".rstrip() + "\n" for commit in commits).encode())
            lines.seek(0)
            listed: str = self._repository.git.diff_tree(
                "--stdin", "-r", "--root", "--no-renames", "--name-status", "-z",
                istream=lines, strip_newline_in_stdout=False, kill_after_timeout=_DIFF_TIMEOUT,
            )  # fmt: skip
        words = iter(listed.split("\0"))
        current: list[str] = []
        for word in words:
            # Where a status would stand, an id begins the next commit.
            if word in paths:
                current = paths[word]
            elif word:
                current.append(next(words))
        return paths


@contextmanager
def history(path: Path) -> Iterator[History]:
    """Open the repository at this path for reading. Raises RefNotFound and GitError, also for what is done within."""
    try:
        with git.Repo(path, odbt=git.GitCmdObjectDB) as repository:
            repository.git.update_environment(**_ENVIRONMENT)
            yield History(repository)
    except (git.BadName, git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise RefNotFound("a commit or tag is not in the repository") from error
    except (GitCommandError, ODBError) as error:
        raise GitError(f"the history can't be read: {error}") from error


def mainline(path: Path, tip: str, *, limit: int, since: datetime | None = None) -> list[Commit]:
    """At most `limit` commits from `tip` back along first parents, newest first, none committed before `since`.

    Blocks: call it in a thread. Raises RefNotFound, GitError.
    """
    with history(path) as opened:
        return list(islice(opened.mainline(tip, since=since), limit))


def _commit(commit: git.Commit) -> Commit:
    return Commit(
        id=commit.hexsha,
        committed_at=commit.committed_datetime,
        author=f"{commit.author.name} <{commit.author.email}>",
        committer=f"{commit.committer.name} <{commit.committer.email}>",
        subject=_text(commit.summary),
        parent=commit.parents[0].hexsha if commit.parents else "",
    )


def _annotation(raw: bytes) -> tuple[str, datetime | None, str]:
    """Tagger, time and first line of a tag object (git-mktag(1)). Very old ones name no tagger."""
    head, _, message = raw.decode("utf-8", "replace").partition("\n\n")
    fields = dict(line.partition(" ")[::2] for line in head.splitlines() if line[:1] != " ")
    who, _, when = fields.get("tagger", "").rpartition("> ")
    try:
        moment = datetime.fromtimestamp(int(when.split()[0]), UTC) if when else None
    except (ValueError, IndexError, OverflowError, OSError):
        moment = None
    return f"{who}>" if who else "", moment, message.strip().partition("\n")[0]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
