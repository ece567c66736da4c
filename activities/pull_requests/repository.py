"""Where a repository is on its host: scheme, host and path, from the address that steps name."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from activities.pull_requests.api import HostError


@dataclass(frozen=True)
class HostedRepository:
    """A repository's address in the parts that APIs ask for. SSH addresses are taken for https."""

    scheme: str
    #: With the port, where there is one.
    host: str
    #: Without `.git` and slashes around it, in the case it was written in.
    path: str

    @classmethod
    def of(cls, repo_url: str) -> HostedRepository:
        """Raises HostError where the address can't be read."""
        if "://" in repo_url:
            parts = urlsplit(repo_url.strip())
            host, path = parts.netloc.rpartition("@")[2], parts.path
            scheme = parts.scheme.lower() if parts.scheme.lower() in ("http", "https") else "https"
            if parts.scheme.lower() == "ssh":
                host = parts.hostname or ""
        else:
            left, _, path = repo_url.strip().partition(":")
            scheme, host = "https", left.rpartition("@")[2]
        path = path.strip("/").removesuffix(".git")
        if not host or not path or any(part in ("", ".", "..") for part in path.split("/")):
            raise HostError(f"{repo_url!r} does not name a repository on a Git host")
        return cls(scheme, host.lower(), path)

    def owner_and_name(self) -> tuple[str, str]:
        """Raises HostError where the path is not `owner/name`."""
        parts = self.path.split("/")
        if len(parts) != 2:
            raise HostError(f"{self.path!r} is not of the form owner/repository")
        return parts[0], parts[1]
