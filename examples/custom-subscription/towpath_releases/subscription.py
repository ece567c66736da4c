"""Subscriptions of type `releases`: a text file over HTTP with a version on each line, newest last."""

from __future__ import annotations

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activities.discovery.look import Look, LookFailed, subscriber
from model.references import ArtifactReference
from model.resources.warehouse import DiscoveryResult, RepoSubscription

#: Bytes of a list, and seconds to read it.
MAX_LIST = 1024 * 1024
TIMEOUT = 30.0


class ReleasesConfig(BaseModel):
    """What stands under `config`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")


class _Seen(BaseModel):
    """The last look at one list."""

    etag: str
    versions: list[str]


@subscriber("releases")
async def find_releases(subscription: RepoSubscription, look: Look) -> DiscoveryResult:
    """The newest releases, newest first, up to the discovery limit."""
    assert subscription.subscription is not None
    try:
        config = ReleasesConfig.model_validate(subscription.subscription.config)
    except ValidationError as error:
        raise LookFailed("config needs `url`, the address of a list of releases, and nothing else") from error
    async with look.asking(httpx.URL(config.url).netloc.decode()):
        versions = await _versions(config.url, look)
    newest = versions[::-1][: subscription.subscription.discovery_limit]
    return DiscoveryResult(
        name=subscription.name,
        artifact_references=[
            ArtifactReference(artifact_type="release", subscription_name=subscription.name, version=version)
            for version in newest
        ],
    )


async def _versions(url: str, look: Look) -> list[str]:
    """All versions, oldest first; one small request where the list is unchanged. Raises LookFailed."""
    seen = await look.memory.recall("releases", [look.project, url], _Seen)
    headers = {"If-None-Match": seen.etag} if seen else {}
    text = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if seen and response.status_code == 304:
                return seen.versions
            if response.status_code != 200:
                # `plight` says that the whole host is in trouble: all Warehouses leave it alone for a while.
                plight = "it is in trouble" if response.status_code >= 500 else ""
                raise LookFailed(f"{url} answered with status {response.status_code}", plight=plight)
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > MAX_LIST:
                    raise LookFailed(f"{url} is larger than {MAX_LIST} bytes")
    except httpx.HTTPError as error:
        raise LookFailed(f"{url} can't be read: {error}", plight="it can't be reached") from error
    versions = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
    if etag := response.headers.get("etag", ""):
        await look.memory.keep("releases", [look.project, url], _Seen(etag=etag, versions=versions))
    return versions
