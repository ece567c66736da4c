"""What the Git steps share: how a step gets into a repository, and who commits."""

from __future__ import annotations

import asyncio

from pydantic import Field, model_validator

from activities.credentials import CredentialKind
from activities.git.clone import Author, Worktree
from activities.git.refs import Remote
from activities.steps.registry import StepConfig, StepContext, StepErrored


class AuthorConfig(StepConfig):
    """Who commits, and what with."""

    #: Name.
    name: str = Field(min_length=1)
    #: E-mail address.
    email: str = Field(min_length=1)
    #: Private GPG key to sign commits and tags with, armored, without a passphrase; usually from `secret()`. Its
    #: user ID should have the name and the address. The worker needs `gpg`.
    signing_key: str | None = None

    @model_validator(mode="after")
    def _plain(self) -> AuthorConfig:
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


async def signing_key(author: AuthorConfig | None, context: StepContext) -> str:
    """The key that commits are signed with: the author's, else, where no author is named, the worker's. Empty: none."""
    if author is not None:
        return author.signing_key or ""
    file = context.outside.settings.git_signing_key_file
    if file is None:
        return ""
    try:
        return await asyncio.to_thread(file.read_text)
    except (OSError, UnicodeDecodeError) as error:
        raise StepErrored(
            f"the signing key of this worker (TOWPATH_GIT_SIGNING_KEY_FILE) can't be read: {error}"
        ) from None


async def worktree_of(context: StepContext, path: str) -> tuple[Worktree, Remote]:
    """The worktree at a path of the config, and the repository it came from. Raises StepErrored where there is none."""
    tree = Worktree.at(context.outside.git, context.workspace, context.path(path))
    remote = await remote_of(context, tree.clone.url, insecure_skip_tls_verify=tree.clone.insecure_skip_tls_verify)
    return tree, remote
