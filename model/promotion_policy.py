"""Which policy is a Stage's (Kargo: pkg/api/auto_promotion.go, findMatchingPromotionPolicy)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from model.label_selectors import selects_labels
from model.name_patterns import name_pattern
from model.resources.project_config import PromotionPolicy, PromotionPolicySelector


def selects(selector: PromotionPolicySelector | None, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects what has this name and these labels: name and labels both, where both are given.

    No selector selects everything. Raises BadNamePattern.
    """
    if selector is None:
        return True
    if selector.name and not name_pattern(selector.name)(name):
        return False
    return selects_labels(selector, labels)


def policy_for(policies: Iterable[PromotionPolicy], stage: str, labels: Mapping[str, str]) -> PromotionPolicy | None:
    """The first policy that matches the Stage: it decides, whatever stands after it. Raises BadNamePattern."""
    for policy in policies:
        if policy.stage_selector is None:
            if policy.stage == stage:
                return policy
        elif selects(policy.stage_selector, stage, labels):
            return policy
    return None
