"""Looking for commits: the mainline of a branch (Kargo: pkg/controller/git/commit, NewestFromBranch).

The branch's head is compared first: where it has not moved, nothing is fetched.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from activities.discovery.history import Commit, HistoryUnreadable
from activities.discovery.look import Look, LookFailed, subscriber
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
    async with look.asking(look.history.host(git.repo_url)):
        try:
            commits = await _commits(git, look)
        except HistoryUnreadable as error:
            raise LookFailed(
                str(error),
                plight="it is in trouble or can't be reached" if error.host_fault else "",
                retry_after=error.retry_after,
            ) from error
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


async def _commits(git: GitSubscription, look: Look) -> list[DiscoveredCommit]:
    key = [look.project, git.model_dump(mode="json", by_alias=True)]
    verify = not git.insecure_skip_tls_verify
    ref = f"refs/heads/{git.branch}" if git.branch else "HEAD"
    refs = await look.history.refs(look.project, git.repo_url, [ref], verify=verify)
    head = refs.get(ref)
    if head is None:
        raise LookFailed(
            f"{git.repo_url} has no branch {git.branch}; check `branch`, or push it"
            if git.branch
            else f"{git.repo_url} has no commits yet"
        )
    seen = await look.memory.recall("git", key, _Seen)
    if seen is not None and seen.head == head:
        return seen.commits
    found = await look.history.mainline(
        look.project, git.repo_url, ref, limit=git.discovery_limit, since=git.since, verify=verify
    )
    commits = [_candidate(commit, git.branch) for commit in found]
    # What was fetched may be newer than the head that was listed before: then the next look fetches once more.
    await look.memory.keep("git", key, _Seen(head=head, commits=commits))
    return commits


def _candidate(commit: Commit, branch: str) -> DiscoveredCommit:
    return DiscoveredCommit(
        id=commit.id,
        branch=branch,
        subject=shortened(commit.subject),
        author=commit.author,
        committer=commit.committer,
        creator_date=commit.date,
    )
