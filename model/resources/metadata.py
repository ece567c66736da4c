"""What Kubernetes gives every resource: its metadata, conditions, selectors (apimachinery: meta/v1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.base import Json, Manifest, Time


class OwnerReference(Manifest):
    """A resource this one belongs to."""

    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Manifest):
    """Name, namespace (the Project), labels and annotations; the rest is the server's.

    What a server wrote is understood too, so that what was exported from Kargo can be read.
    """

    name: str = ""
    generate_name: str = ""
    #: The Project; empty for what belongs to the whole cluster.
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    uid: str = ""
    resource_version: str = ""
    #: Counts the changes of `spec`.
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)
    managed_fields: list[Json] = Field(default_factory=list)
    self_link: str = ""


class Condition(Manifest):
    """One observation of a resource's state, such as Ready or Healthy."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = None
    observed_generation: int = 0


class LabelSelectorRequirement(Manifest):
    """One requirement on a label; `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = Field(default_factory=list)


class LabelSelector(Manifest):
    """Selects resources by their labels; all requirements must hold."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: list[LabelSelectorRequirement] = Field(default_factory=list)


class LocalObjectReference(Manifest):
    """A resource of the same Project, by name."""

    name: str = ""
