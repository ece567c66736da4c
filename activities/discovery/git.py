"""Looking for commits: of a branch's mainline, or by tags (Kargo: pkg/controller/git/commit).

The remote's refs are compared first: where the branch or the tags that count have not moved, nothing is fetched.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from activities.credentials import CredentialKind, CredentialUnusable
from activities.discovery.look import Look, LookFailed, subscriber
from activities.git.errors import GitError, GitTimeout, RemoteBusy, RemoteUnreachable
from activities.git.history import Commit, History, Tag, history
from activities.git.refs import Remote, RemoteRefs
from expressions.environment import commit_environment, evaluate_criterion, tag_environment
from expressions.errors import ExpressionError
from model.paths import PathFilter
from model.resources.warehouse import (
    CommitSelectionStrategy,
    DiscoveredCommit,
    GitDiscoveryResult,
    GitSubscription,
    RepoSubscription,
)
from model.selection import SelectionError, TagRules, by_version, lexically, shortened

#: Commits or tags whose changes are compared at once, at most; the first time as many as the discovery limit.
MAX_BATCH = 1000

_Candidate = TypeVar("_Candidate", Commit, Tag)
_Item = TypeVar("_Item")


class _Seen(BaseModel):
    """The last look at one subscription."""

    #: Where the branch was, or a digest of the tags that counted.
    head: str
    #: A digest of all tags: where it is the same, which of them count need not be worked out.
    listing: str = ""
    commits: list[DiscoveredCommit] = Field(default_factory=list)


@subscriber("git")
async def find_commits(subscription: RepoSubscription, look: Look) -> GitDiscoveryResult:
    """The best commits of a repository, best first, up to the discovery limit."""
    git = subscription.git
    if git is None:
        raise LookFailed("this is no Git subscription")
    try:
        remote = await asyncio.to_thread(_remote, git, look)
        async with look.asking(_host(git.repo_url)):
            commits = await _GitLook(git, remote, look).commits()
    except (GitError, CredentialUnusable) as error:
        raise _failure(error) from error
    return GitDiscoveryResult(repo_url=git.repo_url, commits=commits, subscription_name=subscription.name)


def _remote(git: GitSubscription, look: Look) -> Remote:
    return Remote(
        git.repo_url,
        look.credentials.find(look.project, CredentialKind.GIT, git.repo_url),
        git.insecure_skip_tls_verify,
    )


class _GitLook:
    """One look at one Git subscription."""

    def __init__(self, git: GitSubscription, remote: Remote, look: Look) -> None:
        self.git = git
        self.remote = remote
        self.look = look
        self.paths = PathFilter([], [])

    async def commits(self) -> list[DiscoveredCommit]:
        """The candidates, best first. Raises LookFailed."""
        try:
            self.paths = PathFilter(self.git.include_paths, self.git.exclude_paths)
            if self.git.commit_selection_strategy is CommitSelectionStrategy.NEWEST_FROM_BRANCH:
                return await self._of_branch()
            return await self._of_tags()
        except (SelectionError, ExpressionError) as error:
            raise LookFailed(str(error)) from error
        except GitError as error:
            raise _failure(error) from error

    @property
    def _key(self) -> object:
        return [self.look.project, self.git.model_dump(mode="json", by_alias=True)]

    async def _fetched(self, commits: Sequence[str], tags: Sequence[str] = ()) -> Path:
        return await self.look.git.fetched(self.remote, commits, tags=tags, blobless=bool(self.git.blobless))

    # By branch

    async def _of_branch(self) -> list[DiscoveredCommit]:
        branch, shown = self.git.branch, self.remote.shown
        refs = await self.look.git.refs(self.remote, branches=[branch] if branch else [], tags=[])
        head = refs.branches.get(branch, "") if branch else refs.head
        if not head:
            raise LookFailed(
                f"{shown} has no branch {branch}: check `branch`, or push it"
                if branch
                else f"{shown} has no default branch with commits: name one as `branch`, push it, or see that a "
                "repository is at that address"
            )
        seen = await self.look.memory.recall("git", self._key, _Seen)
        if seen is not None and seen.head == head:
            return seen.commits
        path = await self._fetched([head])
        commits = await asyncio.to_thread(self._read_branch, path, head, seen)
        await self.look.memory.keep("git", self._key, _Seen(head=head, commits=commits))
        return commits

    def _read_branch(self, path: Path, head: str, seen: _Seen | None) -> list[DiscoveredCommit]:
        """Blocks."""
        # What was seen below the former head counts as before, unless the rule depends on the time of day.
        former = seen if seen and "now" not in self.git.expression_filter else None
        limit = self.git.discovery_limit
        reached = False

        def new(commits: Iterable[Commit]) -> Iterator[Commit]:
            nonlocal reached
            for commit in commits:
                if former and commit.id == former.head:
                    reached = True
                    return
                yield commit

        with history(path) as opened:
            mainline = opened.mainline(head, since=self.git.since)
            chosen = [_from_branch(commit, self.git.branch) for commit in self._chosen(opened, new(mainline))]
        if former and reached:
            chosen += former.commits
        return chosen[:limit]

    # By tag

    async def _of_tags(self) -> list[DiscoveredCommit]:
        refs = await self.look.git.refs(self.remote, branches=[], tags=None)
        self._warn()
        seen = await self.look.memory.recall("git", self._key, _Seen)
        listing = _digest([(name, refs.tag_objects.get(name, ""), commit) for name, commit in refs.tags.items()])
        if seen is not None and seen.listing == listing:
            return seen.commits
        names = self._names(refs)
        observed = _digest([(name, refs.tag_objects.get(name, ""), refs.tags[name]) for name in sorted(names)])
        if seen is not None and seen.head == observed:
            await self.look.memory.keep("git", self._key, seen.model_copy(update={"listing": listing}))
            return seen.commits
        commits: list[DiscoveredCommit] = []
        for batch in self._batches(names):
            path = await self._fetched(
                [refs.tags[name] for name in batch], [tag for name in batch if (tag := refs.tag_objects.get(name))]
            )
            commits += await asyncio.to_thread(self._read_tags, path, batch, refs)
            if len(commits) >= self.git.discovery_limit:
                break
        commits = commits[: self.git.discovery_limit]
        await self.look.memory.keep("git", self._key, _Seen(head=observed, listing=listing, commits=commits))
        return commits

    def _warn(self) -> None:
        for field, value, instead in (
            ("allowTags", self.git.allow_tags, "allowTagsRegexes"),
            ("ignoreTags", self.git.ignore_tags, "ignoreTagsRegexes"),
        ):
            if value:
                self.look.warn(f"git {self.remote.shown}: {field} is gone from Kargo since 1.11, use {instead} instead")

    def _names(self, refs: RemoteRefs) -> list[str]:
        """The tags that count by their names, in the order in which they are tried where the names decide it."""
        git = self.git
        names = TagRules(git.allowed_tags(), git.ignore_tags_regexes, git.ignore_tags).filter(refs.tags)
        if git.commit_selection_strategy is CommitSelectionStrategy.SEMVER:
            return by_version(names, constraint=git.semver_constraint, strict=git.strict_semvers)
        return lexically(names)

    def _batches(self, names: list[str]) -> Iterator[list[str]]:
        """All at once where the order depends on what the tags hold, else as few as may suffice."""
        if self.git.commit_selection_strategy is CommitSelectionStrategy.NEWEST_TAG:
            yield names
        else:
            yield from _batched(names, self.git.discovery_limit)

    def _read_tags(self, path: Path, names: list[str], refs: RemoteRefs) -> list[DiscoveredCommit]:
        """Blocks."""
        with history(path) as opened:
            found = [
                opened.tag(name, commit=refs.tags[name], object_id=refs.tag_objects.get(name, "")) for name in names
            ]
            tags = [tag for tag in found if tag is not None]
            if self.git.commit_selection_strategy is CommitSelectionStrategy.NEWEST_TAG:
                # As `git for-each-ref --sort=-creatordate`: among those of one moment by name.
                tags.sort(key=lambda tag: tag.name)
                tags.sort(key=lambda tag: tag.created_at, reverse=True)
            return [_from_tag(tag) for tag in self._chosen(opened, tags)]

    # Filters

    def _chosen(self, opened: History, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """The first candidates that pass the filters, up to the limit. Raises ExpressionError."""
        limit = self.git.discovery_limit
        if not self.paths and not self.git.expression_filter:
            return list(islice(candidates, limit))
        chosen: list[_Candidate] = []
        for batch in _batched(candidates, limit):
            passed = [candidate for candidate in batch if self._passes(candidate)]
            if self.paths:
                changed = opened.changed_paths(list({_commit(one).id: _commit(one) for one in passed}.values()))
                passed = [candidate for candidate in passed if self.paths.matches(changed[_commit(candidate).id])]
            chosen += passed
            if len(chosen) >= limit:
                break
        return chosen[:limit]

    def _passes(self, candidate: Commit | Tag) -> bool:
        if not self.git.expression_filter:
            return True
        commit = _commit(candidate)
        if isinstance(candidate, Tag):
            name = f"tag {candidate.name}"
            environment = tag_environment(
                tag=candidate.name,
                commit=commit.id,
                creator_date=candidate.created_at,
                author=commit.author,
                committer=commit.committer,
                subject=commit.subject,
                tagger=candidate.tagger,
                annotation=candidate.annotation,
            )
        else:
            name = f"commit {commit.id}"
            environment = commit_environment(
                commit=commit.id,
                commit_date=commit.committed_at,
                author=commit.author,
                committer=commit.committer,
                subject=commit.subject,
            )
        try:
            return evaluate_criterion(self.git.expression_filter, environment)
        except ExpressionError as error:
            raise error.within(f"expressionFilter, at {name}") from None


def _commit(candidate: Commit | Tag) -> Commit:
    return candidate.commit if isinstance(candidate, Tag) else candidate


def _batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Batches that double in size: most searches end in the first, the others in few."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
        size = min(size * 2, MAX_BATCH)


def _from_branch(commit: Commit, branch: str) -> DiscoveredCommit:
    return DiscoveredCommit(
        id=commit.id,
        branch=branch,
        subject=shortened(commit.subject),
        author=commit.author,
        committer=commit.committer,
        creator_date=commit.committed_at,
    )


def _from_tag(tag: Tag) -> DiscoveredCommit:
    return DiscoveredCommit(
        id=tag.commit.id,
        tag=tag.name,
        subject=shortened(tag.commit.subject),
        author=tag.commit.author,
        committer=tag.commit.committer,
        creator_date=tag.created_at,
        tagger=tag.tagger or None,
        annotation=shortened(tag.annotation) or None,
    )


def _digest(tags: list[tuple[str, str, str]]) -> str:
    return "tags:" + hashlib.sha256("\n".join(" ".join(tag) for tag in tags).encode()).hexdigest()


def _host(repo_url: str) -> str:
    """The host of a repository's address, the short SSH form (`git@host:path`) included."""
    return urlsplit(repo_url).netloc.rpartition("@")[2] or repo_url.partition(":")[0].rpartition("@")[2]


def _failure(error: GitError | CredentialUnusable) -> LookFailed:
    if isinstance(error, RemoteBusy):
        plight = "it takes no more requests for now"
        return LookFailed(str(error), plight=plight, limited=True, retry_after=error.retry_after)
    troubled = isinstance(error, RemoteUnreachable | GitTimeout)
    return LookFailed(str(error), plight="it is in trouble or can't be reached" if troubled else "")
