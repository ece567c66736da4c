"""`oci-download` and `oci-push`: artifacts in registries (Kargo: pkg/promotion/runner/builtin/oci_*.go)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from activities.credentials import CredentialKind
from activities.registry.address import RegistrySettings
from activities.registry.client import Login, RegistryClient, Repository
from activities.registry.description import INDEXES, MANIFESTS
from activities.registry.errors import Forbidden, NotFound, RegistryError, Unauthorized
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepOutput, step
from model.base import Json
from model.steps import Effect

#: Images of one index that are copied.
MAX_IMAGES = 64

_REFERENCE = re.compile(r"(oci://)?[a-zA-Z0-9._-]+(:\d+)?(/[a-zA-Z0-9._-]+)*[@:][a-zA-Z0-9._:-]+")
_TAGGED = re.compile(r"(oci://)?[a-zA-Z0-9._-]+(:\d+)?(/[a-zA-Z0-9._-]+)*:[a-zA-Z0-9._-]+")


def _checked(value: str, pattern: re.Pattern[str], example: str) -> str:
    if "${" not in value and not pattern.fullmatch(value):
        raise ValueError(f"expected a reference like {example}")
    return value


class OciDownloadConfig(StepConfig):
    """Kargo: schemas/oci-download-config.json."""

    image_ref: str = Field(
        min_length=1, description="registry/repository:tag or registry/repository@sha256:…; oci:// for Helm charts."
    )
    out_path: str = Field(min_length=1, description="File to write; directories are made as needed.")
    allow_overwrite: bool = Field(default=False, description="Replace a file that is there already.")
    media_type: str | None = Field(
        default=None, min_length=1, description="Take the first layer of this type. Default: the first of all."
    )
    insecure_skip_tls_verify: bool = Field(
        default=False, alias="insecureSkipTLSVerify", description="Accept any TLS certificate."
    )

    @field_validator("image_ref")
    @classmethod
    def image_ref_is_whole(cls, value: str) -> str:
        return _checked(value, _REFERENCE, "ghcr.io/team/config:v1 or ghcr.io/team/config@sha256:…")


class OciDownloadOutput(StepOutput):
    """What was downloaded. A rebuild that finds another artifact under the tag is noticed by it."""

    digest: str = Field(description="Digest of the layer, and so of the file.")
    size: int = Field(description="Its bytes.")


class OciPushConfig(StepConfig):
    """Kargo: schemas/oci-push-config.json."""

    src_ref: str = Field(min_length=1, description="What to copy: registry/repository:tag or …@sha256:….")
    dest_ref: str = Field(min_length=1, description="Where to: registry/repository:tag, also in the same repository.")
    annotations: dict[str, str] = Field(
        default_factory=dict,
        description="Annotations to set, on images; with the prefix index: on the index of several platforms.",
    )
    insecure_skip_tls_verify: bool = Field(
        default=False, alias="insecureSkipTLSVerify", description="Accept any TLS certificate."
    )

    @field_validator("src_ref")
    @classmethod
    def src_ref_is_whole(cls, value: str) -> str:
        return _checked(value, _REFERENCE, "ghcr.io/team/app:v1 or ghcr.io/team/app@sha256:…")

    @field_validator("dest_ref")
    @classmethod
    def dest_ref_has_a_tag(cls, value: str) -> str:
        return _checked(value, _TAGGED, "ghcr.io/team/app:v1")


class OciPushOutput(StepOutput):
    """What was pushed, and where to."""

    image: str = Field(description="The destination with its tag.")
    digest: str = Field(description="Digest of what the tag points at now.")
    tag: str = Field(description="The tag.")


@dataclass(frozen=True)
class Reference:
    """A reference in its parts."""

    #: Without scheme.
    repository: str
    #: Tag or digest.
    version: str
    helm: bool

    @classmethod
    def of(cls, text: str) -> Reference:
        """Raises StepErrored where it is none."""
        if not _REFERENCE.fullmatch(text):
            raise StepErrored(f"{text!r} is not a reference like ghcr.io/team/app:v1", final=True)
        name = text.removeprefix("oci://")
        repository, _, version = name.partition("@") if "@" in name else name.rpartition(":")
        return cls(repository, version, name != text)


@step("oci-download", config=OciDownloadConfig, output=OciDownloadOutput, effect=Effect.WORKSPACE)
async def oci_download(config: OciDownloadConfig, context: StepContext) -> OciDownloadOutput:
    """Download a layer of an artifact to a file; of an index, that of linux/amd64."""
    path = context.path(config.out_path)
    if path.is_dir() or (path.exists() and not config.allow_overwrite):
        raise StepErrored(f"{config.out_path} is there already; allowOverwrite: true would replace a file", final=True)
    reference = Reference.of(config.image_ref)
    async with _registries(context) as client:
        repository = await _repository(client, reference, context, verify=not config.insecure_skip_tls_verify)
        _, media_type, content = await repository.raw_manifest(reference.version)
        manifest = _json(content, config.image_ref)
        if media_type in INDEXES:
            _, _, content = await repository.raw_manifest(_default_image(manifest, config.image_ref))
            manifest = _json(content, config.image_ref)
        limit = context.outside.settings.download_limit
        layer = _layer(manifest, config, limit)
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await repository.download(layer["digest"], path, limit=limit)
    await asyncio.to_thread(path.chmod, 0o600)
    return OciDownloadOutput(digest=layer["digest"], size=path.stat().st_size)


def _default_image(index: Json, shown: str) -> str:
    found = []
    for entry in index.get("manifests") or []:
        platform = entry.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return str(entry.get("digest"))
        found.append(f"{platform.get('os')}/{platform.get('architecture')}")
    raise StepErrored(
        f"{shown} is an index without linux/amd64, only {', '.join(found) or 'nothing'}: name an image by its digest",
        final=True,
    )


def _layer(manifest: Json, config: OciDownloadConfig, limit: int) -> dict[str, str]:
    layers = manifest.get("layers") or []
    fitting = [layer for layer in layers if config.media_type in (None, layer.get("mediaType"))]
    if not fitting:
        known = ", ".join(dict.fromkeys(str(layer.get("mediaType")) for layer in layers))
        raise StepErrored(
            f"{config.image_ref} has no layer" + (f" of type {config.media_type}, only {known}" if layers else ""),
            final=True,
        )
    layer: dict[str, str] = fitting[0]
    if int(fitting[0].get("size") or 0) > limit:
        raise StepErrored(
            f"the layer of {config.image_ref} is larger than {limit} bytes (TOWPATH_DOWNLOAD_LIMIT)", final=True
        )
    return layer


@step("oci-push", config=OciPushConfig, output=OciPushOutput, effect=Effect.EXTERNAL)
async def oci_push(config: OciPushConfig, context: StepContext) -> OciPushOutput:
    """Copy an artifact from one repository to another, or tag it in its own; with annotations where given.

    What is there already is not sent again, so the same once more changes nothing.
    """
    source, target = Reference.of(config.src_ref), Reference.of(config.dest_ref)
    async with _registries(context) as client:
        verify = not config.insecure_skip_tls_verify
        origin = await _repository(client, source, context, verify=verify)
        destination = await _repository(client, target, context, verify=verify)
        copy = await _Copy.of(
            origin, destination, source.version, config, limit=context.outside.settings.oci_push_limit
        )
        try:
            present = await destination.digest(target.version)
        except NotFound:
            present = ""
        if present != copy.digest:
            await copy.write(target.version)
    return OciPushOutput(image=f"{target.repository}:{target.version}", digest=copy.digest, tag=target.version)


@dataclass
class _Copy:
    """An artifact as it is to be at its destination."""

    origin: Repository
    destination: Repository
    #: Digest, media type and bytes: images first, then the index above them, if there is one.
    manifests: list[tuple[str, str, bytes]]
    #: Digests of configs and layers.
    blobs: dict[str, int]

    @property
    def digest(self) -> str:
        return self.manifests[-1][0]

    @classmethod
    async def of(
        cls, origin: Repository, destination: Repository, version: str, config: OciPushConfig, *, limit: int
    ) -> _Copy:
        """Reads the manifests, and sets the annotations. Raises StepErrored where it is too large."""
        copy = cls(origin, destination, [], {})
        _, media_type, content = await origin.raw_manifest(version)
        on_index = {k.removeprefix("index:"): v for k, v in config.annotations.items() if k.startswith("index:")}
        on_images = {
            k.removeprefix("manifest:"): v for k, v in config.annotations.items() if not k.startswith("index:")
        }
        if media_type in INDEXES:
            index = _json(content, config.src_ref)
            entries = index.get("manifests") or []
            if len(entries) > MAX_IMAGES:
                raise StepErrored(f"{config.src_ref} names more than {MAX_IMAGES} images", final=True)
            for entry in entries:
                _, kind, image = await origin.raw_manifest(str(entry.get("digest")))
                entry["digest"], entry["size"] = copy._add(kind, image, on_images, config.src_ref)
            changed = on_index or on_images
            copy._append(media_type, _annotated(index, on_index) if changed else content)
        else:
            copy._add(media_type, content, on_images, config.src_ref)
        total = sum(copy.blobs.values())
        if origin.address != destination.address and total > limit:
            raise StepErrored(
                f"{config.src_ref} has {total} bytes; at most {limit} are copied between repositories "
                "(TOWPATH_OCI_PUSH_LIMIT)",
                final=True,
            )
        return copy

    def _add(self, media_type: str, content: bytes, annotations: dict[str, str], shown: str) -> tuple[str, int]:
        """Take an image's manifest. Returns its new digest and size."""
        if media_type not in MANIFESTS:
            raise StepErrored(f"{shown}: what it names is no image but {media_type[:100] or 'of no type'}", final=True)
        manifest = _json(content, shown)
        for part in [manifest.get("config") or {}, *(manifest.get("layers") or [])]:
            # Layers with URLs are elsewhere, and stay there.
            if part.get("digest") and not part.get("urls"):
                self.blobs[part["digest"]] = int(part.get("size") or 0)
        return self._append(media_type, _annotated(manifest, annotations) if annotations else content)

    def _append(self, media_type: str, content: bytes) -> tuple[str, int]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.manifests.append((digest, media_type, content))
        return digest, len(content)

    async def write(self, tag: str) -> None:
        """Send what is missing: blobs, then images, the tag last."""
        if self.origin.address != self.destination.address:
            with tempfile.TemporaryDirectory(prefix="oci-push-") as directory:
                for digest, size in self.blobs.items():
                    if not await self.destination.has_blob(digest):
                        file = Path(directory, "blob")
                        await self.origin.download(digest, file, limit=max(size, 1))
                        await self.destination.upload(digest, file)
                        await asyncio.to_thread(file.unlink)
        for digest, media_type, content in self.manifests[:-1]:
            await self.destination.put_manifest(digest, media_type, content)
        _, media_type, content = self.manifests[-1]
        await self.destination.put_manifest(tag, media_type, content)


def _annotated(manifest: Json, annotations: dict[str, str]) -> bytes:
    merged = {**manifest, "annotations": {**(manifest.get("annotations") or {}), **annotations}}
    if not merged["annotations"]:
        del merged["annotations"]
    # In a fixed form: the same again has the same digest.
    return json.dumps(merged, separators=(",", ":"), ensure_ascii=False).encode()


def _json(content: bytes, shown: str) -> Json:
    try:
        manifest = json.loads(content)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise StepErrored(f"{shown}: its manifest is not JSON", final=True)
    return manifest


async def _repository(
    client: RegistryClient, reference: Reference, context: StepContext, *, verify: bool
) -> Repository:
    """A repository with the Project's credential for it: of type helm for `oci://`, else image."""
    kind = CredentialKind.HELM if reference.helm else CredentialKind.IMAGE
    address = f"oci://{reference.repository}" if reference.helm else reference.repository
    credential = await asyncio.to_thread(context.outside.credentials.find, context.project, kind, address)
    login = Login(credential.username, credential.password) if credential else None
    return client.repository(reference.repository, login, verify=verify)


@asynccontextmanager
async def _registries(context: StepContext) -> AsyncIterator[RegistryClient]:
    settings = context.outside.settings
    registry = RegistrySettings(
        mirrors=settings.registry_mirrors,
        plain_http=frozenset(settings.plain_http_registries),
        credentials_over_http=settings.allow_credentials_over_http,
        requests_per_second=settings.registry_requests_per_second,
    )
    try:
        async with RegistryClient(registry) as client:
            yield client
    except RegistryError as error:
        final = isinstance(error, NotFound | Unauthorized | Forbidden)
        raise StepErrored(str(error), final=final) from None
