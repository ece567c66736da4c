"""Looking for Helm charts: in HTTP repositories by their index, in OCI repositories by tags (Kargo: pkg/helm/chart).

An unchanged index costs one request, which the server answers without a body where it knows entity tags or times.
All versions of the chart are remembered, so a changed constraint costs no more.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

import httpx
from pydantic import BaseModel, Field

from activities.credentials import Credential, CredentialKind, CredentialUnusable
from activities.discovery.image import registry_failure
from activities.discovery.look import Look, LookFailed, subscriber
from activities.registry.chart_index import MAX_INDEX, BadIndex, versions_of
from activities.registry.client import Answer, Login, retry_after
from activities.registry.errors import (
    Forbidden,
    NotFound,
    RateLimited,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreadable,
)
from model.resources.warehouse import ChartDiscoveryResult, ChartSubscription, RepoSubscription
from model.selection import SelectionError, chart_versions

_OCI = "oci://"


class _Seen(BaseModel):
    """The last look at one chart."""

    etag: str = ""
    modified: str = ""
    #: Of the index.
    digest: str = ""
    #: All of them, as they were written.
    versions: list[str] = Field(default_factory=list)


@subscriber("chart")
async def find_charts(subscription: RepoSubscription, look: Look) -> ChartDiscoveryResult:
    """The highest versions of a chart, up to the discovery limit."""
    chart = subscription.chart
    if chart is None:
        raise LookFailed("this is no chart subscription")
    oci = chart.repo_url.startswith(_OCI)
    try:
        credential = await asyncio.to_thread(look.credentials.find, look.project, CredentialKind.HELM, chart.repo_url)
        found = await (_from_oci if oci else _from_index)(chart, credential, look)
        versions = chart_versions(found, constraint=chart.semver_constraint, strict=oci)
    except (CredentialUnusable, SelectionError) as error:
        raise LookFailed(str(error)) from error
    except RegistryError as error:
        raise registry_failure(error) from error
    return ChartDiscoveryResult(
        repo_url=chart.repo_url,
        name=chart.name,
        semver_constraint=chart.semver_constraint,
        versions=versions[: chart.discovery_limit],
        subscription_name=subscription.name,
    )


async def _from_oci(chart: ChartSubscription, credential: Credential | None, look: Look) -> list[str]:
    """All versions in an OCI repository. `+` can't stand in a tag, so Helm writes `_`."""
    login = Login(credential.username, credential.password) if credential else None
    repository = look.registries.repository(
        chart.repo_url.removeprefix(_OCI), login, verify=not chart.insecure_skip_tls_verify
    )
    key = [look.project, repository.address.base, repository.address.repository, credential is not None]
    async with look.asking(repository.address.host):
        seen = await look.memory.recall("chart", key, _Seen)
        try:
            listing = await repository.tags(seen.etag if seen else "")
        except RegistryError as error:
            raise registry_failure(error) from error
    if seen is not None and listing.unchanged:
        return seen.versions
    versions = [tag.replace("_", "+") for tag in listing.tags]
    if listing.etag:
        await look.memory.keep("chart", key, _Seen(etag=listing.etag, versions=versions))
    return versions


async def _from_index(chart: ChartSubscription, credential: Credential | None, look: Look) -> list[str]:
    """All versions that an HTTP repository's index names."""
    url = f"{chart.repo_url.rstrip('/')}/index.yaml"
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise LookFailed(f"{chart.repo_url} is no URL of a chart repository") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise LookFailed(f"{chart.repo_url} is no URL of a chart repository: expected https://…, http://… or oci://…")
    host = address.netloc.decode()
    key = [look.project, url, chart.name, chart.insecure_skip_tls_verify, credential is not None]
    async with look.asking(host):
        seen = await look.memory.recall("chart", key, _Seen)
        try:
            answer = await _index(url, host, seen, credential, chart, look)
        except RegistryError as error:
            raise registry_failure(error) from error
        if seen is not None and answer.status == 304:
            return seen.versions
        digest = hashlib.sha256(answer.body).hexdigest()
        if seen is not None and seen.digest == digest:
            versions = seen.versions
        else:
            try:
                versions = await asyncio.to_thread(versions_of, answer.body, chart.name)
            except BadIndex as error:
                raise LookFailed(f"{url} {error}") from error
    fresh = _Seen(
        etag=answer.headers.get("etag", ""),
        modified=answer.headers.get("last-modified", ""),
        digest=digest,
        versions=versions,
    )
    await look.memory.keep("chart", key, fresh)
    return versions


async def _index(
    url: str, host: str, seen: _Seen | None, credential: Credential | None, chart: ChartSubscription, look: Look
) -> Answer:
    headers = {"Accept": "application/x-yaml, text/yaml, */*"}
    if seen is not None and seen.etag:
        headers["If-None-Match"] = seen.etag
    elif seen is not None and seen.modified:
        headers["If-Modified-Since"] = seen.modified
    if credential is not None:
        both = f"{credential.username}:{credential.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
    what = f"reading {url}"
    try:
        answer = await look.registries.fetch(
            "GET", url, headers=headers, limit=MAX_INDEX, verify=not chart.insecure_skip_tls_verify, what=what
        )
    except TooLarge as error:
        raise TooLarge(
            f"{url} is larger than {MAX_INDEX // 1024 // 1024} MiB, more than is read: "
            "subscribe to the chart in an OCI repository, or have the repository drop old versions",
            host=host,
        ) from error
    _check(answer, what, host, credential)
    return answer


def _check(answer: Answer, what: str, host: str, credential: Credential | None) -> None:
    """Raise what the status means."""
    wait = retry_after(answer.headers.get("retry-after", ""))
    match answer.status:
        case 200 | 304:
            return
        case 401 if credential is not None:
            raise Unauthorized(
                f"{what}: {host} refuses the credentials (401); check the Secret {credential.secret}", host=host
            )
        case 401:
            raise Unauthorized(
                f"{what}: {host} wants credentials (401); add a Secret of type helm with this repoURL", host=host
            )
        case 403:
            raise Forbidden(f"{what}: {host} forbids it (403); check the credentials' right to read", host=host)
        case 404:
            raise NotFound(f"{what}: not found (404); check repoURL: index.yaml is looked for below it", host=host)
        case 429:
            raise RateLimited(f"{what}: {host} takes no more requests for now (429)", host=host, retry_after=wait)
        case status if status >= 500:
            raise Unavailable(f"{what}: {host} is in trouble ({status})", host=host, retry_after=wait)
        case status:
            raise Unreadable(f"{what}: {host} answered {status}", host=host)
