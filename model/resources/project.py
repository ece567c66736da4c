"""Project: the unit of tenancy (Kargo: api/v1alpha1/project_types.go)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from model.base import Manifest
from model.resources.metadata import Condition
from model.resources.project_config import PromotionPolicy
from model.resources.resource import KARGO, KargoVersion, Resource


class ProjectSpec(Manifest):
    """What old Projects carried; the policies live in the ProjectConfig now."""

    promotion_policies: list[PromotionPolicy] = Field(default_factory=list)


class HealthStats(Manifest):
    """How many of some resources are healthy."""

    healthy: int = 0


class ResourceStats(Manifest):
    """How many there are, and their health."""

    count: int = 0
    health: HealthStats = Field(default_factory=HealthStats)


class ProjectStats(Manifest):
    """The state of a Project's Warehouses and Stages in numbers."""

    warehouses: ResourceStats = Field(default_factory=ResourceStats)
    stages: ResourceStats = Field(default_factory=ResourceStats)


class ProjectStatus(Manifest):
    """What was last observed of a Project."""

    conditions: list[Condition] = Field(default_factory=list)
    stats: ProjectStats | None = None


class Project(Resource):
    """Owns Warehouses, Stages, tasks, templates and one ProjectConfig, all in the namespace of its name."""

    cluster_scoped: ClassVar[bool] = True

    api_version: KargoVersion = KARGO
    kind: Literal["Project"] = "Project"
    spec: ProjectSpec | None = None
    status: ProjectStatus = Field(default_factory=ProjectStatus)

    @property
    def project(self) -> str:
        return self.metadata.name
