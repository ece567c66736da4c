"""Looking for commits: the mainline of a branch (Kargo: pkg/controller/git/commit, NewestFromBranch).

The branch's head is compared first: where it has not moved, nothing is fetched.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from activities.credentials import CredentialKind, CredentialUnsupported
from activities.discovery.look import Look, LookFailed, subscriber
from activities.git.errors import GitError, GitTimeout, RemoteUnreachable
from activities.git.history import Commit
from activities.git.refs import Remote
from model.resources.warehouse import (
    CommitSelectionStrategy,
    DiscoveredCommit,
    GitDiscoveryResult,
    GitSubscription,
    RepoSubscription,
)
from model.selection import shortened


class _Seen(BaseModel):
    """The last look at one subscription."""

    #: Where the branch was.
    head: str
    commits: list[DiscoveredCommit] = Field(default_factory=list)


@subscriber("git")
async def find_commits(subscription: RepoSubscription, look: Look) -> GitDiscoveryResult:
    """The newest commits of a branch, newest first, up to the discovery limit."""
    git = subscription.git
    if git is None:
        raise LookFailed("this is no Git subscription")
    _refuse_unsupported(git)
    try:
        remote = await asyncio.to_thread(_remote, git, look)
        async with look.asking(_host(git.repo_url)):
            commits = await _commits(git, remote, look)
    except (GitError, CredentialUnsupported) as error:
        raise _failure(error) from error
    return GitDiscoveryResult(repo_url=git.repo_url, commits=commits, subscription_name=subscription.name)


def _refuse_unsupported(git: GitSubscription) -> None:
    """Raise LookFailed for what would otherwise be ignored."""
    if git.commit_selection_strategy is not CommitSelectionStrategy.NEWEST_FROM_BRANCH:
        raise LookFailed(
            f"commitSelectionStrategy {git.commit_selection_strategy} is not supported yet; "
            "NewestFromBranch is (the default)"
        )
    unsupported = {
        "expressionFilter": git.expression_filter,
        "includePaths": git.include_paths,
        "excludePaths": git.exclude_paths,
        "blobless": git.blobless,
    }
    for field, value in unsupported.items():
        if value:
            raise LookFailed(f"{field} is not supported yet; leave it out")


def _remote(git: GitSubscription, look: Look) -> Remote:
    return Remote(
        git.repo_url,
        look.credentials.find(look.project, CredentialKind.GIT, git.repo_url),
        git.insecure_skip_tls_verify,
    )


async def _commits(git: GitSubscription, remote: Remote, look: Look) -> list[DiscoveredCommit]:
    key = [look.project, git.model_dump(mode="json", by_alias=True)]
    try:
        refs = await look.git.refs(remote, branches=[git.branch] if git.branch else [], tags=[])
        head = refs.branches.get(git.branch, "") if git.branch else refs.head
        if not head:
            raise LookFailed(
                f"{remote.shown} has no branch {git.branch}: check `branch`, or push it"
                if git.branch
                else f"{remote.shown} has no default branch with commits: name one as `branch`, or push it"
            )
        seen = await look.memory.recall("git", key, _Seen)
        if seen is not None and seen.head == head:
            return seen.commits
        found = await look.git.history(remote, head, limit=git.discovery_limit, since=git.since)
    except GitError as error:
        raise _failure(error) from error
    commits = [_candidate(commit, git.branch) for commit in found]
    await look.memory.keep("git", key, _Seen(head=head, commits=commits))
    return commits


def _candidate(commit: Commit, branch: str) -> DiscoveredCommit:
    return DiscoveredCommit(
        id=commit.id,
        branch=branch,
        subject=shortened(commit.subject),
        author=commit.author,
        committer=commit.committer,
        creator_date=commit.committed_at,
    )


def _host(repo_url: str) -> str:
    """The host of a repository's address, the short SSH form (`git@host:path`) included."""
    return urlsplit(repo_url).netloc.rpartition("@")[2] or repo_url.partition(":")[0].rpartition("@")[2]


def _failure(error: GitError | CredentialUnsupported) -> LookFailed:
    troubled = isinstance(error, RemoteUnreachable | GitTimeout)
    return LookFailed(str(error), plight="it is in trouble or can't be reached" if troubled else "")
