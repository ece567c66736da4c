"""`github-push`: git-push by GitHub's API, which makes each commit anew, and can sign it with GitHub's own key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from pydantic import Field, model_validator

from activities.git.errors import PushOutdated, PushRefused
from activities.git.hosts import commit_url
from activities.pull_requests.api import HostApi, HostError
from activities.pull_requests.hosts import host_api
from activities.steps.git_push import ATTEMPTS, Push, check_out, generated_branch, target, with_retries
from activities.steps.git_remote import worktree_of
from activities.steps.pull_requests import errored
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from model.base import Json
from model.steps import Effect

#: What `git show` prints of a commit: tree, parents, author, committer, message.
_COMMIT = "--format=%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"


class GitHubPushConfig(StepConfig):
    """Kargo: schemas/github-push-config.json. Without a target: the branch that is checked out."""

    #: The worktree.
    path: str = Field(min_length=1)
    #: The branch to push to.
    target_branch: str | None = None
    #: Push to a branch of this promotion's own: `kargo/promotion/<promotion>`.
    generate_target_branch: bool | None = None
    #: Overwrite what the remote branch holds.
    force: bool | None = None
    #: How often to integrate and push before giving up; 10 unless given.
    max_attempts: int | None = Field(default=None, ge=1, le=2147483647)
    #: Accept any TLS certificate of GitHub's API.
    insecure_skip_tls_verify: bool | None = Field(default=None, alias="insecureSkipTLSVerify")

    @model_validator(mode="after")
    def _one_target(self) -> GitHubPushConfig:
        if self.target_branch and self.generate_target_branch:
            raise ValueError("only one of targetBranch and generateTargetBranch may be given")
        return self


class GitHubPushOutput(StepOutput):
    """What was pushed, and where to."""

    #: The commit that is on the branch now; another than was committed where GitHub signed it.
    commit: str
    #: The branch it was pushed to.
    branch: str
    #: The commit's page at GitHub.
    commit_url: str | None = None


@step("github-push", config=GitHubPushConfig, output=GitHubPushOutput, effect=Effect.EXTERNAL, restores=True)
async def github_push(config: GitHubPushConfig, context: StepContext) -> GitHubPushOutput:
    """Push a branch to GitHub by making each new commit there through the API.

    Takes the place of git-push, and integrates what is new at the remote as that does. Commits keep their author and
    committer; those that git-clone's signing key signed, and with the operator's setting
    TOWPATH_GITHUB_PUSH_VERIFY_UNTRUSTED_COMMITS all, are left to GitHub, which signs them and shows them as verified.
    The files travel on a hidden ref, refs/kargo/staging/…, deleted afterwards. The worktree ends at the commit that is
    on the branch. An attempt after a lost one looks whether its commits are there.
    """
    tree, remote = await worktree_of(context, config.path)
    if context.recorded is not None:
        recorded = GitHubPushOutput.model_validate(dict(context.recorded))
        await check_out(tree, remote, recorded.commit)
        return recorded
    branch = generated_branch(context) if config.generate_target_branch else config.target_branch or tree.branch()
    ref = target(config.path, branch)
    reached = replace(
        remote, insecure_skip_tls_verify=remote.insecure_skip_tls_verify or bool(config.insecure_skip_tls_verify)
    )
    settings = context.outside.settings
    try:
        async with host_api(reached, settings, "github") as (_, api, repository):
            push = GitHubPush(
                tree,
                remote,
                ref,
                # A generated branch is this promotion's alone: what is there came from a lost attempt.
                force=bool(config.force or config.generate_target_branch),
                policy=settings.git_push_integration_policy,
                repeated=context.repeated,
                api=api,
                root="/repos/{}/{}/git".format(*repository.owner_and_name()),
                staging=f"refs/kargo/staging/{_staged(context)}",
                most=settings.github_push_max_revisions,
                verified=settings.github_push_verify_untrusted_commits,
                warn=context.warn,
            )
            commit = await with_retries(push, context, config.max_attempts or ATTEMPTS)
    except PushRefused as error:
        raise StepErrored(str(error), final=True) from None
    except HostError as error:
        raise errored(error) from None
    await check_out(tree, remote, commit)
    await tree.clone.give_back()
    return GitHubPushOutput(
        commit=commit,
        branch=ref.removeprefix("refs/heads/"),
        commit_url=commit_url(tree.clone.url, commit, "github"),
    )


def _staged(context: StepContext) -> str:
    """A ref's last part that this step alone has, the same in each attempt. Aliases may hold what refs must not."""
    return hashlib.sha256(f"{context.project}/{context.promotion}/{context.alias}".encode()).hexdigest()[:32]


@dataclass
class GitHubPush(Push):
    """One push of a worktree's HEAD through GitHub's API."""

    api: HostApi
    #: Path of the repository's Git data in the API.
    root: str
    #: Full name of the ref that the files travel on.
    staging: str
    #: The most commits to make.
    most: int
    #: Leave author and committer to GitHub.
    verified: bool
    warn: Callable[[str], None]

    async def branch(self) -> str:
        if self.repeated and self.force and (there := await self._pushed_before()) and there == await self._tip():
            return there
        return await super().branch()

    async def _update(self, *, force: bool) -> None:
        head, tip = await self.tree.head(), await self._tip()
        if tip == head:
            return
        if tip is not None:
            await self._fetch(tip)
            if not force and not await self._contains(head, tip):
                raise PushOutdated(f"{self._name} holds commits at the remote that are not here")
        commits = await self._revisions("--reverse", "--topo-order", f"{tip or self.tree.base()}..{head}")
        if len(commits) > self.most:
            raise StepErrored(
                f"{len(commits)} commits would be made at GitHub, and TOWPATH_GITHUB_PUSH_MAX_REVISIONS allows "
                f"{self.most}: use git-push, or let the operator raise it",
                final=True,
            )
        await self._send(f"+{head}:{self.staging}")
        try:
            made = await self._replay(commits, head)
            await self._point(made, new=tip is None, force=force)
        finally:
            await self._clean()
        await check_out(self.tree, self.remote, made)

    @property
    def _name(self) -> str:
        return self.ref.removeprefix("refs/heads/")

    async def _replay(self, commits: list[str], head: str) -> str:
        """Make these commits at GitHub, parents first, and return the id of the last; `head` where there are none."""
        made: dict[str, str] = {}
        last = head
        for commit in commits:
            what = f"making commit {commit[:12]} at GitHub"
            body = await self._body(commit, made)
            answer = (await self.api.call("POST", f"{self.root}/commits", what, body=body)).body
            if not isinstance(answer, dict) or not isinstance(answer.get("sha"), str):
                raise HostError(f"{what}: the answer has no sha; is this GitHub?")
            last = made[commit] = answer["sha"]
        return last

    async def _body(self, commit: str, made: dict[str, str]) -> dict[str, Json]:
        """What GitHub is asked to make of a commit. `made`: what it made of earlier ones."""
        shown = (await self.tree.run("show", "--no-patch", "--no-show-signature", _COMMIT, commit)).out
        tree, parents, *people, message = shown.split("\0", 8)
        author, committer = (dict(zip(("name", "email", "date"), who, strict=True)) for who in (people[:3], people[3:]))
        # `git show` ends what it prints with a line break of its own.
        body: dict[str, Json] = {
            "tree": tree,
            "parents": [made.get(parent, parent) for parent in parents.split()],
            "message": message.removesuffix("\n"),
        }
        signer = await self.tree.signer(commit)
        if self.verified or signer is not None:
            writer = f"{author['name']} <{author['email']}>"
            if writer != signer:
                body["message"] = f"{message.rstrip()}\n\nCo-authored-by: {writer}"
            return body
        return {**body, "author": author, "committer": committer}

    async def _point(self, commit: str, *, new: bool, force: bool) -> None:
        """Let the branch end at this commit. Raises PushOutdated where another push came between."""
        what = f"pushing to {self._name}"
        try:
            if new:
                await self.api.call("POST", f"{self.root}/refs", what, body={"ref": self.ref, "sha": commit})
            else:
                path = f"{self.root}/{quote(self.ref)}"
                await self.api.call("PATCH", path, what, body={"sha": commit, "force": force})
        except HostError as error:
            outdated = "already exists" in error.words or "not a fast forward" in error.words
            if error.status == 422 and outdated:
                raise PushOutdated(str(error)) from None
            raise

    async def _clean(self) -> None:
        """Delete the ref that the files travelled on. One that stays does no harm: nobody sees it."""
        try:
            await self.api.call("DELETE", f"{self.root}/{self.staging}", f"deleting {self.staging}")
        except HostError as error:
            self.warn(f"what was staged at GitHub stays there: {error}")
