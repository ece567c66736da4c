"""Looking for images: the tags of a repository, and what the best of them point at (Kargo: pkg/image).

Each look asks for the digest of the best candidate, which is what Freight is made of; another tag that was read once is
taken to stay what it was, until that one moves, somebody asks for a look, or an hour has passed. So an unchanged list
of tags costs two requests. With `cacheByTag` a tag stays for good, and it costs one.
The strategy Digest follows one tag that is expected to move: each look asks for its digest, with one request too.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from activities.credentials import CredentialKind, CredentialUnusable
from activities.discovery.look import CacheByTagPolicy, Look, LookFailed, subscriber
from activities.registry.client import Login, Repository
from activities.registry.description import ImageDescription, Platform
from activities.registry.errors import NotFound, RateLimited, RegistryError
from model.base import Time
from model.resources.warehouse import (
    DiscoveredImageReference,
    ImageDiscoveryResult,
    ImageSelectionStrategy,
    ImageSubscription,
    RepoSubscription,
)
from model.selection import SelectionError, TagRules, by_version, lexically, platform_parts

#: Characters of annotations kept per subscription: the result passes through a workflow's history.
MAX_ANNOTATIONS = 128 * 1024
#: Tags that one subscription with the strategy NewestBuild may have to read: each costs requests.
MAX_BUILDS = 20_000
#: Tags read at once where all have to be. The pace of the host limits them further.
READ_AT_ONCE = 32

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class _Build(BaseModel):
    """What a tag pointed at when it was read."""

    digest: str
    created_at: Time | None = None
    #: It is for the platform that is asked for.
    fits: bool = True


class _Seen(BaseModel):
    """The last look at one subscription."""

    etag: str = ""
    #: Digests of all tags as they were listed, and of those that are candidates, in their order.
    listing: str = ""
    candidates: str = ""
    #: When all digests were asked for.
    checked_at: Time
    #: All tags that were read.
    builds: dict[str, _Build] = Field(default_factory=dict)
    references: list[DiscoveredImageReference] = Field(default_factory=list)


@subscriber("image")
async def find_images(subscription: RepoSubscription, look: Look) -> ImageDiscoveryResult:
    """The best images of a repository, best first, up to the discovery limit."""
    image = subscription.image
    if image is None:
        raise LookFailed("this is no image subscription")
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
            references = await _ImageLook(image, repository, look).references()
    except RegistryError as error:
        raise registry_failure(error) from error
    return ImageDiscoveryResult(
        repo_url=image.repo_url,
        platform=image.platform,
        references=references,
        subscription_name=subscription.name,
    )


def _login(image: ImageSubscription, look: Look) -> Login | None:
    try:
        credential = look.credentials.find(look.project, CredentialKind.IMAGE, image.repo_url)
    except CredentialUnusable as error:
        raise LookFailed(str(error)) from error
    return Login(credential.username, credential.password) if credential else None


class _ImageLook:
    """One look at one image subscription."""

    def __init__(self, image: ImageSubscription, repository: Repository, look: Look) -> None:
        self.image = image
        self.repository = repository
        self.look = look
        self.wanted = platform_parts(image.platform) if image.platform else None
        self.trusts_tags = _trusts_tags(image, look.cache_by_tag)
        self.builds: dict[str, _Build] = {}
        #: Tags that were read or checked in this look.
        self.checked: set[str] = set()
        self.known: dict[str, DiscoveredImageReference] = {}
        #: Digests that have to be asked for again, though they are known.
        self.due = False

    async def references(self) -> list[DiscoveredImageReference]:
        """The candidates, best first. Raises LookFailed."""
        try:
            if self.image.image_selection_strategy is ImageSelectionStrategy.DIGEST:
                return await self._follow()
            return await self._select()
        except SelectionError as error:
            raise LookFailed(str(error)) from error
        except RegistryError as error:
            raise registry_failure(error) from error

    async def _select(self) -> list[DiscoveredImageReference]:
        image, look = self.image, self.look
        seen = await look.memory.recall("image", self._key, _Seen)
        self.due = seen is None or (
            not self.trusts_tags and (look.thorough or look.now - seen.checked_at > look.recheck_after)
        )
        listing = await self.repository.tags("" if seen is None or self.due else seen.etag)
        if seen is not None and not self.due and not self.trusts_tags and await self._moved(seen):
            self.due = True
            if listing.unchanged:
                listing = await self.repository.tags()
        if seen is not None and listing.unchanged:
            return seen.references
        listed = _digest(listing.tags)
        if seen is not None and not self.due and (seen.listing, seen.etag) == (listed, listing.etag):
            return seen.references
        tags = self._candidates(listing.tags)
        candidates = _digest(tags)
        if seen is not None and not self.due and seen.candidates == candidates:
            changes = {"etag": listing.etag, "listing": listed}
            await look.memory.keep("image", self._key, seen.model_copy(update=changes))
            return seen.references
        self._remember(seen)
        if image.image_selection_strategy is ImageSelectionStrategy.NEWEST_BUILD:
            references = await self._newest(tags)
        else:
            references = await self._first(tags)
        fresh = _Seen(
            etag=listing.etag,
            listing=listed,
            candidates=candidates,
            checked_at=look.now if seen is None or self.due else seen.checked_at,
            builds={tag: self.builds[tag] for tag in tags if tag in (self.checked if self.due else self.builds)},
            references=references,
        )
        _bound_annotations(image, fresh.references, look)
        await look.memory.keep("image", self._key, fresh)
        return fresh.references

    async def _moved(self, seen: _Seen) -> bool:
        """Whether the best candidate's tag points elsewhere now, or is gone: then all have to be asked for."""
        if not seen.references:
            return False
        best = seen.references[0]
        try:
            return await self.repository.digest(best.tag) != best.digest
        except NotFound:
            return True

    async def _follow(self) -> list[DiscoveredImageReference]:
        """The strategy Digest: what its one tag points at now; nothing where there is no such tag."""
        tag, look = self.image.constraint, self.look
        seen = await look.memory.recall("image", self._key, _Seen)
        try:
            build = seen.builds.get(tag) if seen else None
            if seen and build and await self.repository.digest(tag) == build.digest:
                return seen.references
            references = await self._first([tag])
        except NotFound:
            return []
        _bound_annotations(self.image, references, look)
        fresh = _Seen(checked_at=look.now, builds=self.builds, references=references)
        await look.memory.keep("image", self._key, fresh)
        return references

    @property
    def _key(self) -> object:
        image = self.image.model_dump(mode="json", by_alias=True) | {"cacheByTag": self.trusts_tags}
        return [self.look.project, self.repository.address.base, image]

    def _candidates(self, listed: list[str]) -> list[str]:
        """The tags that count, in the order in which they are tried. Raises SelectionError, LookFailed."""
        image = self.image
        tags = TagRules(image.allowed_tags(), image.ignore_tags_regexes, image.ignore_tags).filter(listed)
        if image.image_selection_strategy is ImageSelectionStrategy.SEMVER:
            return by_version(tags, constraint=image.constraint, strict=image.strict_semvers)
        if image.image_selection_strategy is ImageSelectionStrategy.NEWEST_BUILD and len(tags) > MAX_BUILDS:
            raise LookFailed(
                f"{len(tags)} tags would have to be read to know the newest build, more than {MAX_BUILDS}: "
                "let fewer count by allowTagsRegexes"
            )
        return lexically(tags)

    def _remember(self, seen: _Seen | None) -> None:
        if seen is not None:
            self.builds = dict(seen.builds)
            self.known = {reference.tag: reference for reference in seen.references}

    async def _first(self, tags: list[str]) -> list[DiscoveredImageReference]:
        """Read the tags one by one in their order, until the limit is reached."""
        references: list[DiscoveredImageReference] = []
        for tag in tags:
            if len(references) >= self.image.discovery_limit:
                break
            if (await self._build(tag)).fits:
                references.append(await self._reference(tag))
        return references

    async def _newest(self, tags: list[str]) -> list[DiscoveredImageReference]:
        """Read all tags, then order them by when they were built, newest first; ties: the greater tag first."""
        waiting = iter(tags)

        async def read() -> None:
            for tag in waiting:
                await self._build(tag)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(READ_AT_ONCE, len(tags))):
                    group.create_task(read())
        except* RegistryError as errors:
            raise _leaf(errors) from None
        fitting = [tag for tag in tags if self.builds[tag].fits]
        # `tags` is in lexical order, greatest first, and sorting is stable.
        fitting.sort(key=lambda tag: self.builds[tag].created_at or _BEGINNING, reverse=True)
        return [await self._reference(tag) for tag in fitting[: self.image.discovery_limit]]

    async def _build(self, tag: str) -> _Build:
        """What a tag points at: as it was seen, where that isn't due, else as it is read now."""
        self.checked.add(tag)
        build = self.builds.get(tag)
        if build is not None and (not self.due or await self.repository.digest(tag) == build.digest):
            return build
        self.known.pop(tag, None)
        description = await self._describe(tag)
        build = _Build(
            digest=description.digest,
            created_at=_sane(description.created_at),
            fits=self.wanted is None or _platform(description, self.wanted) is not None,
        )
        self.builds[tag] = build
        return build

    async def _reference(self, tag: str) -> DiscoveredImageReference:
        if (known := self.known.get(tag)) is not None:
            return known
        digest = self.builds[tag].digest
        description = await self._described(digest)
        if description is None:
            description = await self.repository.describe(digest)
            await self._keep(description)
        return DiscoveredImageReference(
            tag=tag,
            digest=digest,
            annotations=description.annotations_for(_platform(description, self.wanted)) or {},
            created_at=_sane(description.created_at),
        )

    async def _describe(self, tag: str) -> ImageDescription:
        """What a tag points at. What its digest names never changes, so it is read once."""
        digest, media_type, manifest = await self.repository.manifest(tag)
        description = await self._described(digest)
        if description is None:
            description = await self.repository.describe(digest, media_type, manifest)
            await self._keep(description)
        return description

    async def _described(self, digest: str) -> ImageDescription | None:
        return await self.look.memory.recall("image-description", self._description_key(digest), ImageDescription)

    async def _keep(self, description: ImageDescription) -> None:
        await self.look.memory.keep("image-description", self._description_key(description.digest), description)

    def _description_key(self, digest: str) -> object:
        return [self.look.project, self.repository.address.name, digest]


def _trusts_tags(image: ImageSubscription, policy: CacheByTagPolicy) -> bool:
    """Whether a tag that was read is never read again. Raises LookFailed where the operator requires that."""
    if image.image_selection_strategy is ImageSelectionStrategy.DIGEST:
        return False
    match policy:
        case CacheByTagPolicy.FORBID:
            return False
        case CacheByTagPolicy.FORCE:
            return True
        case CacheByTagPolicy.REQUIRE if not image.cache_by_tag:
            raise LookFailed(
                "the operator requires caching by tag: set cacheByTag: true, if no tag of this subscription ever moves"
            )
        case _:
            return image.cache_by_tag


def _leaf(errors: BaseExceptionGroup[RegistryError]) -> RegistryError:
    first = errors.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


def _platform(description: ImageDescription, wanted: tuple[str, str, str] | None) -> Platform | None:
    if wanted is None:
        return None
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


def registry_failure(error: RegistryError) -> LookFailed:
    """A registry's error as that of a look."""
    plight, limited = "", isinstance(error, RateLimited)
    if error.host_fault:
        plight = "it takes no more requests for now (429)" if limited else "it is in trouble or can't be reached"
    return LookFailed(str(error), plight=plight, limited=limited, retry_after=error.retry_after)
