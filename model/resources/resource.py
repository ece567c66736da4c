"""What all resources have in common: a kind, metadata, and one shape when shown."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, Final, Literal

from pydantic import Field

from model.base import Json, Manifest
from model.resources.metadata import ObjectMeta

KARGO: Final = "kargo.akuity.io/v1alpha1"
#: Kinds of Kargo's paid edition.
KARGO_ENTERPRISE: Final = "ee.kargo.akuity.io/v1alpha1"
ROLLOUTS: Final = "argoproj.io/v1alpha1"
CORE: Final = "v1"

KargoVersion = Literal["kargo.akuity.io/v1alpha1"]
KargoEnterpriseVersion = Literal["ee.kargo.akuity.io/v1alpha1"]
RolloutsVersion = Literal["argoproj.io/v1alpha1"]
CoreVersion = Literal["v1"]


class Resource(Manifest):
    """Base of all resources. Subclasses say their kind, and whether they belong to the cluster or to a Project."""

    cluster_scoped: ClassVar[bool] = False

    api_version: str
    kind: str
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def project(self) -> str:
        """The Project it belongs to; empty where it belongs to the cluster."""
        return "" if self.cluster_scoped else self.metadata.namespace

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def shown(self) -> dict[str, Json]:
        """As JSON in Kargo's spelling. As there, fields that are empty and needn't be written are left out."""
        shown: dict[str, Json] = _without_empty(self, self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return shown


def _without_empty(value: Json, dumped: Json) -> Json:
    """`dumped`, the JSON of `value`, without the optional empty fields of the models in it.

    JSON that is the user's own, such as a step's config, is left as it is.
    """
    if isinstance(value, Manifest) and isinstance(dumped, dict):
        kept = dict(dumped)
        for name, key, required, default in _fields(type(value)):
            if key not in kept:
                continue
            inner = getattr(value, name)
            if not inner and inner == default:
                del kept[key]
                continue
            kept[key] = _without_empty(inner, kept[key])
            if not kept[key] and isinstance(inner, Manifest) and not required:
                del kept[key]
        return kept
    if isinstance(value, list) and isinstance(dumped, list):
        return [_without_empty(inner, outer) for inner, outer in zip(value, dumped, strict=True)]
    if isinstance(value, dict) and isinstance(dumped, dict):
        return {key: _without_empty(value.get(key), outer) for key, outer in dumped.items()}
    return dumped


@cache
def _fields(model: type[Manifest]) -> list[tuple[str, str, bool, Json]]:
    """Of each field: its name here and in manifests, whether it is required, and its default."""
    return [
        (
            name,
            field.alias or name,
            field.is_required(),
            field.get_default(call_default_factory=True, validated_data={}),
        )
        for name, field in model.model_fields.items()
    ]
