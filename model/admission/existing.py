"""What is there already, as much of it as the rules of admission ask about."""

from __future__ import annotations

from pydantic import Field

from model.base import Message
from model.resources import Stage


class ExistingStage(Message):
    """A Stage: the Stages it takes Freight from, and whether Freight just passes through it."""

    upstreams: list[str] = Field(default_factory=list)
    control_flow: bool = False

    @classmethod
    def of(cls, stage: Stage) -> ExistingStage:
        return cls(upstreams=stage.upstreams(), control_flow=stage.control_flow)


class ExistingProject(Message):
    """What a Project holds, by name."""

    stages: dict[str, ExistingStage] = Field(default_factory=dict)
    warehouses: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list)
    analysis_templates: list[str] = Field(default_factory=list)


class Existing(Message):
    """All Projects by name, and what belongs to the cluster."""

    projects: dict[str, ExistingProject] = Field(default_factory=dict)
    cluster_tasks: list[str] = Field(default_factory=list)
    cluster_analysis_templates: list[str] = Field(default_factory=list)
