"""What can go wrong with a Git repository, each with a message that says what to do next."""

from __future__ import annotations

from datetime import timedelta


class GitError(Exception):
    """A Git command failed. The message holds no secrets, and Git's own words shortened."""


class RepositoryNotFound(GitError):
    """There is no repository at that address, or these credentials may not see it."""


class AuthenticationRefused(GitError):
    """The remote wants other credentials, or any."""


class HostKeyRefused(AuthenticationRefused):
    """The host's SSH key is not known, or not the one that is."""


class RemoteUnreachable(GitError):
    """The remote did not answer, or not as a Git server does."""


class RemoteBusy(RemoteUnreachable):
    """The remote's host has had too many requests. `retry_after`: for how long it wants none, where it says."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefNotFound(GitError):
    """The repository has no such branch, tag or commit."""


class TransportRefused(GitError):
    """The address uses a transport that the operator does not allow."""


class PushOutdated(GitError):
    """The remote branch holds commits that the pushed one does not: integrate them, then push again."""


class PushRefused(GitError):
    """The remote refuses the push for a reason of its own: a protected branch, a hook."""


class DiskFull(GitError):
    """No space left where the worker keeps its repositories."""


class GitTimeout(GitError):
    """The command took longer than the settings allow, and was killed."""


class InvalidRef(GitError):
    """A name that can't be a branch, tag or commit."""


class MirrorBroken(GitError):
    """The mirror of a repository is damaged or was deleted while it was used; it is made anew."""
