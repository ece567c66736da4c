"""`git-clone`: a repository's commits, checked out to worktrees in the workspace."""

from __future__ import annotations

import asyncio
import posixpath
from pathlib import Path

from pydantic import Field, model_validator

from activities.git.clone import FIRST_COMMIT_AUTHOR, FIRST_COMMIT_MESSAGE, FIRST_COMMIT_TIME, Author, Clone
from activities.git.errors import InvalidRef, MirrorBroken, PushOutdated, PushRefused, TransportRefused
from activities.git.refs import Remote, RemoteRefs, branch_ref, commit_id, tag_ref
from activities.git.signing import SigningKeyInvalid
from activities.steps.git_remote import AuthorConfig, remote_of, signing_key
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from model.steps import Effect


class Checkout(StepConfig):
    """One revision and the path of its worktree. Without branch, commit and tag: the default branch."""

    #: Where the worktree is made.
    path: str = Field(min_length=1)
    #: Key in the output `commits`; the path where not given.
    as_: str | None = Field(default=None, alias="as")
    #: Check out this branch.
    branch: str | None = None
    #: Check out this commit; no branch then.
    commit: str | None = None
    #: Check out this tag; no branch then.
    tag: str | None = None
    #: Create the branch, empty, where the remote has none of that name.
    create: bool | None = None
    #: Directories to check out, and no others.
    sparse: list[str] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_revision(self) -> Checkout:
        if sum(bool(revision) for revision in (self.branch, self.commit, self.tag)) > 1:
            raise ValueError("only one of branch, commit and tag may be given")
        if self.create and not self.branch:
            raise ValueError("create goes with branch")
        for name in self.sparse or ():
            if not name or any(character in name for character in "*?[]!\\\n\0"):
                raise ValueError("sparse takes directories below the repository's root, without patterns")
        return self

    @property
    def key(self) -> str:
        return self.as_ or self.path


class GitCloneConfig(StepConfig):
    """Kargo: schemas/git-clone-config.json."""

    #: The repository.
    repo_url: str = Field(alias="repoURL", min_length=1)
    #: What to check out, each into a worktree of its own.
    checkout: list[Checkout] = Field(min_length=1)
    #: Accept any certificate of the host.
    insecure_skip_tls_verify: bool | None = Field(default=None, alias="insecureSkipTLSVerify")
    #: Check out submodules too.
    recurse_submodules: bool | None = None
    #: Fetch contents of files only as they are needed.
    blobless: bool | None = None
    #: Who makes commits in these worktrees; by default as the worker's settings say.
    author: AuthorConfig | None = None

    @model_validator(mode="after")
    def _distinct(self) -> GitCloneConfig:
        keys = [checkout.as_ for checkout in self.checkout if checkout.as_]
        if len(keys) != len(set(keys)):
            raise ValueError("two checkouts have the same `as`")
        paths = [posixpath.normpath("/" + checkout.path) for checkout in self.checkout]
        if len(paths) != len(set(paths)):
            raise ValueError("two checkouts have the same path")
        branches = [checkout.branch for checkout in self.checkout if checkout.branch]
        if len(branches) != len(set(branches)):
            raise ValueError("two checkouts have the same branch: Git checks it out once; use commit for one")
        return self


class GitCloneOutput(StepOutput):
    """Ids of the commits that were checked out, by `as` or path."""

    #: Commit id by `as`, or by path.
    commits: dict[str, str]


@step("git-clone", config=GitCloneConfig, output=GitCloneOutput, effect=Effect.WORKSPACE)
async def git_clone(config: GitCloneConfig, context: StepContext) -> GitCloneOutput:
    """Check out one or more revisions of a repository.

    In a rebuild the recorded commits are checked out, wherever the branches are by now. A created branch begins with a
    commit that is the same everywhere, so however often it is tried, it exists once.
    """
    settings = context.outside.settings
    author = config.author.author() if config.author else Author(settings.git_author_name, settings.git_author_email)
    blobless = bool(config.blobless)
    recorded = dict(context.recorded.get("commits") or {}) if context.recorded else {}
    try:
        remote = await remote_of(
            context, config.repo_url, insecure_skip_tls_verify=bool(config.insecure_skip_tls_verify)
        )
        refs = await _refs(config, context, remote)
        wanted = [_wanted(checkout, refs, remote, recorded.get(checkout.key)) for checkout in config.checkout]
        for checkout in config.checkout:
            if checkout.branch:
                branch_ref(checkout.branch)
    except (InvalidRef, TransportRefused) as error:
        raise StepErrored(str(error), final=True) from None
    commits = [
        await _create_branch(context, remote, checkout.branch or "") if commit is None else commit
        for checkout, commit in zip(config.checkout, wanted, strict=True)
    ]

    paths = [context.path(checkout.path) for checkout in config.checkout]
    clone, commits = await _clone(context, remote, commits, author, blobless=blobless)
    if key := await signing_key(config.author, context):
        try:
            await clone.sign_with(key)
        except SigningKeyInvalid as error:
            raise StepErrored(str(error), final=True) from None
    for checkout, path, commit in zip(config.checkout, paths, commits, strict=True):
        await _refuse_occupied(path, checkout.path)
        branch = checkout.branch or (refs.default if not (checkout.commit or checkout.tag) else None)
        tree = await clone.add_worktree(
            path, commit, branch=branch or None, sparse=checkout.sparse or [], remote=remote
        )
        if config.recurse_submodules:
            await tree.run("submodule", "--quiet", "update", "--init", "--recursive", remote=remote)
    return GitCloneOutput(
        commits={checkout.key: commit for checkout, commit in zip(config.checkout, commits, strict=True)}
    )


async def _refs(config: GitCloneConfig, context: StepContext, remote: Remote) -> RemoteRefs:
    """What the remote has of what is asked for. Asked in a rebuild too: the remote says who may see the repository."""
    return await context.outside.git.refs(
        remote,
        branches=[checkout.branch for checkout in config.checkout if checkout.branch],
        tags=[checkout.tag for checkout in config.checkout if checkout.tag],
    )


def _wanted(checkout: Checkout, refs: RemoteRefs, remote: Remote, recorded: str | None) -> str | None:
    """The commit to check out; None where its branch is to be created. Raises StepErrored where there is none."""
    if recorded:
        return commit_id(recorded)
    if checkout.commit:
        return commit_id(checkout.commit)
    if checkout.tag:
        tag_ref(checkout.tag)
        if checkout.tag not in refs.tags:
            raise StepErrored(f"{remote.shown} has no tag {checkout.tag}", final=True)
        return refs.tags[checkout.tag]
    if not checkout.branch:
        if not refs.head:
            raise StepErrored(
                f"{remote.shown} has no default branch to check out at {checkout.path}: name a branch", final=True
            )
        return refs.head
    if checkout.branch in refs.branches:
        return refs.branches[checkout.branch]
    if not checkout.create:
        raise StepErrored(
            f"{remote.shown} has no branch {checkout.branch}; set create: true to have it created", final=True
        )
    return None


async def _create_branch(context: StepContext, remote: Remote, branch: str) -> str:
    """Push the first commit as a new branch, and return its id; or that of the branch where another was faster."""
    git = context.outside.git
    mirror = await git.fetched(remote, [])
    identity = {
        **FIRST_COMMIT_AUTHOR.environment(FIRST_COMMIT_TIME, "AUTHOR"),
        **FIRST_COMMIT_AUTHOR.environment(FIRST_COMMIT_TIME, "COMMITTER"),
    }
    empty = await git.command.run("hash-object", "-w", "-t", "tree", "--stdin", git_dir=mirror, stdin="")
    commit = (
        await git.command.run(
            "commit-tree", empty.out.strip(), git_dir=mirror, environment=identity, stdin=FIRST_COMMIT_MESSAGE
        )
    ).out.strip()
    ref = branch_ref(branch)
    if context.preview:
        return commit
    try:
        await git.command.run(
            "push", "--porcelain", f"--force-with-lease={ref}:", "origin", f"{commit}:{ref}",
            git_dir=mirror, remote=remote,
        )  # fmt: skip
    except PushOutdated:
        refs = await git.refs(remote, branches=[branch], tags=[])
        if branch not in refs.branches:
            raise
        return refs.branches[branch]
    except PushRefused as error:
        raise StepErrored(f"branch {branch} could not be created: {error}", final=True) from None
    return commit


async def _clone(
    context: StepContext, remote: Remote, commits: list[str], author: Author, *, blobless: bool
) -> tuple[Clone, list[str]]:
    """The clone with these commits, and their full ids."""
    git = context.outside.git
    for last in (False, True):
        mirror = await git.fetched(remote, commits, blobless=blobless)
        full = [commit if len(commit) in (40, 64) else await git.resolved(mirror, commit, remote) for commit in commits]
        try:
            clone = await Clone.create(git, context.workspace, context.alias, remote, mirror, author, blobless=blobless)
        except MirrorBroken:
            # Someone deleted the mirror between the fetch and the links.
            if last:
                raise
            continue
        return clone, full
    raise AssertionError("unreachable")


async def _refuse_occupied(path: Path, name: str) -> None:
    def occupied() -> bool:
        return path.exists() and not (path.is_dir() and not any(path.iterdir()))

    if await asyncio.to_thread(occupied):
        raise StepErrored(f"{name} exists already and is not empty", final=True)
