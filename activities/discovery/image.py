"""Looking for images: the tags of a repository, and what the best of them point at (Kargo: pkg/image).

A tag that was read once is taken to stay what it was, until somebody asks for a look or an hour has passed; then
its digest is asked for again. So an unchanged list of tags costs one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime

from pydantic import BaseModel, Field

from activities.credentials import CredentialKind, CredentialUnsupported
from activities.discovery.look import Look, LookFailed, subscriber
from activities.registry.client import Login, Repository
from activities.registry.description import ImageDescription, Platform
from activities.registry.errors import RateLimited, RegistryError
from model.base import Time
from model.resources.warehouse import (
    DiscoveredImageReference,
    ImageDiscoveryResult,
    ImageSelectionStrategy,
    ImageSubscription,
    RepoSubscription,
)
from model.selection import SelectionError, TagRules, by_version, platform_parts

#: Characters of annotations kept per subscription: the result passes through a workflow's history.
MAX_ANNOTATIONS = 128 * 1024


class _Seen(BaseModel):
    """The last look at one subscription."""

    etag: str = ""
    #: Digests of all tags as they were listed, and of those that are candidates, in their order.
    listing: str = ""
    candidates: str = ""
    #: When all digests were asked for.
    checked_at: Time
    #: What each tag that was read pointed at; None: not for the platform.
    digests: dict[str, str] = Field(default_factory=dict)
    references: list[DiscoveredImageReference] = Field(default_factory=list)


@subscriber("image")
async def find_images(subscription: RepoSubscription, look: Look) -> ImageDiscoveryResult:
    """The best images of a repository, best first, up to the discovery limit."""
    image = subscription.image
    if image is None:
        raise LookFailed("this is no image subscription")
    if image.image_selection_strategy is not ImageSelectionStrategy.SEMVER:
        raise LookFailed(
            f"imageSelectionStrategy {image.image_selection_strategy} is not supported yet; SemVer is (the default)"
        )
    for field, value, instead in (
        ("allowTags", image.allow_tags, "allowTagsRegexes"),
        ("ignoreTags", image.ignore_tags, "ignoreTagsRegexes"),
    ):
        if value:
            look.warn(f"image {image.repo_url}: {field} is gone from Kargo since 1.11, use {instead} instead")
    try:
        login = await asyncio.to_thread(_login, image, look)
        repository = look.registries.repository(image.repo_url, login, verify=not image.insecure_skip_tls_verify)
        async with look.asking(repository.address.host):
            references = await _references(image, repository, look)
    except RegistryError as error:
        raise _failure(error) from error
    return ImageDiscoveryResult(
        repo_url=image.repo_url,
        platform=image.platform,
        references=references,
        subscription_name=subscription.name,
    )


def _login(image: ImageSubscription, look: Look) -> Login | None:
    try:
        credential = look.credentials.find(look.project, CredentialKind.IMAGE, image.repo_url)
    except CredentialUnsupported as error:
        raise LookFailed(str(error)) from error
    return Login(credential.username, credential.password) if credential else None


async def _references(image: ImageSubscription, repository: Repository, look: Look) -> list[DiscoveredImageReference]:
    key = [look.project, repository.address.base, image.model_dump(mode="json", by_alias=True)]
    seen = await look.memory.recall("image", key, _Seen)
    due = seen is None or (
        not image.cache_by_tag and (look.thorough or look.now - seen.checked_at > look.recheck_after)
    )
    try:
        listing = await repository.tags("" if seen is None or due else seen.etag)
        if seen is not None and listing.unchanged:
            return seen.references
        listed = _digest(listing.tags)
        if seen is not None and not due and (seen.listing, seen.etag) == (listed, listing.etag):
            return seen.references
        tags = TagRules(image.allowed_tags(), image.ignore_tags_regexes, image.ignore_tags).filter(listing.tags)
        tags = by_version(tags, constraint=image.constraint, strict=image.strict_semvers)
        candidates = _digest(tags)
        if seen is not None and not due and seen.candidates == candidates:
            changes = {"etag": listing.etag, "listing": listed}
            await look.memory.keep("image", key, seen.model_copy(update=changes))
            return seen.references
        fresh = _Seen(
            etag=listing.etag,
            listing=listed,
            candidates=candidates,
            checked_at=look.now if seen is None or due else seen.checked_at,
        )
        await _read(image, repository, look, tags, None if seen is None else seen, fresh, due=due)
    except SelectionError as error:
        raise LookFailed(str(error)) from error
    except RegistryError as error:
        raise _failure(error) from error
    _bound_annotations(image, fresh.references, look)
    await look.memory.keep("image", key, fresh)
    return fresh.references


async def _read(
    image: ImageSubscription,
    repository: Repository,
    look: Look,
    tags: list[str],
    seen: _Seen | None,
    fresh: _Seen,
    *,
    due: bool,
) -> None:
    """Read the tags in their order until the limit is reached; those seen before only where that is due."""
    known = {reference.tag: reference for reference in seen.references} if seen else {}
    digests = seen.digests if seen else {}
    wanted = platform_parts(image.platform) if image.platform else None
    for tag in tags:
        if len(fresh.references) >= image.discovery_limit:
            return
        digest = digests.get(tag, "")
        if digest and due:
            now = await repository.digest(tag)
            digest = now if now == digest else ""
        if digest:
            fresh.digests[tag] = digest
            if tag in known:
                fresh.references.append(known[tag])
            continue
        description = await _describe(repository, look, tag)
        fresh.digests[tag] = description.digest
        if (platform := _platform(description, wanted)) is None and wanted:
            continue
        fresh.references.append(
            DiscoveredImageReference(
                tag=tag,
                digest=description.digest,
                annotations=description.annotations_for(platform) or {},
                created_at=_sane(description.created_at),
            )
        )


async def _describe(repository: Repository, look: Look, tag: str) -> ImageDescription:
    """What a tag points at. What its digest names never changes, so it is read once."""
    digest, media_type, manifest = await repository.manifest(tag)
    key = [look.project, repository.address.name, digest]
    description = await look.memory.recall("image-description", key, ImageDescription)
    if description is None:
        description = await repository.describe(digest, media_type, manifest)
        await look.memory.keep("image-description", key, description)
    return description


def _platform(description: ImageDescription, wanted: tuple[str, str, str] | None) -> Platform | None:
    return next(
        (
            platform
            for platform in description.platforms
            if (platform.os, platform.architecture, platform.variant) == wanted
        ),
        None,
    )


def _sane(moment: datetime | None) -> datetime | None:
    """Some builders write the year 1 where they know no time."""
    return moment if moment is not None and moment.year > 1 else None


def _digest(tags: list[str]) -> str:
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()


def _bound_annotations(image: ImageSubscription, references: list[DiscoveredImageReference], look: Look) -> None:
    room = MAX_ANNOTATIONS
    for reference in references:
        size = sum(len(key) + len(value) for key, value in reference.annotations.items())
        if size > room:
            reference.annotations = {}
            look.warn(
                f"image {image.repo_url}: the annotations of {reference.tag} are left out, because those of this "
                f"subscription take more than {MAX_ANNOTATIONS} characters"
            )
        else:
            room -= size


def _failure(error: RegistryError) -> LookFailed:
    plight, limited = "", isinstance(error, RateLimited)
    if error.host_fault:
        plight = "it takes no more requests for now (429)" if limited else "it is in trouble or can't be reached"
    return LookFailed(str(error), plight=plight, limited=limited, retry_after=error.retry_after)
