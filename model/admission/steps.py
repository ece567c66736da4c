"""Rules about promotion steps and variables (Kargo: pkg/webhook/kubernetes/promotion_steps.go, and its CRDs)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from model.admission.names import is_name, is_variable
from model.findings import Findings, Path, error
from model.references import ExpressionVariable
from model.resources import ClusterPromotionTask, PromotionTask
from model.resources.promotion import PromotionStep

_RESERVED = re.compile(r"(step|task)-\d+", re.ASCII)


def check_task(task: PromotionTask | ClusterPromotionTask) -> Findings:
    """The variables and steps of a task."""
    yield from check_vars(task.spec.vars, ("spec", "vars"))
    yield from check_steps(task.spec.steps, ("spec", "steps"), in_task=True)


def check_vars(variables: Sequence[ExpressionVariable], path: Path) -> Findings:
    """Names of variables."""
    for place, variable in enumerate(variables):
        if not is_variable(variable.name):
            rule = "a letter or _, then letters, digits and _"
            yield error((*path, place, "name"), f"{variable.name!r} can't be the name of a variable: {rule}")


def check_steps(steps: Sequence[PromotionStep], path: Path, *, in_task: bool) -> Findings:
    """A Stage's steps, or a task's, which may not refer to tasks."""
    first: dict[str, int] = {}
    for place, step in enumerate(steps):
        here = (*path, place)
        yield from _what(step, here, in_task=in_task)
        yield from check_vars(step.vars, (*here, "vars"))
        alias = step.alias.strip()
        if not alias:
            continue
        if _RESERVED.fullmatch(alias):
            yield error((*here, "as"), f"the alias {alias} is reserved for steps without one")
        if alias in first:
            yield error((*here, "as"), f"the alias {alias} is that of step {first[alias] + 1} already")
        first.setdefault(alias, place)


def _what(step: PromotionStep, here: Path, *, in_task: bool) -> Findings:
    if in_task:
        if step.task:
            yield error((*here, "task"), "a task can't refer to another task; write its steps here")
        elif not step.uses:
            yield error((*here, "uses"), "say which step it uses")
        return
    if bool(step.uses) == (step.task is not None):
        yield error(here, "a step needs exactly one of uses and task")
    if step.task is None:
        return
    if not is_name(step.task.name):
        yield error((*here, "task", "name"), f"{step.task.name} can't be the name of a {step.task.kind}")
    for field, given in (
        ("if", bool(step.condition)),
        ("config", step.config is not None),
        ("continueOnError", step.continue_on_error),
        ("retry", step.retry is not None),
    ):
        if given:
            yield error((*here, field), f"a step that refers to a task can't have {field}, only as and vars")
