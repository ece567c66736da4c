"""The client of OCI registries: lists of tags, digests, manifests, with authentication, paging and limits."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import Field, ValidationError

from activities.downloads import TooLargeDownload, chunks_of, file_digest, save
from activities.registry.address import Address, RegistrySettings, locate
from activities.registry.challenge import Challenge, read_challenges
from activities.registry.description import (
    ACCEPT,
    INDEXES,
    MANIFESTS,
    ImageConfig,
    ImageDescription,
    Manifest,
    Platform,
    Wire,
    claimed_time,
    creation_time,
)
from activities.registry.errors import (
    BadAddress,
    Forbidden,
    NotFound,
    RateLimited,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreadable,
)
from activities.registry.pace import Pace

#: The largest manifest a registry has to take (OCI distribution spec, "Pushing manifests").
MAX_MANIFEST = 4 * 1024 * 1024
MAX_CONFIG = 8 * 1024 * 1024
MAX_PAGE = 8 * 1024 * 1024
MAX_TOKEN = 1024 * 1024
#: Tags asked for at a time; registries give fewer as they like.
PAGE_SIZE = 1000
#: Bounds of one listing.
MAX_PAGES = 2000
MAX_TAGS = 500_000
MAX_REDIRECTS = 5
#: Images of one index that are described.
MAX_PLATFORMS = 64
#: Seconds until an answer has begun, and until it is complete.
RESPONSE_TIMEOUT = 30.0
TOTAL_TIMEOUT = 120.0
#: Seconds until content that is streamed is through.
TRANSFER_TIMEOUT = 900.0
#: Lifetime of a token that doesn't say (distribution: token authentication), and what is cut off every one.
_TOKEN_LIFETIME = 60.0
_TOKEN_MARGIN = 10.0

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_NEXT_PAGE = re.compile(r"<([^>]*)>\s*(?:;[^,<]*)?;\s*rel\s*=\s*\"?next\"?", re.IGNORECASE)


@dataclass(frozen=True)
class Login:
    """Username and password, or access token, for a registry."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class TagList:
    """The tags of a repository, as the registry orders them."""

    tags: list[str]
    #: Version of the list, where the registry serves one and the list fits on a page.
    etag: str = ""
    #: The list is the one whose `etag` was given; `tags` is empty then.
    unchanged: bool = False


class _WireTags(Wire):
    tags: list[str] = Field(default_factory=list)


class _WireToken(Wire):
    token: str = ""
    access_token: str = ""
    expires_in: float = _TOKEN_LIFETIME


class _WireTyped(Wire):
    media_type: str = Field(default="", alias="mediaType")


class _WireError(Wire):
    code: str = ""
    message: str = ""


class _WireErrors(Wire):
    errors: list[_WireError] = Field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What a server answered, redirects followed."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class _Grant:
    header: str
    until: float


_Model = TypeVar("_Model", bound=Wire)


class RegistryClient:
    """The worker's way to registries. Connections, tokens and pace are shared by all who use it.

    Belongs to one event loop; close it at the end.
    """

    def __init__(self, settings: RegistrySettings | None = None) -> None:
        self.settings = settings or RegistrySettings()
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._paces: dict[str, Pace] = {}
        self._grants: dict[tuple[str, str, Login | None], _Grant] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    def repository(self, repo_url: str, login: Login | None = None, *, verify: bool = True) -> Repository:
        """A repository to read. `verify=False` accepts any TLS certificate. Raises BadAddress."""
        address = locate(repo_url, self.settings)
        withheld = login is not None and address.plain and not self.settings.credentials_over_http
        return Repository(self, address, None if withheld else login, verify=verify, withheld=withheld)

    def _client(self, verify: bool) -> httpx.AsyncClient:
        if verify not in self._clients:
            self._clients[verify] = httpx.AsyncClient(
                verify=verify,
                timeout=httpx.Timeout(RESPONSE_TIMEOUT, connect=10.0),
                headers={"User-Agent": "towpath"},
                follow_redirects=False,
            )
        return self._clients[verify]

    def _pace(self, host: str) -> Pace:
        if host not in self._paces:
            self._paces[host] = Pace(self.settings.requests_per_second, self.settings.concurrency)
        return self._paces[host]

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        limit: int,
        verify: bool,
        what: str,
        content: bytes | Path | None = None,
        into: Path | None = None,
    ) -> Answer:
        """One request and where it is redirected to. Raises Unavailable, TooLarge, Unreadable, BadAddress.

        `Authorization` goes only to the host that it is meant for. `content` is sent; a file is streamed. `into`
        takes the body of a good answer, which has none then.
        """
        target = httpx.URL(url)
        headers = dict(headers)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._fetch_once(method, target, headers, limit, verify, what, content, into)
            if answer.status not in {301, 302, 303, 307, 308} or "location" not in answer.headers:
                return answer
            try:
                following = target.join(answer.headers["location"])
            except (httpx.InvalidURL, ValueError) as error:
                raise Unreadable(f"{what}: {target.host} redirects to what is no URL", host=_host(target)) from error
            self._check_scheme(following, what)
            if _origin(following) != _origin(target):
                headers.pop("Authorization", None)
            target = following
        raise Unreadable(f"{what}: redirected more than {MAX_REDIRECTS} times", host=_host(target))

    def _check_scheme(self, url: httpx.URL, what: str) -> None:
        if url.scheme == "https" or (url.scheme == "http" and self.settings.speaks_http(_host(url))):
            return
        raise BadAddress(
            f"{what}: it leads to {url.scheme}://{_host(url)}, which isn't TLS: "
            f"name {_host(url)} among the hosts allowed without it, if that is meant",
            host=_host(url),
        )

    async def _fetch_once(
        self,
        method: str,
        url: httpx.URL,
        headers: dict[str, str],
        limit: int,
        verify: bool,
        what: str,
        content: bytes | Path | None,
        into: Path | None,
    ) -> Answer:
        host = _host(url)
        total = TOTAL_TIMEOUT if into is None and not isinstance(content, Path) else TRANSFER_TIMEOUT
        if isinstance(content, Path):
            headers = {**headers, "Content-Length": str((await asyncio.to_thread(content.stat)).st_size)}
        sent = chunks_of(content) if isinstance(content, Path) else content
        try:
            async with (
                self._pace(host).turn(),
                asyncio.timeout(total),
                self._client(verify).stream(method, url, headers=headers, content=sent) as response,
            ):
                if into is not None and response.status_code == 200:
                    await save(response.aiter_bytes(), into, limit=limit)
                    return Answer(response.status_code, response.headers, b"")
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise TooLarge(f"{what}: the answer of {host} is larger than {limit} bytes", host=host)
                return Answer(response.status_code, response.headers, bytes(body))
        except TooLargeDownload as error:
            raise TooLarge(f"{what}: it is larger than {limit} bytes", host=host) from error
        except TimeoutError as error:
            raise Unavailable(f"{what}: {host} took longer than {total:.0f} s to answer", host=host) from error
        except httpx.TimeoutException as error:
            raise Unavailable(f"{what}: {host} did not answer in time", host=host) from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Unavailable(
                    f"{what}: the TLS certificate of {host} can't be verified: have the worker trust its authority "
                    "(SSL_CERT_FILE), or set insecureSkipTLSVerify",
                    host=host,
                ) from error
            raise Unavailable(f"{what}: {host} can't be reached ({_short(str(error))})", host=host) from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise Unreadable(f"{what}: the answer of {host} can't be decoded", host=host) from error

    def grant(self, key: tuple[str, str, Login | None]) -> str:
        """The `Authorization` that worked last, or nothing."""
        grant = self._grants.get(key)
        return grant.header if grant and grant.until > asyncio.get_running_loop().time() else ""

    def remember(self, key: tuple[str, str, Login | None], header: str, lifetime: float) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._grants) >= 4096:
            self._grants = {key: grant for key, grant in self._grants.items() if grant.until > now}
        self._grants[key] = _Grant(header, now + lifetime)

    def forget(self, key: tuple[str, str, Login | None]) -> None:
        self._grants.pop(key, None)


class Repository:
    """One repository of a registry. All methods raise RegistryError."""

    def __init__(
        self, client: RegistryClient, address: Address, login: Login | None, *, verify: bool, withheld: bool
    ) -> None:
        self._client = client
        self._login = login
        self._verify = verify
        self._withheld = withheld
        self.address = address

    async def tags(self, etag: str = "") -> TagList:
        """All tags, over as many pages as there are. `etag` of an earlier listing lets the registry say "unchanged"."""
        url = f"/v2/{self.address.repository}/tags/list?n={PAGE_SIZE}"
        seen: set[str] = set()
        tags: list[str] = []
        served = ""
        what = f"listing the tags of {self.address.name}"
        while url:
            if url in seen or len(seen) >= MAX_PAGES:
                raise Unreadable(
                    f"{what}: after {len(seen)} pages {self.address.host} still names a next one",
                    host=self.address.host,
                )
            headers = {"Accept": "application/json"}
            if etag and not seen:
                headers["If-None-Match"] = etag
            answer = await self._get(url, headers=headers, limit=MAX_PAGE, what=what)
            if answer.status == 304 and etag and not seen:
                return TagList([], etag, unchanged=True)
            self._check(answer, what)
            tags += self._read(_WireTags, answer, what).tags
            if len(tags) > MAX_TAGS:
                raise TooLarge(f"{what}: there are more than {MAX_TAGS}", host=self.address.host)
            following = _next_page(answer.headers.get("link", ""))
            served = "" if following or seen else answer.headers.get("etag", "")
            seen.add(url)
            url = following
        return TagList([tag for tag in dict.fromkeys(tags) if _TAG.fullmatch(tag)], served)

    async def digest(self, reference: str) -> str:
        """The digest of what a tag points at: one HEAD request, or a GET where the registry doesn't do that."""
        what = self._reading(reference)
        answer = await self._request("HEAD", self._manifest_url(reference), {"Accept": ACCEPT}, MAX_MANIFEST, what)
        digest: str = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and _DIGEST.fullmatch(digest):
            return digest
        if answer.status not in {200, 400, 405, 501}:
            self._check(answer, what)
        return (await self.manifest(reference))[0]

    async def manifest(self, reference: str) -> tuple[str, str, Manifest]:
        """Digest, media type and content of a manifest or index, by tag or digest."""
        what = self._reading(reference)
        answer = await self._get(
            self._manifest_url(reference), headers={"Accept": ACCEPT}, limit=MAX_MANIFEST, what=what
        )
        self._check(answer, what)
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        for told in (reference, answer.headers.get("docker-content-digest", "")):
            if told.startswith("sha256:") and told != digest:
                raise Unreadable(
                    f"{what}: what {self.address.host} sent has the digest {digest}, not {told}", host=self.address.host
                )
        manifest = self._read(Manifest, answer, what)
        media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type not in INDEXES | MANIFESTS:
            # Some registries say application/json; the manifest itself knows better.
            media_type = str(json.loads(answer.body).get("mediaType") or media_type)
        return digest, media_type, manifest

    async def describe(
        self, reference: str, media_type: str = "", manifest: Manifest | None = None, *, nested: bool = False
    ) -> ImageDescription:
        """What a tag or digest points at: digest, platforms, annotations, time of creation.

        Given a digest with its media type and manifest, that isn't read again. `nested`: an index is no image here.
        """
        digest = reference
        if manifest is None:
            digest, media_type, manifest = await self.manifest(reference)
        if media_type in INDEXES and not nested:
            return await self._describe_index(digest, manifest)
        if media_type not in MANIFESTS:
            raise Unreadable(
                f"{self._reading(reference)}: its type {_short(media_type) or '(none)'} is none of an image's "
                "(OCI or Docker schema 2 manifest or index)",
                host=self.address.host,
            )
        config = await self._config(reference, manifest)
        platforms = (
            [Platform(os=config.os, architecture=config.architecture, variant=config.variant)]
            if config.os and config.architecture
            else []
        )
        return ImageDescription(
            digest=digest,
            created_at=creation_time(manifest.annotations, config),
            annotations=manifest.annotations or None,
            platforms=platforms,
        )

    async def _describe_index(self, digest: str, index: Manifest) -> ImageDescription:
        images = [descriptor for descriptor in index.manifests if descriptor.is_image]
        if not images:
            raise Unreadable(f"{self._reading(digest)}: its index names no image", host=self.address.host)
        if len(images) > MAX_PLATFORMS:
            raise TooLarge(
                f"{self._reading(digest)}: its index names more than {MAX_PLATFORMS} images", host=self.address.host
            )
        created = claimed_time(index.annotations)
        if created is None:
            moments = []
            for image in images:
                moment = claimed_time(image.annotations)
                if moment is None:
                    moment = (await self.describe(image.digest, nested=True)).created_at
                if moment is not None:
                    moments.append(moment)
            created = max(moments, default=None)
        return ImageDescription(
            digest=digest,
            created_at=created,
            annotations=index.annotations or None,
            platforms=[
                Platform(
                    os=image.platform.os,
                    architecture=image.platform.architecture,
                    variant=image.platform.variant,
                    annotations=image.annotations or None,
                )
                for image in images
            ],
        )

    async def _config(self, reference: str, manifest: Manifest) -> ImageConfig:
        what = f"{self._reading(reference)} (its config)"
        if not _DIGEST.fullmatch(manifest.config.digest):
            raise Unreadable(f"{what}: the manifest names none", host=self.address.host)
        answer = await self._get(
            f"/v2/{self.address.repository}/blobs/{manifest.config.digest}", headers={}, limit=MAX_CONFIG, what=what
        )
        self._check(answer, what)
        return self._read(ImageConfig, answer, what)

    async def raw_manifest(self, reference: str) -> tuple[str, str, bytes]:
        """Digest, media type and bytes of a manifest or index, to be copied as they are."""
        what = self._reading(reference)
        answer = await self._get(
            self._manifest_url(reference), headers={"Accept": ACCEPT}, limit=MAX_MANIFEST, what=what
        )
        self._check(answer, what)
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise Unreadable(f"{what}: what {self.address.host} sent has the digest {digest}", host=self.address.host)
        media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type not in INDEXES | MANIFESTS:
            media_type = self._read(_WireTyped, answer, what).media_type or media_type
        return digest, media_type, answer.body

    async def download(self, digest: str, into: Path, *, limit: int) -> None:
        """A blob, into a file, which appears when all of it is there and has that digest."""
        what = f"downloading {digest} of {self.address.name}"
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise Unreadable(f"{what}: only sha256 digests can be checked", host=self.address.host)
        part = into.with_name(f".{into.name[:100]}.part")
        try:
            answer = await self._request("GET", self._blob_url(digest), {}, limit, what, into=part)
            self._check(answer, what)
            found = await asyncio.to_thread(file_digest, part)
            if f"sha256:{found}" != digest:
                raise Unreadable(
                    f"{what}: what {self.address.host} sent has the digest sha256:{found}", host=self.address.host
                )
            await asyncio.to_thread(part.replace, into)
        finally:
            part.unlink(missing_ok=True)

    async def has_blob(self, digest: str) -> bool:
        """Whether the repository holds this blob."""
        what = f"looking for {digest} in {self.address.name}"
        answer = await self._request("HEAD", self._blob_url(digest), {}, MAX_PAGE, what)
        if answer.status == 404:
            return False
        self._check(answer, what)
        return True

    async def upload(self, digest: str, content: Path) -> None:
        """Put a blob there, from a file."""
        what = f"uploading {digest} to {self.address.name}"
        begun = await self._request(
            "POST", f"/v2/{self.address.repository}/blobs/uploads/", {"Content-Length": "0"}, MAX_PAGE, what
        )
        if begun.status != 202 or "location" not in begun.headers:
            self._check_written(begun, what)
            raise Unreadable(f"{what}: {self.address.host} names no place to upload to", host=self.address.host)
        try:
            place = httpx.URL(self.address.base).join(begun.headers["location"]).copy_add_param("digest", digest)
        except (httpx.InvalidURL, ValueError) as error:
            raise Unreadable(f"{what}: the place to upload to is no URL", host=self.address.host) from error
        self._client._check_scheme(place, what)
        headers = {"Content-Type": "application/octet-stream"}
        if _origin(place) == _origin(httpx.URL(self.address.base)):
            path = place.raw_path.decode("ascii")
            answer = await self._request("PUT", path, headers, MAX_PAGE, what, content=content)
        else:
            answer = await self._client.fetch(
                "PUT", str(place), headers=headers, limit=MAX_PAGE, verify=self._verify, what=what, content=content
            )
        self._check_written(answer, what)

    async def put_manifest(self, reference: str, media_type: str, content: bytes) -> None:
        """Put a manifest or index there, under a tag or its digest. All that it names must be there already."""
        what = f"writing {self.address.name}{'@' if ':' in reference else ':'}{reference}"
        headers = {"Content-Type": media_type}
        answer = await self._request("PUT", self._manifest_url(reference), headers, MAX_PAGE, what, content=content)
        self._check_written(answer, what)

    def _check_written(self, answer: Answer, what: str) -> None:
        if answer.status not in {201, 202, 204}:
            self._check(answer, what)

    def _blob_url(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise BadAddress(f"{digest!r} is no digest", host=self.address.host)
        return f"/v2/{self.address.repository}/blobs/{digest}"

    def _manifest_url(self, reference: str) -> str:
        if not (_TAG.fullmatch(reference) or _DIGEST.fullmatch(reference)):
            raise BadAddress(f"{reference!r} is neither a tag nor a digest", host=self.address.host)
        return f"/v2/{self.address.repository}/manifests/{reference}"

    def _reading(self, reference: str) -> str:
        return f"reading {self.address.name}{'@' if ':' in reference else ':'}{reference}"

    async def _get(self, url: str, *, headers: dict[str, str], limit: int, what: str) -> Answer:
        return await self._request("GET", url, headers, limit, what)

    async def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        limit: int,
        what: str,
        content: bytes | Path | None = None,
        into: Path | None = None,
    ) -> Answer:
        """Send, and if the registry wants to know who asks, authenticate and send once more."""
        key = (self.address.base, self.address.repository, self._login)
        granted = self._client.grant(key)
        for attempt in range(2):
            sent = {**headers, "Authorization": granted} if granted else headers
            answer = await self._client.fetch(
                method,
                self.address.base + url,
                headers=sent,
                limit=limit,
                verify=self._verify,
                what=what,
                content=content,
                into=into,
            )
            if answer.status != 401 or attempt:
                return answer
            self._client.forget(key)
            granted, lifetime = await self._authenticate(answer, what)
            if not granted:
                return answer
            self._client.remember(key, granted, lifetime)
        return answer

    async def _authenticate(self, answer: Answer, what: str) -> tuple[str, float]:
        challenges = {
            challenge.scheme: challenge
            for header in reversed(answer.headers.get_list("www-authenticate"))
            for challenge in reversed(read_challenges(header))
        }
        if "bearer" in challenges:
            return await self._token(challenges["bearer"], what)
        if "basic" in challenges and self._login:
            return _basic(self._login), 3600.0
        return "", 0.0

    async def _token(self, challenge: Challenge, what: str) -> tuple[str, float]:
        try:
            realm = httpx.URL(challenge.parameters.get("realm", ""))
        except httpx.InvalidURL as error:
            raise Unreadable(
                f"{what}: {self.address.host} names no place to get a token", host=self.address.host
            ) from error
        if not realm.host:
            raise Unreadable(f"{what}: {self.address.host} names no place to get a token", host=self.address.host)
        self._client._check_scheme(realm, what)
        scope = challenge.parameters.get("scope") or f"repository:{self.address.repository}:pull"
        realm = realm.copy_add_param("scope", scope)
        if service := challenge.parameters.get("service"):
            realm = realm.copy_add_param("service", service)
        withheld = realm.scheme == "http" and not self._client.settings.credentials_over_http
        headers = {"Authorization": _basic(self._login)} if self._login and not withheld else {}
        told = f"{what}: getting a token from {_host(realm)}"
        answer = await self._client.fetch(
            "GET", str(realm), headers=headers, limit=MAX_TOKEN, verify=self._verify, what=told
        )
        self._check(answer, told)
        grant = self._read(_WireToken, answer, told)
        token = grant.token or grant.access_token
        if not token or not token.isprintable() or not token.isascii():
            raise Unreadable(f"{told}: there is none in the answer", host=self.address.host)
        return f"Bearer {token}", max(0.0, (grant.expires_in or _TOKEN_LIFETIME) - _TOKEN_MARGIN)

    def _read(self, model: type[_Model], answer: Answer, what: str) -> _Model:
        try:
            return model.model_validate_json(answer.body)
        except ValidationError as error:
            kind = answer.headers.get("content-type", "").split(";")[0].strip()
            found = "a web page" if kind == "text/html" or answer.body[:1] == b"<" else "something else"
            raise Unreadable(
                f"{what}: {self.address.host} answered with {found} where JSON of the registry's API was expected; "
                "is there a registry at that address?",
                host=self.address.host,
            ) from error

    def _check(self, answer: Answer, what: str) -> None:
        """Raise what the status means."""
        status = answer.status
        if status == 200:
            return
        host = self.address.host
        reason = self._reason(answer)
        wait = retry_after(answer.headers.get("retry-after", ""))
        match status:
            case 401 if self._withheld:
                raise Unauthorized(
                    f"{what}: {host} wants credentials (401){reason}; there are some, but they aren't sent over plain "
                    "HTTP unless the operator allows it",
                    host=host,
                )
            case 401 if self._login:
                raise Unauthorized(
                    f"{what}: {host} refuses the credentials (401){reason}; check username and password in the Secret "
                    f"for {self.address.name}",
                    host=host,
                )
            case 401:
                raise Unauthorized(
                    f"{what}: {host} wants credentials (401){reason}, or there is no such repository; add a Secret of "
                    f"type image whose repoURL is {self.address.name}",
                    host=host,
                )
            case 403:
                raise Forbidden(
                    f"{what}: {host} forbids it (403){reason}; the credentials "
                    f"{'need permission to read it' if self._login else 'for it are missing'}",
                    host=host,
                )
            case 404:
                raise NotFound(f"{what}: not found (404){reason}; check the name, and the right to see it", host=host)
            case 429:
                raise RateLimited(
                    f"{what}: {host} takes no more requests for now (429){reason}", host=host, retry_after=wait
                )
            case _ if status >= 500:
                raise Unavailable(f"{what}: {host} is in trouble ({status}){reason}", host=host, retry_after=wait)
            case _:
                raise Unreadable(f"{what}: {host} answered {status}{reason}", host=host)

    def _reason(self, answer: Answer) -> str:
        """The registry's own words, where it has any."""
        try:
            errors = _WireErrors.model_validate_json(answer.body).errors
        except ValidationError:
            return ""
        words = next((error.message or error.code for error in errors if error.message or error.code), "")
        if self._login and self._login.password:
            words = words.replace(self._login.password, "*****")
        return f": {_short(words)}" if words else ""


def _basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _host(url: httpx.URL) -> str:
    return f"{url.host}:{url.port}" if url.port else url.host


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _next_page(link: str) -> str:
    """Path and query of the next page. Its host doesn't count: behind a proxy it is often wrong, or a trap."""
    if not (match := _NEXT_PAGE.search(link)):
        return ""
    try:
        path = httpx.URL(match.group(1)).raw_path.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        return ""
    return path if path.startswith("/v2/") else ""


def retry_after(header: str) -> timedelta | None:
    """Seconds or a date (RFC 9110 §10.2.3); at most a day."""
    if not header:
        return None
    try:
        wait = timedelta(seconds=int(header)) if header.isdigit() else parsedate_to_datetime(header) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), timedelta(days=1))


def _short(text: str) -> str:
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= 200 else text[:199] + "…"


__all__ = ["Login", "RegistryClient", "RegistryError", "Repository", "TagList"]
