"""Where manifests use steps and bare expressions, for a worker that knows them to check."""

from __future__ import annotations

from model.findings import Path
from model.manifests import Located
from model.resources import ClusterPromotionTask, PromotionTask, Stage, Warehouse
from model.steps import ExpressionUse, StepUse


def step_uses(located: Located) -> list[StepUse]:
    """Every use of a step in a Stage or task; `where` is the beginning of a message about it."""
    resource = located.resource
    path: Path
    if isinstance(resource, Stage):
        steps, path = resource.steps, ("spec", "promotionTemplate", "spec", "steps")
    elif isinstance(resource, (PromotionTask, ClusterPromotionTask)):
        steps, path = resource.spec.steps, ("spec", "steps")
    else:
        return []
    return [
        StepUse(where=str(located.problem("", (*path, place))), uses=step.uses, config=step.config)
        for place, step in enumerate(steps)
        if step.uses
    ]


def expression_uses(located: Located) -> list[ExpressionUse]:
    """Every expression of a Warehouse; `where` is the beginning of a message about it."""
    resource = located.resource
    if not isinstance(resource, Warehouse):
        return []
    found: list[tuple[Path, str]] = []
    for place, subscription in enumerate(resource.spec.subscriptions):
        if subscription.git:
            path: Path = ("spec", "subscriptions", place, "git", "expressionFilter")
            found.append((path, subscription.git.expression_filter))
    if criteria := resource.spec.freight_creation_criteria:
        found.append((("spec", "freightCreationCriteria", "expression"), criteria.expression))
    return [
        ExpressionUse(where=str(located.problem("", path)), expression=text) for path, text in found if text.strip()
    ]
