"""What passes between a Project, the Cluster, and those who apply manifests."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from model.annotations import Settings
from model.base import Json, Message, Time
from model.freezes import Freeze
from model.resources.project_config import PromotionWindow
from model.steps import StepKind


class Action(StrEnum):
    """What `apply` did with a resource."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


class AppliedResource(Message):
    kind: str
    name: str
    action: Action


class ApplyRequest(Message):
    """Argument of the update `apply` of Project and Cluster: a validated set of whole manifests, in Kargo's shape."""

    manifests: list[dict[str, Json]]
    #: What the workers know of the kinds of steps that the set uses.
    kinds: dict[str, StepKind] = Field(default_factory=dict)
    actor: str = ""


class ApplyResult(Message):
    resources: list[AppliedResource] = Field(default_factory=list)
    #: References to what isn't there yet, and the like.
    warnings: list[str] = Field(default_factory=list)


class DeleteRequest(Message):
    """Argument of the update `delete` of Project and Cluster: of kinds they hold themselves.

    Stages and Warehouses are ended by their own update `retire`, which tells the Project.
    """

    kind: str
    name: str
    actor: str = ""


class StageEntry(Message):
    """What a Project remembers of a Stage."""

    generation: int = 1
    digest: str = ""
    origins: list[str] = Field(default_factory=list)
    upstream: list[str] = Field(default_factory=list)
    control_flow: bool = False
    labels: dict[str, str] = Field(default_factory=dict)
    tasks: list[str] = Field(default_factory=list)
    cluster_tasks: list[str] = Field(default_factory=list)
    templates: list[str] = Field(default_factory=list)
    cluster_templates: list[str] = Field(default_factory=list)
    #: Steps the Stage's own template names; those of tasks are found through them.
    steps: list[str] = Field(default_factory=list)


class WarehouseEntry(Message):
    generation: int = 1
    digest: str = ""


class ClusterSnapshot(Message):
    """Signal `cluster_changed` to a Project; the latest revision wins."""

    revision: int
    tasks: dict[str, Json] = Field(default_factory=dict)
    templates: dict[str, Json] = Field(default_factory=dict)
    kinds: dict[str, StepKind] = Field(default_factory=dict)
    #: Of the ClusterConfig.
    windows: list[PromotionWindow] = Field(default_factory=list)
    settings: Settings = Settings()
    #: Of everything; in force.
    freezes: list[Freeze] = Field(default_factory=list)


class Retired(Message):
    """Signal `retired` to a Project: an entity of its own has ended."""

    kind: str
    name: str
    #: The last it had heard of; 0: not said.
    generation: int = 0


class ProjectView(Message):
    """Answer of the query `view`: all that a Project holds."""

    project: str
    manifest: dict[str, Json]
    config: dict[str, Json] | None = None
    tasks: dict[str, Json] = Field(default_factory=dict)
    templates: dict[str, Json] = Field(default_factory=dict)
    channels: dict[str, Json] = Field(default_factory=dict)
    stages: dict[str, StageEntry] = Field(default_factory=dict)
    warehouses: dict[str, WarehouseEntry] = Field(default_factory=dict)
    cluster_tasks: list[str] = Field(default_factory=list)
    cluster_templates: list[str] = Field(default_factory=list)
    freezes: list[Freeze] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    created_at: Time | None = None
    config_created_at: Time | None = None
