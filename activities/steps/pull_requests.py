"""`git-open-pr`, `git-wait-for-pr` and `git-merge-pr`: pull requests as steps of a promotion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import Field

from activities.git.errors import InvalidRef, TransportRefused
from activities.git.hosts import Provider
from activities.git.refs import Remote, branch_ref
from activities.pull_requests.api import HostError
from activities.pull_requests.hosts import pull_requests_of
from activities.pull_requests.pull_request import MergeRefused, NotReady, Proposal, PullRequest, PullRequests
from activities.steps.git_remote import remote_of
from activities.steps.registry import (
    NotYet,
    StepConfig,
    StepContext,
    StepErrored,
    StepFailed,
    StepOutput,
    StepSkipped,
    step,
)
from model.base import Duration
from model.steps import Effect
from model.urls import normalize_git

#: Kargo's floor: nothing is polled more often.
LEAST_POLL_INTERVAL = timedelta(seconds=10)
WAIT_INTERVAL = timedelta(seconds=30)
MERGE_INTERVAL = timedelta(seconds=10)
#: How far the host's clock may be behind ours.
CLOCK_SKEW = timedelta(minutes=1)
#: Statuses by which hosts say that there is such a pull request already.
_EXISTS = {400, 409, 422}


class RepositoryConfig(StepConfig):
    """What the three steps share: where the repository is, and what kind of host that is."""

    repo_url: str = Field(alias="repoURL", min_length=1, description="Address of the repository.")
    provider: Provider | None = Field(
        default=None, description="Kind of Git host, where the host's name doesn't tell (self-hosted instances)."
    )
    insecure_skip_tls_verify: bool | None = Field(
        default=None, alias="insecureSkipTLSVerify", description="Accept any TLS certificate of the host."
    )


class GitOpenPRConfig(RepositoryConfig):
    """Kargo: schemas/git-open-pr-config.json."""

    source_branch: str = Field(min_length=1, description="Branch with the changes; it must be pushed already.")
    target_branch: str = Field(min_length=1, description="Branch to merge them into; it must exist.")
    create_target_branch: bool | None = Field(
        default=None, description="Deprecated, and without effect: git-clone's create: true makes branches."
    )
    title: str | None = Field(
        default=None, min_length=1, description="Title. Default: first line of the message of the head commit."
    )
    description: str | None = Field(
        default=None, min_length=1, description="Text. Default: the rest of the message of the head commit."
    )
    labels: list[str] | None = Field(default=None, description="Labels to put on it; Bitbucket has none.")


class GitWaitForPRConfig(RepositoryConfig):
    """Kargo: schemas/git-wait-for-pr-config.json."""

    pr_number: int = Field(ge=1, description="Number of the pull request, such as outputs['open-pr'].pr.id.")
    poll_interval: Duration | None = Field(
        default=None, description="Pause between two looks: at least 10s, default 30s."
    )


class GitMergePRConfig(RepositoryConfig):
    """Kargo: schemas/git-merge-pr-config.json."""

    pr_number: int = Field(ge=1, description="Number of the pull request, such as outputs['open-pr'].pr.id.")
    merge_method: str | None = Field(
        default=None, min_length=1, description="How to merge, in the host's words: merge, squash, rebase …"
    )
    wait: bool | None = Field(
        default=None, description="Try again until it can be merged. Else one that can't be merged now is Failed."
    )
    poll_interval: Duration | None = Field(
        default=None, description="Pause between two tries, with wait: at least 10s, default 10s."
    )


class OpenedPullRequest(StepOutput):
    """A pull request that was opened, or was there already."""

    id: int = Field(description="Its number in the repository.")
    url: str = Field(description="Its page.")


class GitOpenPROutput(StepOutput):
    """What git-open-pr opened, or found open or merged."""

    pr: OpenedPullRequest


class WatchedPullRequest(OpenedPullRequest):
    """A pull request and its state."""

    open: bool = Field(description="It is open.")
    merged: bool = Field(description="It was merged.")


class GitWaitForPROutput(StepOutput):
    """What became of the pull request."""

    pr: WatchedPullRequest
    commit: str | None = Field(default=None, description="Id of the commit that merging it made.")


class GitMergePROutput(StepOutput):
    """What merging made."""

    commit: str = Field(description="Id of the commit that merging it made.")


@step("git-open-pr", config=GitOpenPRConfig, output=GitOpenPROutput, effect=Effect.EXTERNAL)
async def git_open_pr(config: GitOpenPRConfig, context: StepContext) -> GitOpenPROutput:
    """Open a pull request; one that is open already, or was merged with the same commit, is taken instead.

    Skipped where the branches hold the same files. An attempt after a lost one takes what that opened, even if
    someone closed it since: there are never two.
    """
    if config.create_target_branch:
        context.warn("createTargetBranch has no effect, as in Kargo: let git-clone make the branch with create: true")
    try:
        branch_ref(config.source_branch)
        branch_ref(config.target_branch)
    except InvalidRef as error:
        raise StepFailed(str(error)) from None
    turn = ("pull-request", normalize_git(config.repo_url), config.source_branch, config.target_branch)
    async with context.outside.git.turn(*turn), _opened(config, context) as (remote, pulls):
        found = await pulls.find(config.source_branch, config.target_branch)
        refs = await context.outside.git.refs(remote, branches=[config.source_branch, config.target_branch], tags=[])
        head = refs.branches.get(config.source_branch, "")
        present = _adoptable(found, head, context)
        if present is not None:
            if context.repeated and config.labels and pulls.labels and present.open:
                await pulls.add_labels(present.number, config.labels)
            return _opened_output(present)
        for name in (config.source_branch, config.target_branch):
            if name not in refs.branches:
                raise StepErrored(f"{remote.shown} has no branch {name}: push it first", final=True)
        proposal = await _proposal(config, context, remote, head, refs.branches[config.target_branch])
        if config.labels and not pulls.labels:
            context.warn("labels are left out: this Git host has none on pull requests")
        try:
            return _opened_output(await pulls.create(proposal))
        except HostError as error:
            if error.status not in _EXISTS:
                raise
            # Another one, or a lost attempt of ours, was faster.
            found = await pulls.find(config.source_branch, config.target_branch)
            present = next((pull for pull in found if pull.open), None)
            if present is None:
                raise
            return _opened_output(present)


def _adoptable(found: list[PullRequest], head: str, context: StepContext) -> PullRequest | None:
    """The one to take instead of opening another, of those between the two branches, the newest first."""
    opened = [pull for pull in found if pull.open]
    if opened:
        return opened[0]
    same = [pull for pull in found if head and pull.head_commit and head.startswith(pull.head_commit)]
    merged = [pull for pull in same if pull.merged]
    if merged:
        return merged[0]
    if context.repeated:
        # The lost attempt's: merged with its branch deleted since, or closed by somebody.
        ours = [pull for pull in found if pull.created_at and pull.created_at >= context.started_at - CLOCK_SKEW]
        if ours:
            return ours[0]
    return None


async def _proposal(config: GitOpenPRConfig, context: StepContext, remote: Remote, head: str, base: str) -> Proposal:
    """Title and text as the config says, else as the head commit does. Raises StepSkipped where nothing differs."""
    git = context.outside.git
    mirror = await git.fetched(remote, [head, base])
    trees = await git.command.run("rev-parse", f"{head}^{{tree}}", f"{base}^{{tree}}", git_dir=mirror)
    if len(set(trees.lines())) == 1:
        raise StepSkipped(f"{config.source_branch} and {config.target_branch} hold the same files")
    message = (await git.command.run("log", "-1", "--format=%B", head, git_dir=mirror)).out.strip()
    title, _, rest = message.partition("\n")
    if config.title:
        title, rest = config.title, message
    description = config.description or rest.strip()
    if ui := context.outside.settings.ui_base_url:
        page = f"{ui.rstrip('/')}/project/{context.project}/stage/{context.stage}"
        description = f"{description}\n\n[View in Towpath]({page})".lstrip()
    return Proposal(config.source_branch, config.target_branch, title, description, config.labels or [])


@step(
    "git-wait-for-pr",
    config=GitWaitForPRConfig,
    output=GitWaitForPROutput,
    effect=Effect.PURE,
    polls=True,
    poll_interval=WAIT_INTERVAL,
)
async def git_wait_for_pr(config: GitWaitForPRConfig, context: StepContext) -> GitWaitForPROutput:
    """Wait until a pull request is merged. One that is closed without that is Failed."""
    async with _opened(config, context) as (_, pulls):
        pull = await pulls.get(config.pr_number)
    output = GitWaitForPROutput(
        pr=WatchedPullRequest(id=pull.number, url=pull.url, open=pull.open, merged=pull.merged),
        commit=pull.merge_commit or None,
    )
    shown = output.model_dump(mode="json", by_alias=True, exclude_none=True)
    if pull.open:
        after = max(config.poll_interval or WAIT_INTERVAL, LEAST_POLL_INTERVAL)
        raise NotYet(f"pull request {pull.number} is open: {pull.url}", shown, after=after)
    if not pull.merged:
        raise StepFailed(f"pull request {pull.number} was closed without being merged: {pull.url}", shown)
    return output


@step(
    "git-merge-pr",
    config=GitMergePRConfig,
    output=GitMergePROutput,
    effect=Effect.EXTERNAL,
    polls=True,
    poll_interval=MERGE_INTERVAL,
)
async def git_merge_pr(config: GitMergePRConfig, context: StepContext) -> GitMergePROutput:
    """Merge a pull request; one that is merged already is fine, so a lost attempt does no harm.

    Failed where it can't be merged: closed, conflicts, a method that the repository forbids; and, without `wait`,
    where it can't be merged yet.
    """
    async with _opened(config, context) as (_, pulls):
        try:
            pull = await pulls.merge(config.pr_number, config.merge_method or "")
        except MergeRefused as refused:
            raise StepFailed(str(refused)) from None
        except NotReady as waiting:
            if not (config.wait or waiting.underway):
                raise StepFailed(
                    f"pull request {config.pr_number} can't be merged yet: {waiting}; with wait: true the step tries "
                    "until it can"
                ) from None
            after = max(config.poll_interval or MERGE_INTERVAL, LEAST_POLL_INTERVAL)
            raise NotYet(f"pull request {config.pr_number} can't be merged yet: {waiting}", after=after) from None
    return GitMergePROutput(commit=pull.merge_commit)


@asynccontextmanager
async def _opened(config: RepositoryConfig, context: StepContext) -> AsyncIterator[tuple[Remote, PullRequests]]:
    """The repository and its pull requests. What goes wrong with the host is an error of the step."""
    try:
        remote = await remote_of(
            context, config.repo_url, insecure_skip_tls_verify=bool(config.insecure_skip_tls_verify)
        )
        async with pull_requests_of(remote, context.outside.settings, config.provider) as pulls:
            yield remote, pulls
    except TransportRefused as error:
        raise StepErrored(str(error), final=True) from None
    except HostError as error:
        raise errored(error) from None


def errored(error: HostError) -> StepErrored:
    """What a host's refusal means for the step. 4xx but "too many requests": the same again gives the same answer."""
    return StepErrored(str(error), final=400 <= error.status < 500 and error.status not in (408, 429))


def _opened_output(pull: PullRequest) -> GitOpenPROutput:
    return GitOpenPROutput(pr=OpenedPullRequest(id=pull.number, url=pull.url))
