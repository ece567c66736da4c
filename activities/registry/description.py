"""What is read out of a manifest: types, digests, platforms, annotations, time of creation.

Media types and fields: OCI image spec v1.1, Docker image manifest v2 schema 2. Which time counts as an image's
creation: Kargo, pkg/image/repository_client.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, Field, field_validator

from model.base import Json, Message, Time

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = {OCI_INDEX, DOCKER_INDEX}
MANIFESTS = {OCI_MANIFEST, DOCKER_MANIFEST}
ACCEPT = ", ".join([OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST])

#: Keys that say when something was built; the first that holds a time counts.
_CREATED = ("org.opencontainers.image.created", "org.label-schema.build-date")


class Platform(Message):
    """What one image of an index runs on."""

    os: str
    architecture: str
    variant: str = ""
    annotations: dict[str, str] | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class ImageDescription(Message):
    """What is known of an image by its digest. It never changes, so it may be kept."""

    digest: str
    created_at: Time | None = None
    annotations: dict[str, str] | None = None
    platforms: list[Platform] = Field(default_factory=list)

    def annotations_for(self, platform: Platform | None) -> dict[str, str] | None:
        """Its annotations, those of this platform's image laid over them."""
        if platform is None or not platform.annotations:
            return self.annotations
        return {**(self.annotations or {}), **platform.annotations}


class Wire(BaseModel):
    """Base of what registries send: unknown fields are theirs to add, null is the same as absent."""

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object, info: object) -> object:
        name = getattr(info, "field_name", "")
        field = cls.model_fields.get(name)
        return field.get_default(call_default_factory=True) if value is None and field is not None else value


class WirePlatform(Wire):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(Wire):
    """A reference to content by its digest."""

    digest: str = ""
    size: int = 0
    annotations: dict[str, str] = Field(default_factory=dict)
    platform: WirePlatform = Field(default_factory=WirePlatform)

    @property
    def is_image(self) -> bool:
        """Attestations and the like stand in an index without a platform, or with `unknown`."""
        return all(part not in {"", "unknown"} for part in (self.platform.os, self.platform.architecture))


class Manifest(Wire):
    """An image manifest or an index: one has `config`, the other `manifests`."""

    config: Descriptor = Field(default_factory=Descriptor)
    manifests: list[Descriptor] = Field(default_factory=list)
    annotations: dict[str, str] = Field(default_factory=dict)


class WireLabels(Wire):
    Labels: dict[str, str] = Field(default_factory=dict)


class ImageConfig(Wire):
    """The config blob of an image."""

    created: str = ""
    os: str = ""
    architecture: str = ""
    variant: str = ""
    config: WireLabels = Field(default_factory=WireLabels)


def claimed_time(metadata: Mapping[str, str]) -> datetime | None:
    """The time of creation that annotations or labels claim."""
    for key in _CREATED:
        if (moment := read_time(metadata.get(key))) is not None:
            return moment
    return None


def creation_time(annotations: Mapping[str, str], config: ImageConfig) -> datetime | None:
    """When an image was created: as its annotations say, else the later of label and config.

    Labels are inherited from the base image and only ever too early, so the later one is nearer to the truth.
    """
    if (annotated := claimed_time(annotations)) is not None:
        return annotated
    moments = [moment for moment in (claimed_time(config.config.Labels), read_time(config.created)) if moment]
    return max(moments, default=None)


def read_time(value: Json) -> datetime | None:
    """An RFC 3339 time, or None where it isn't one."""
    if not isinstance(value, str) or "T" not in value.upper():
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
