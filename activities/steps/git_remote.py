"""What the Git steps share: how a step gets into a repository, and who commits."""

from __future__ import annotations

import asyncio

from pydantic import Field, model_validator

from activities.credentials import CredentialKind
from activities.git.clone import Author, Worktree
from activities.git.refs import Remote
from activities.steps.registry import StepConfig, StepContext


class AuthorConfig(StepConfig):
    """Who commits. Signing is not supported yet."""

    #: Name.
    name: str = Field(min_length=1)
    #: E-mail address.
    email: str = Field(min_length=1)
    #: Known, and refused: commits are not signed yet.
    signing_key: str | None = None

    @model_validator(mode="after")
    def _unsigned(self) -> AuthorConfig:
        if self.signing_key:
            raise ValueError("signingKey is not supported yet: commits are not signed; leave it out")
        for value in (self.name, self.email):
            if any(character in value for character in "<>\n\0"):
                raise ValueError("name and email can't hold <, > or line breaks")
        return self

    def author(self) -> Author:
        return Author(self.name, self.email)


async def remote_of(context: StepContext, url: str, *, insecure_skip_tls_verify: bool = False) -> Remote:
    """The repository at that address, with the Project's credential for it."""
    find = context.outside.credentials.find
    credential = await asyncio.to_thread(find, context.project, CredentialKind.GIT, url)
    return Remote(url, credential, insecure_skip_tls_verify)


async def worktree_of(context: StepContext, path: str) -> tuple[Worktree, Remote]:
    """The worktree at a path of the config, and the repository it came from. Raises StepErrored where there is none."""
    tree = Worktree.at(context.outside.git, context.workspace, context.path(path))
    remote = await remote_of(context, tree.clone.url, insecure_skip_tls_verify=tree.clone.insecure_skip_tls_verify)
    return tree, remote
