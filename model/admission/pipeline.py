"""Rules about resources together: what they refer to, and that Freight never goes in a circle."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from model.admission.existing import Existing, ExistingStage
from model.findings import Finding, Findings, Path, error, warning
from model.plan import PlanRefused, make_plan
from model.resources import (
    AnalysisTemplate,
    ClusterAnalysisTemplate,
    ClusterPromotionTask,
    ProjectConfig,
    PromotionTask,
    Resource,
    Stage,
    Warehouse,
)

Task = TypeVar("Task")


@dataclass
class Pipeline:
    """A Project as it will be: what is there, with the set laid over it. Without models: there already."""

    stages: dict[str, ExistingStage] = field(default_factory=dict)
    warehouses: set[str] = field(default_factory=set)
    tasks: dict[str, PromotionTask | None] = field(default_factory=dict)
    cluster_tasks: dict[str, ClusterPromotionTask | None] = field(default_factory=dict)
    templates: dict[str, AnalysisTemplate | None] = field(default_factory=dict)
    cluster_templates: dict[str, ClusterAnalysisTemplate | None] = field(default_factory=dict)


def pipeline(project: str, resources: Iterable[Resource], existing: Existing) -> Pipeline:
    """The Project as it will be once these resources are applied."""
    there = existing.projects.get(project)
    found = Pipeline(
        cluster_tasks=dict.fromkeys(existing.cluster_tasks),
        cluster_templates=dict.fromkeys(existing.cluster_analysis_templates),
    )
    if there:
        found.stages = dict(there.stages)
        found.warehouses = set(there.warehouses)
        found.tasks = dict.fromkeys(there.tasks)
        found.templates = dict.fromkeys(there.analysis_templates)
    for resource in resources:
        if isinstance(resource, ClusterPromotionTask):
            found.cluster_tasks[resource.name] = resource
        elif isinstance(resource, ClusterAnalysisTemplate):
            found.cluster_templates[resource.name] = resource
        elif resource.project != project:
            continue
        elif isinstance(resource, Stage):
            found.stages[resource.name] = ExistingStage.of(resource)
        elif isinstance(resource, Warehouse):
            found.warehouses.add(resource.name)
        elif isinstance(resource, PromotionTask):
            found.tasks[resource.name] = resource
        elif isinstance(resource, AnalysisTemplate):
            found.templates[resource.name] = resource
    return found


def check_references(resource: Resource, around: Pipeline) -> Findings:
    """What a resource refers to: a warning for what isn't there (yet)."""
    if isinstance(resource, Stage):
        yield from _sources(resource, around)
        yield from _tasks(resource, around)
        yield from _templates(resource, around)
    elif isinstance(resource, ProjectConfig):
        for place, policy in enumerate(resource.spec.promotion_policies):
            here: Path = ("spec", "promotionPolicies", place)
            name = policy.exact_stage
            if name is None:
                continue
            stage = around.stages.get(name)
            if stage is None:
                yield _missing(here, "Stage", name, around.stages)
            elif stage.control_flow and policy.auto_promotion_enabled:
                yield warning(here, f"without effect: {name} has no promotion steps, Freight passes through it")


def _sources(stage: Stage, around: Pipeline) -> Findings:
    for place, request in enumerate(stage.spec.requested_freight):
        here: Path = ("spec", "requestedFreight", place)
        if request.origin.name not in around.warehouses:
            yield _missing((*here, "origin", "name"), "Warehouse", request.origin.name, around.warehouses)
        for index, name in enumerate(request.sources.stages):
            upstream = around.stages.get(name)
            if upstream is None:
                yield _missing((*here, "sources", "stages", index), "Stage", name, around.stages)
            elif upstream.control_flow and request.sources.required_soak_time and not request.sources.direct:
                message = (
                    f"Freight does not stay in {name}, which has no promotion steps: "
                    "the time counts from when it was verified there"
                )
                yield warning((*here, "sources", "requiredSoakTime"), message)


def _tasks(stage: Stage, around: Pipeline) -> Findings:
    complete = not stage.control_flow
    for place, step in enumerate(stage.steps):
        if step.task is None:
            continue
        known: Mapping[str, object] = around.cluster_tasks if step.task.cluster else around.tasks
        if step.task.name not in known:
            path = ("spec", "promotionTemplate", "spec", "steps", place, "task", "name")
            yield _missing(path, step.task.kind or "PromotionTask", step.task.name, known)
        if known.get(step.task.name) is None:
            complete = False
    if not complete:
        return
    try:
        make_plan(stage, _given(around.tasks), _given(around.cluster_tasks), {})
    except PlanRefused as refused:
        yield warning(("spec", "promotionTemplate"), f"promotions will be refused: {refused.reason}")


def _templates(stage: Stage, around: Pipeline) -> Findings:
    verification = stage.spec.verification
    if verification is None or stage.control_flow:
        return
    arguments: set[str] | None = set()
    for place, reference in enumerate(verification.analysis_templates):
        known: Mapping[str, AnalysisTemplate | ClusterAnalysisTemplate | None] = (
            around.cluster_templates if reference.cluster else around.templates
        )
        if reference.name not in known:
            path = ("spec", "verification", "analysisTemplates", place)
            yield _missing(path, reference.kind or "AnalysisTemplate", reference.name, known)
        template = known.get(reference.name)
        if template is None:
            arguments = None
        elif arguments is not None:
            arguments |= {argument.name for argument in template.spec.args}
    if arguments is None:
        return
    for place, argument in enumerate(verification.args):
        if argument.name not in arguments:
            yield warning(
                ("spec", "verification", "args", place), f"without effect: no template has an argument {argument.name}"
            )


def check_cycles(stages: Mapping[str, ExistingStage], changed: Sequence[str]) -> dict[str, Finding]:
    """For each circle of Stages one finding, at one of the `changed` Stages that is part of it."""
    downstream: dict[str, list[str]] = {}
    for name, stage in stages.items():
        for upstream in stage.upstreams:
            downstream.setdefault(upstream, []).append(name)
    found: dict[str, Finding] = {}
    done: set[str] = set()
    for name in changed:
        circle = _circle(name, downstream)
        if circle and not done & set(circle):
            done |= set(circle)
            way = " → ".join([*circle, circle[0]])
            found[name] = error(("spec", "requestedFreight"), f"Freight would go in a circle: {way}")
    return found


def _circle(start: str, downstream: Mapping[str, list[str]]) -> list[str]:
    """The shortest way Freight takes from a Stage back to it; empty: there is none."""
    came_from: dict[str, str] = {}
    ahead = [start]
    for name in ahead:
        for following in downstream.get(name, []):
            if following == start:
                way = [name]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if following not in came_from:
                came_from[following] = name
                ahead.append(following)
    return []


def _missing(path: Path, kind: str, name: str, known: Iterable[str]) -> Finding:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return warning(path, f"there is no {kind} {name} yet{hint}")


def _given(known: Mapping[str, Task | None]) -> dict[str, Task]:
    return {name: task for name, task in known.items() if task is not None}
