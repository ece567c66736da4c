"""Where manifests use steps, for a worker that knows the steps to check."""

from __future__ import annotations

from model.findings import Path
from model.manifests import Located
from model.resources import ClusterPromotionTask, PromotionTask, Stage
from model.steps import StepUse


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
