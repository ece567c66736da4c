"""`git-push`: brings what was committed or tagged in a worktree to the remote repository, once."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, model_validator

from activities.git.clone import Worktree
from activities.git.errors import GitError, InvalidRef, PushOutdated, PushRefused
from activities.git.hosts import Provider, commit_url
from activities.git.refs import Remote, branch_ref, commit_id, tag_ref
from activities.steps.git_remote import worktree_of
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, StepOutput, step
from model.steps import Effect
from model.urls import normalize_git

#: Attempts, and the pauses between them (Kargo: git_pusher.go): seconds, growth, most, jitter.
ATTEMPTS = 10
PAUSE, GROWTH, LONGEST, JITTER = 1.0, 1.5, 30.0, 0.5

Policy = Literal["AlwaysRebase", "RebaseOrMerge", "RebaseOrFail", "AlwaysMerge"]


class GitPushConfig(StepConfig):
    """Kargo: schemas/git-push-config.json. Without a target: the branch that is checked out."""

    #: The worktree.
    path: str = Field(min_length=1)
    #: The branch to push to.
    target_branch: str | None = None
    #: Push to a branch of this promotion's own: `kargo/promotion/<promotion>`.
    generate_target_branch: bool | None = None
    #: Push this tag, not a branch.
    tag: str | None = None
    #: Overwrite what the remote branch holds.
    force: bool | None = None
    #: How often to integrate and push before giving up; 10 unless given.
    max_attempts: int | None = Field(default=None, ge=1, le=2147483647)
    #: Kind of Git host, for the output commitURL, where its name does not tell.
    provider: Provider | None = None

    @model_validator(mode="after")
    def _one_target(self) -> GitPushConfig:
        if sum(map(bool, (self.target_branch, self.generate_target_branch, self.tag))) > 1:
            raise ValueError("only one of targetBranch, generateTargetBranch and tag may be given")
        if self.tag and self.force:
            raise ValueError("force does not go with tag")
        return self


class GitPushOutput(StepOutput):
    """What was pushed, and where to."""

    #: The commit that was pushed; another than was committed where new work was integrated.
    commit: str
    #: The branch it was pushed to.
    branch: str | None = None
    #: The tag that was pushed.
    tag: str | None = None
    #: The commit's page at the Git host, where that is known.
    commit_url: str | None = None


@step("git-push", config=GitPushConfig, output=GitPushOutput, effect=Effect.EXTERNAL, restores=True)
async def git_push(config: GitPushConfig, context: StepContext) -> GitPushOutput:
    """Push; where the remote branch has moved, integrate what is new there, and push again.

    A merge conflict is Failed: people must solve it. A push that the remote refuses (protected branch, hook) is Errored
    with the remote's words. An attempt after a lost one first looks whether its commit is there already.
    In a rebuild nothing is pushed: the worktree gets back what integrating had made of it.
    """
    tree, remote = await worktree_of(context, config.path)
    if context.recorded is not None:
        recorded = GitPushOutput.model_validate(dict(context.recorded))
        await check_out(tree, remote, recorded.commit)
        return recorded
    branch = generated_branch(context) if config.generate_target_branch else config.target_branch or tree.branch()
    ref = target(config.path, branch, config.tag)
    push = Push(
        tree,
        remote,
        ref,
        # A generated branch is this promotion's alone: what is there came from a lost attempt.
        force=bool(config.force or config.generate_target_branch),
        policy=context.outside.settings.git_push_integration_policy,
        repeated=context.repeated,
    )
    try:
        if config.tag:
            async with context.outside.git.turn("push", normalize_git(tree.clone.url), ref):
                commit = await push.tag(config.tag)
        else:
            commit = await with_retries(push, context, config.max_attempts or ATTEMPTS)
    except PushRefused as error:
        raise StepErrored(str(error), final=True) from None
    await tree.clone.give_back()
    return GitPushOutput(
        commit=commit,
        branch=branch,
        tag=config.tag or None,
        commit_url=commit_url(tree.clone.url, commit, config.provider),
    )


def generated_branch(context: StepContext) -> str:
    """The branch of a promotion's own, that `generateTargetBranch` asks for."""
    return f"kargo/promotion/{context.promotion}"


def target(path: str, branch: str | None, tag: str | None = None) -> str:
    """Full name of the ref to push to. Raises StepErrored where there is none to take, StepFailed for a bad name."""
    if branch is None and not tag:
        raise StepErrored(f"no branch is checked out at {path}: set targetBranch or generateTargetBranch", final=True)
    try:
        return tag_ref(tag) if tag else branch_ref(branch or "")
    except InvalidRef as error:
        raise StepFailed(str(error)) from None


async def check_out(tree: Worktree, remote: Remote, commit: str) -> None:
    """Check out the commit that was pushed, where pushing had made it another than the one that was committed."""
    if commit != await tree.head():
        await tree.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", commit_id(commit), remote=remote
        )
        await tree.run("reset", "--quiet", "--hard", commit_id(commit), remote=remote)


async def with_retries(push: Push, context: StepContext, attempts: int) -> str:
    """Push to the branch, again while others push to it meanwhile; returns the id of the commit that is there now."""
    pause = PAUSE
    for attempt in range(1, attempts + 1):
        try:
            # One push to a branch at a time in this process: between processes the attempts settle it.
            async with context.outside.git.turn("push", normalize_git(push.tree.clone.url), push.ref):
                return await push.branch()
        except PushOutdated as error:
            if attempt == attempts:
                raise StepErrored(f"the remote branch kept moving, after {attempts} attempts: {error}") from None
        await asyncio.sleep(pause * (1 + JITTER * random.random()))  # noqa: S311  # spreads attempts, hides nothing
        pause = min(pause * GROWTH, LONGEST)
    raise AssertionError("unreachable")


@dataclass
class Push:
    """One push of a worktree's HEAD, or of a tag."""

    tree: Worktree
    remote: Remote
    #: Full name of what is pushed to.
    ref: str
    force: bool
    policy: Policy
    repeated: bool

    async def branch(self) -> str:
        """Push HEAD to the branch, and return the id of the commit that is there now.

        Raises PushOutdated where another push came between, PushRefused, StepFailed on a conflict, GitError.
        """
        if self.force:
            if not (self.repeated and await self._tip() == await self.tree.head()):
                await self._update(force=True)
            return await self.tree.head()
        if self.repeated and (there := await self._pushed_before()):
            return there
        try:
            await self._update(force=False)
        except PushOutdated:
            await self._integrate()
            await self._update(force=False)
        return await self.tree.head()

    async def tag(self, name: str) -> str:
        """Push a tag, and return the id of the commit that is checked out. One that exists is never moved."""
        try:
            await self._send(f"{self.ref}:{self.ref}")
        except (PushOutdated, PushRefused) as error:
            if "already exists" not in str(error):
                raise
            raise StepErrored(f"{self.remote.shown} has a tag {name} already, on another commit", final=True) from None
        except GitError as error:
            if "src refspec" not in str(error):
                raise
            raise StepErrored(f"there is no tag {name} here: make it with git-tag", final=True) from None
        return await self.tree.head()

    async def _update(self, *, force: bool) -> None:
        """Bring HEAD to the remote branch. Raises PushOutdated where that has moved, and there is no force."""
        await self._send(f"{'+' if force else ''}HEAD:{self.ref}")

    async def _send(self, refspec: str) -> None:
        await self.tree.run("push", "--porcelain", "origin", refspec, remote=self.remote)

    async def _tip(self) -> str | None:
        """Where the remote branch is now."""
        name = self.ref.removeprefix("refs/heads/")
        refs = await self.tree.clone.git.refs(self.remote, branches=[name], tags=[])
        return refs.branches.get(name)

    async def _fetch(self, tip: str) -> None:
        await self.tree.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", f"+{tip}:refs/towpath/remote",
            remote=self.remote,
        )  # fmt: skip

    async def _pushed_before(self) -> str | None:
        """The commit that a lost attempt brought to the remote branch: HEAD itself, its merge, or its rebased self."""
        tip, head = await self._tip(), await self.tree.head()
        if tip is None or tip == head:
            return tip
        await self._fetch(tip)
        if await self._contains(tip, head):
            merges = await self._revisions("--ancestry-path", "--merges", "--reverse", "--parents", f"{head}..{tip}")
            for line in merges:
                merge, *parents = line.split()
                if head in parents and self.policy != "AlwaysRebase":
                    return merge
            # Only what this promotion committed can have been pushed by it; else HEAD is merely behind.
            return head if self._own(head) else None
        if await self._revisions("--left-only", "--cherry-pick", "--no-merges", f"{head}...{tip}"):
            return None
        rebased = [
            line[1:]
            for line in await self._revisions("--right-only", "--cherry-mark", "--no-merges", f"{head}...{tip}")
            if line.startswith("=")
        ]
        return rebased[0] if rebased else None

    def _own(self, head: str) -> bool:
        """Whether HEAD was committed in this worktree after it was checked out."""
        return head != self.tree.base()

    async def _contains(self, tip: str, commit: str) -> bool:
        return (await self.tree.run("merge-base", "--is-ancestor", commit, tip, accept=(0, 1))).code == 0

    async def _revisions(self, *options: str) -> list[str]:
        return (await self.tree.run("rev-list", *options, remote=self._lazily())).lines()

    def _lazily(self) -> Remote | None:
        """A clone without blobs fetches them when a rebase or merge needs them."""
        return self.remote if self.tree.clone.blobless else None

    async def _integrate(self) -> None:
        """Bring what the remote branch has and HEAD has not below HEAD, as the operator's policy says."""
        tip = await self._tip()
        if tip is None:
            return
        await self._fetch(tip)
        if self.policy != "AlwaysMerge" and (self.policy == "AlwaysRebase" or await self._rebases_safely(tip)):
            await self._rebase(tip)
        elif self.policy == "RebaseOrFail":
            raise StepFailed(
                "a rebase would take a commit's signature away, or give it one, and the policy RebaseOrFail forbids it"
            )
        else:
            await self._merge(tip)

    async def _rebases_safely(self, tip: str) -> bool:
        """Whether what a rebase would replay keeps what it has: all signed by the clone's key, or none and no key."""
        commits = await self._revisions(f"{tip}..HEAD")
        if not commits:
            return True
        if self.tree.clone.keyring is not None:
            async with self.tree.signing() as config:
                shown = await self.tree.run("log", "--no-walk=unsorted", "--format=%G?", *commits, "--", config=config)
            return set(shown.lines()) == {"G"}
        raw = await self.tree.run("cat-file", "--batch", stdin="".join(f"{commit}\n" for commit in commits))
        return not any(line.startswith("gpgsig") for line in raw.lines())

    async def _rebase(self, tip: str) -> None:
        """Replay the own commits on the remote's, with their authors' dates: the same again gives the same ids."""
        date = await self._date("HEAD")
        identity = self.tree.clone.author.environment(date, "COMMITTER")
        async with self.tree.signing(date) as signing:
            done = await self.tree.run(
                "rebase", "--quiet", "--committer-date-is-author-date", "--no-autostash", "--no-verify", tip,
                environment=identity, accept=(0, 1), remote=self._lazily(), config=signing,
            )  # fmt: skip
        if done.code:
            await self._give_up("rebase", done.err)

    async def _merge(self, tip: str) -> None:
        """Merge the remote's commits, dated like HEAD, so that the same again gives the same id."""
        date = await self._date("HEAD")
        async with self.tree.signing(date) as signing:
            done = await self.tree.run(
                "merge", "--quiet", "--no-edit", "--no-verify", "--allow-unrelated-histories",
                "-m", f"Merge branch '{self.ref.removeprefix('refs/heads/')}'", tip,
                environment=self.tree.identity(date), accept=(0, 1), remote=self._lazily(), config=signing,
            )  # fmt: skip
        if done.code:
            await self._give_up("merge", done.err)

    async def _date(self, commit: str) -> datetime:
        text = (await self.tree.run("log", "-1", "--format=%ct", commit)).out.strip()
        return datetime.fromtimestamp(int(text), UTC)

    async def _give_up(self, action: str, words: str) -> None:
        conflicts = (await self.tree.run("diff", "--name-only", "--diff-filter=U")).lines()
        await self.tree.run(action, "--abort", accept=(0, 128))
        branch = self.ref.removeprefix("refs/heads/")
        if conflicts:
            raise StepFailed(
                f"merge conflict: {branch} changed at the remote in the same places: {', '.join(conflicts[:10])}"
            )
        raise StepErrored(f"what is new on {branch} at the remote could not be integrated: {words}")
