"""Which host's API speaks for a repository, by its address or by what the step says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import ModuleType

from activities.git.hosts import Provider, provider_of
from activities.git.refs import Remote
from activities.pull_requests import azure, bitbucket, gitea, github, gitlab
from activities.pull_requests.api import HostApi, HostError
from activities.pull_requests.azure import Azure
from activities.pull_requests.bitbucket import Bitbucket
from activities.pull_requests.gitea import Gitea
from activities.pull_requests.github import GitHub
from activities.pull_requests.gitlab import GitLab
from activities.pull_requests.pull_request import PullRequests
from activities.pull_requests.repository import HostedRepository
from activities.settings import ActivitySettings

_MODULES: Mapping[Provider, ModuleType] = {
    "azure": azure,
    "bitbucket": bitbucket,
    "gitea": gitea,
    "github": github,
    "gitlab": gitlab,
}


@asynccontextmanager
async def host_api(
    remote: Remote, settings: ActivitySettings, provider: Provider | None = None
) -> AsyncIterator[tuple[Provider, HostApi, HostedRepository]]:
    """The API of the host that a repository is on, with its credential's password as the token.

    Raises HostError where the host is unknown.
    """
    kind = provider or provider_of(remote.url)
    if kind is None:
        raise HostError(
            f"what kind of Git host {remote.shown} is on can't be told from its name: set provider to one of "
            f"{', '.join(sorted(_MODULES))}"
        )
    repository = HostedRepository.of(remote.url)
    token = remote.credential.password if remote.credential else ""
    module = _MODULES[kind]
    api = HostApi(
        module.api_base(repository),
        module.headers(token),
        timeout=settings.http_timeout,
        verify=not remote.insecure_skip_tls_verify,
        mirrors=settings.http_mirrors,
        authorized=bool(token),
    )
    async with api:
        yield kind, api, repository


@asynccontextmanager
async def pull_requests_of(
    remote: Remote, settings: ActivitySettings, provider: Provider | None = None
) -> AsyncIterator[PullRequests]:
    """The pull requests of a repository. Raises HostError where the host is unknown."""
    async with host_api(remote, settings, provider) as (kind, api, repository):
        found: PullRequests
        match kind:
            case "azure":
                found = Azure.of(api, repository)
            case "bitbucket":
                found = Bitbucket.of(api, repository)
            case "gitea":
                found = Gitea.of(api, repository)
            case "github":
                found = GitHub.of(api, repository)
            case "gitlab":
                found = GitLab.of(api, repository)
        yield found
