"""State of the entities Project and Cluster, as continue-as-new and backups carry it. New fields get a default."""

from __future__ import annotations

from pydantic import Field

from model.api_tokens import ApiToken
from model.base import Json, Message, Time
from model.freezes import Freeze
from model.projects import ClusterSnapshot, StageEntry, WarehouseEntry
from model.steps import StepKind


class ProjectState(Message):
    """State of the workflow `Project`: its own manifests, and of Stages and Warehouses names and generations."""

    project: str
    manifest: dict[str, Json] | None = None
    config: dict[str, Json] | None = None
    #: When a ProjectConfig was first applied, of the one that is there.
    config_created_at: Time | None = None
    created_at: Time | None = None
    #: Whole manifests by name.
    tasks: dict[str, Json] = Field(default_factory=dict)
    templates: dict[str, Json] = Field(default_factory=dict)
    channels: dict[str, Json] = Field(default_factory=dict)
    stages: dict[str, StageEntry] = Field(default_factory=dict)
    warehouses: dict[str, WarehouseEntry] = Field(default_factory=dict)
    kinds: dict[str, StepKind] = Field(default_factory=dict)
    cluster: ClusterSnapshot = ClusterSnapshot(revision=0)
    #: Counts up with each change that Stages may have to hear of.
    revision: int = 0
    #: Digest of the bundle each Stage was last sent.
    bundles: dict[str, str] = Field(default_factory=dict)
    #: Freezes of this Project, oldest first; the last may be in force.
    freezes: list[Freeze] = Field(default_factory=list)
    retired: bool = False
    #: API tokens of this Project, by their hashes.
    tokens: list[ApiToken] = Field(default_factory=list)


class ClusterState(Message):
    """State of the workflow `Cluster`: what belongs to no Project."""

    #: Whole manifests by name.
    tasks: dict[str, Json] = Field(default_factory=dict)
    templates: dict[str, Json] = Field(default_factory=dict)
    channels: dict[str, Json] = Field(default_factory=dict)
    config: dict[str, Json] | None = None
    kinds: dict[str, StepKind] = Field(default_factory=dict)
    #: Projects that want to hear of changes, and the revision each was told.
    projects: dict[str, int] = Field(default_factory=dict)
    #: Freezes of everything, oldest first; the last may be in force.
    freezes: list[Freeze] = Field(default_factory=list)
    revision: int = 0
    #: API tokens of the system, by their hashes.
    tokens: list[ApiToken] = Field(default_factory=list)
