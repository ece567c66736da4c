"""The frozen plan of a promotion: tasks inflated, aliases and variables settled (Kargo: pkg/api/promotion.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from model.base import Message
from model.references import ExpressionVariable
from model.resources.promotion import PromotionStep
from model.resources.promotion_task import ClusterPromotionTask, PromotionTask, PromotionTaskSpec
from model.resources.stage import Stage
from model.steps import PlannedStep, PromotionPlan, StepKind

#: Stands between a task's alias and that of its step.
SEPARATOR = "::"


class PlanRefused(Exception):
    """No plan can be made; `reason` is a sentence for the person who asked for the promotion."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StageReferences(Message):
    """What a Stage refers to by name, each once, in the order of the manifest."""

    warehouses: list[str] = Field(default_factory=list)
    stages: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list)
    cluster_tasks: list[str] = Field(default_factory=list)
    analysis_templates: list[str] = Field(default_factory=list)
    cluster_analysis_templates: list[str] = Field(default_factory=list)


def stage_references(stage: Stage) -> StageReferences:
    """All that a Stage refers to by name."""
    tasks = [step.task for step in stage.steps if step.task]
    templates = stage.spec.verification.analysis_templates if stage.spec.verification else []
    return StageReferences(
        warehouses=_once(request.origin.name for request in stage.spec.requested_freight),
        stages=stage.upstreams(),
        tasks=_once(task.name for task in tasks if not task.cluster),
        cluster_tasks=_once(task.name for task in tasks if task.cluster),
        analysis_templates=_once(template.name for template in templates if not template.cluster),
        cluster_analysis_templates=_once(template.name for template in templates if template.cluster),
    )


def make_plan(
    stage: Stage,
    tasks: Mapping[str, PromotionTask],
    cluster_tasks: Mapping[str, ClusterPromotionTask],
    kinds: Mapping[str, StepKind],
) -> PromotionPlan:
    """The plan of a promotion to this Stage, from what stands there now.

    `tasks` and `cluster_tasks` are by name. `kinds` is what is known of the steps' kinds; an unknown kind is
    planned all the same, and Errored when its turn comes.

    Raises PlanRefused: the Stage has no steps, a task is missing, or one of its variables has no value.
    """
    if stage.control_flow:
        raise PlanRefused(f"Stage {stage.name} defines no promotion steps: Freight passes through it by itself")
    promotion_vars = stage.promotion_vars
    steps: list[PlannedStep] = []
    for index, step in enumerate(stage.steps):
        alias = step.alias_at(index)
        if step.task is None:
            steps.append(_planned(step, alias, step.vars, kinds))
            continue
        task = _task(step, alias, tasks, cluster_tasks)
        variables = _task_vars(step, alias, task, promotion_vars)
        for place, inner in enumerate(task.steps):
            full = f"{alias}{SEPARATOR}{inner.alias_at(place)}"
            steps.append(_planned(inner, full, [*variables, *inner.vars], kinds))
    _refuse_duplicates(steps)
    return PromotionPlan(steps=steps, vars=promotion_vars)


def _task(
    step: PromotionStep,
    alias: str,
    tasks: Mapping[str, PromotionTask],
    cluster_tasks: Mapping[str, ClusterPromotionTask],
) -> PromotionTaskSpec:
    reference = step.task
    if reference is None:
        raise PlanRefused(f"step {alias} refers to no task")
    task = cluster_tasks.get(reference.name) if reference.cluster else tasks.get(reference.name)
    if task is None:
        raise PlanRefused(f"step {alias}: {reference} does not exist; apply it, then promote again")
    return task.spec


def _task_vars(
    step: PromotionStep, alias: str, task: PromotionTaskSpec, promotion_vars: list[ExpressionVariable]
) -> list[ExpressionVariable]:
    """The task's defaults, then what its reference gives. An empty value counts as not given."""
    promoted = {variable.name for variable in promotion_vars if variable.value}
    given = {variable.name for variable in step.vars if variable.value}
    defaults: list[ExpressionVariable] = []
    for variable in task.vars:
        # Promotion-level variables are seen by every step; a default would hide them.
        if variable.name in promoted:
            continue
        if variable.value:
            defaults.append(variable)
        elif variable.name not in given:
            raise PlanRefused(
                f"step {alias}: {step.task} needs a value for the variable {variable.name}; "
                "give it in the step's vars, or in those of the Stage or its promotion template"
            )
    return [*defaults, *step.vars]


def _planned(
    step: PromotionStep, alias: str, variables: list[ExpressionVariable], kinds: Mapping[str, StepKind]
) -> PlannedStep:
    if not step.uses:
        raise PlanRefused(f"step {alias} says neither what it uses nor, at the top level, a task")
    return PlannedStep(
        alias=alias,
        kind=kinds.get(step.uses) or StepKind(name=step.uses),
        config=step.config,
        condition=step.condition,
        continue_on_error=step.continue_on_error,
        error_threshold=(step.retry.error_threshold or None) if step.retry else None,
        timeout=step.retry.timeout if step.retry else None,
        vars=variables,
    )


def _refuse_duplicates(steps: list[PlannedStep]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.alias in seen:
            raise PlanRefused(f"two steps have the alias {step.alias}; give one of them another with `as`")
        seen.add(step.alias)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
