"""What a registry's answer can mean when it isn't the one we asked for.

Every message names the repository or host and says what to do; none holds a credential.
"""

from __future__ import annotations

from datetime import timedelta


class RegistryError(Exception):
    """A registry could not be read. Base of all errors here."""

    #: The whole host is in trouble, not this repository alone: all who ask it should pause.
    host_fault = False

    def __init__(self, message: str, *, host: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        #: The registry as it is reached: `ghcr.io`, `127.0.0.1:5000`.
        self.host = host
        #: How long the registry asked us to wait.
        self.retry_after = retry_after


class BadAddress(RegistryError):
    """The repository's URL isn't one, or the operator's settings don't let us go there."""


class Unauthorized(RegistryError):
    """401, also after authentication: credentials are missing, wrong or expired."""


class Forbidden(RegistryError):
    """403: the credentials are known, and may not read this repository."""


class NotFound(RegistryError):
    """404: no such repository, tag or manifest, or one that is hidden from us."""


class RateLimited(RegistryError):
    """429: too many requests."""

    host_fault = True


class Unavailable(RegistryError):
    """5xx, a refused or broken connection, a timeout."""

    host_fault = True


class Unreadable(RegistryError):
    """The answer isn't what the distribution spec says: HTML, broken JSON, an unknown type, another digest."""


class TooLarge(RegistryError):
    """The answer is larger than we read."""
