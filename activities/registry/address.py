"""Where an image repository is: its host, its path there, and the way the operator wants it reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from activities.registry.errors import BadAddress

DOCKER_HUB = "docker.io"
_DOCKER_HUB_NAMES = {DOCKER_HUB, "index.docker.io", "registry-1.docker.io"}
_DOCKER_HUB_API = "registry-1.docker.io"

#: Names of repositories (OCI distribution spec, "Pulling manifests").
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?")


@dataclass(frozen=True)
class RegistrySettings:
    """What the operator says about registries."""

    #: Registry → where it is reached instead: `ghcr.io` → `127.0.0.1:5000`, `mirror.example.com/ghcr`,
    #: `http://127.0.0.1:5000`.
    mirrors: Mapping[str, str] = field(default_factory=dict)
    #: Hosts (`127.0.0.1:5000`, or `127.0.0.1` for all its ports) that are spoken to without TLS.
    plain_http: frozenset[str] = frozenset()
    #: Send credentials to those hosts too.
    credentials_over_http: bool = False
    #: Requests per second to one host (Kargo: IMAGE_REGISTRY_RATE_LIMIT).
    requests_per_second: float = 20.0
    #: Requests to one host at the same time.
    concurrency: int = 8

    def speaks_http(self, host: str) -> bool:
        """Whether this host may be spoken to without TLS."""
        return host in self.plain_http or host.rsplit(":", 1)[0] in self.plain_http


@dataclass(frozen=True)
class Address:
    """One image repository."""

    #: The registry as people know it: `docker.io`, `ghcr.io`.
    registry: str
    #: The repository as people know it: `ghcr.io/akuity/guestbook`, `nginx`.
    name: str
    #: Scheme and host of the API: `https://registry-1.docker.io`.
    base: str
    #: Path of the repository in the API: `library/nginx`.
    repository: str

    @property
    def host(self) -> str:
        """Host of the API, which limits and backoff are counted for."""
        return self.base.split("://", 1)[1]

    @property
    def plain(self) -> bool:
        return self.base.startswith("http://")


def locate(repo_url: str, settings: RegistrySettings) -> Address:
    """Where the image repository `repo_url` (`nginx`, `ghcr.io/akuity/guestbook`) is read.

    Docker Hub's rules: no host means Docker Hub, no namespace there means `library`. Raises BadAddress.
    """
    url = "".join(character for character in repo_url if character.isprintable()).strip().lower()
    first, _, rest = url.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER_HUB, url
    if registry in _DOCKER_HUB_NAMES:
        registry = DOCKER_HUB
        repository = repository if "/" in repository else f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository) or not _HOST.fullmatch(registry):
        raise BadAddress(
            f"{repo_url!r} is not an image repository: expected one like nginx or ghcr.io/akuity/guestbook, "
            "without scheme and tag",
            host=registry,
        )
    name = repository.removeprefix("library/") if registry == DOCKER_HUB else f"{registry}/{repository}"
    target = settings.mirrors.get(registry)
    if target is None:
        host = _DOCKER_HUB_API if registry == DOCKER_HUB else registry
        scheme = "http" if settings.speaks_http(host) else "https"
        return Address(registry, name, f"{scheme}://{host}", repository)
    asked, _, place = target.rpartition("://")
    host, _, prefix = place.strip("/").partition("/")
    if asked not in {"", "http", "https"} or not _HOST.fullmatch(host.lower()):
        raise BadAddress(
            f"the mirror {target!r} set for {registry} is not a host such as 127.0.0.1:5000", host=registry
        )
    if asked == "http" and not settings.speaks_http(host):
        raise BadAddress(
            f"the mirror {target} set for {registry} is plain HTTP: "
            f"name {host} among the hosts allowed without TLS, or use https",
            host=registry,
        )
    scheme = asked or ("http" if settings.speaks_http(host) else "https")
    return Address(registry, name, f"{scheme}://{host.lower()}", f"{prefix}/{repository}" if prefix else repository)
