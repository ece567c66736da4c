"""`git-clear`, `git-commit` and `git-tag`: what happens in a worktree before it is pushed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field

from activities.git.clone import Worktree
from activities.git.errors import InvalidRef
from activities.git.refs import tag_ref
from activities.git.signing import Keyring, SigningKeyInvalid
from activities.steps.git_remote import AuthorConfig, worktree_of
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, StepOutput, StepSkipped, step
from model.steps import Effect


class GitClearConfig(StepConfig):
    """Kargo: schemas/git-clear-config.json."""

    #: The worktree.
    path: str = Field(min_length=1)


@step("git-clear", config=GitClearConfig, effect=Effect.WORKSPACE)
async def git_clear(config: GitClearConfig, context: StepContext) -> None:
    """Delete everything in a worktree; it stays a worktree."""
    tree, _ = await worktree_of(context, config.path)

    def clear(root: Path) -> None:
        for entry in root.iterdir():
            if entry.name == ".git":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    await asyncio.to_thread(clear, tree.path)


class GitCommitConfig(StepConfig):
    """Kargo: schemas/git-commit-config.json. `author` is deprecated there; git-clone's is preferred."""

    #: The worktree.
    path: str = Field(min_length=1)
    #: The commit's message.
    message: str = Field(min_length=1)
    #: Who commits; better said in git-clone, for all commits.
    author: AuthorConfig | None = None


class CommitOutput(StepOutput):
    """The commit that is checked out now."""

    #: Its id.
    commit: str


@step("git-commit", config=GitCommitConfig, output=CommitOutput, effect=Effect.WORKSPACE)
async def git_commit(config: GitCommitConfig, context: StepContext) -> CommitOutput:
    """Commit everything in a worktree; Skipped where nothing differs from HEAD, with HEAD as its output.

    The commit's dates are those of the step's start: a rebuild makes the same commit.
    """
    if not config.message.strip():
        raise StepFailed("message must not be blank")
    tree, remote = await worktree_of(context, config.path)
    lazily = remote if tree.clone.blobless else None
    await tree.add_all()
    if not await tree.has_changes():
        head = await tree.head()
        if context.repeated and await _made_here(tree, context):
            return CommitOutput(commit=head)
        raise StepSkipped(f"nothing to commit: {config.path} is as in {head[:7]}", {"commit": head})
    author = config.author.author() if config.author else None
    async with _signing(config, context, tree) as signing:
        await tree.run(
            "commit", "--quiet", "--no-verify", "--cleanup=whitespace", "--file=-",
            stdin=config.message, environment=tree.identity(context.started_at, author), remote=lazily, config=signing,
        )  # fmt: skip
    return CommitOutput(commit=await tree.head())


@asynccontextmanager
async def _signing(config: GitCommitConfig, context: StepContext, tree: Worktree) -> AsyncIterator[dict[str, str]]:
    """Git's configuration to sign the commit: with its author's own key, else, where none is named, the clone's."""
    if config.author is None:
        async with tree.signing(context.started_at) as signing:
            yield signing
        return
    key = config.author.signing_key
    if not key:
        yield {}
        return
    home = tree.git_dir / "keyring"
    try:
        keyring = await Keyring.create(home, key)
        async with tree.signing(context.started_at, keyring) as signing:
            yield signing
    except SigningKeyInvalid as error:
        raise StepErrored(str(error), final=True) from None
    finally:
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _made_here(tree: Worktree, context: StepContext) -> bool:
    """Whether HEAD is what a lost attempt of this step committed: it bears the date of the step's start."""
    date = (await tree.run("log", "-1", "--format=%ct", "HEAD")).out.strip()
    return date == str(int(context.started_at.timestamp()))


class GitTagConfig(StepConfig):
    """Kargo: schemas/git-tag-config.json."""

    #: The worktree.
    path: str = Field(min_length=1)
    #: Name of the tag.
    tag: str = Field(min_length=1)
    #: Its message.
    message: str = Field(min_length=1)
    #: Move the tag if it is there.
    force: bool = False


@step("git-tag", config=GitTagConfig, output=CommitOutput, effect=Effect.WORKSPACE)
async def git_tag(config: GitTagConfig, context: StepContext) -> CommitOutput:
    """Make an annotated tag of HEAD, dated at the step's start. git-push pushes it."""
    try:
        ref = tag_ref(config.tag)
    except InvalidRef as error:
        raise StepFailed(str(error)) from None
    tree, _ = await worktree_of(context, config.path)
    known = await tree.run("rev-parse", "--verify", "--quiet", ref, accept=(0, 1))
    # A lost attempt may have made it already.
    if known.code == 0 and not (config.force or context.repeated):
        raise StepErrored(f"tag {config.tag} exists already; set force: true to move it", final=True)
    async with tree.signing(context.started_at) as signing:
        kind = "--sign" if signing else "--annotate"
        await tree.run(
            "tag", kind, "--force", "--cleanup=whitespace", "--file=-", "--", config.tag, "HEAD",
            stdin=config.message, environment=tree.identity(context.started_at), config=signing,
        )  # fmt: skip
    return CommitOutput(commit=await tree.head())
