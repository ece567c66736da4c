"""Which policy decides for a Stage: names, patterns, labels; the first that matches."""

from __future__ import annotations

from typing import Any

import pytest

from model.name_patterns import BadNamePattern, name_pattern
from model.project_rules import bundle_for, stage_entry
from model.project_state import ProjectState
from model.promotion_policy import policy_for
from model.resources.project_config import PromotionPolicy
from tests.model.policy_world import a_stage

LABELS = {"tier": "prod", "region": "east"}


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("prod", "prod", "prod-east"),
        ("glob:prod-*", "prod-east", "preprod-east"),
        ("glob:{dev,test}", "test", "testing"),
        ("glob:prod-?", "prod-1", "prod-12"),
        ("regex:^prod-(east|west)$", "prod-west", "prod-north"),
        ("regexp:east", "prod-east-1", "west"),
    ],
)
def test_name_patterns(pattern: str, matching: str, other: str) -> None:
    assert name_pattern(pattern)(matching)
    assert not name_pattern(pattern)(other)


@pytest.mark.parametrize("pattern", ["regex:(", "regexp:a**(", "glob:[a", "glob:{a", "regex:(?=a)", "x" * 2000])
def test_patterns_that_cannot_be_read(pattern: str) -> None:
    with pytest.raises(BadNamePattern):
        name_pattern(pattern)


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({"name": "prod"}, True),
        ({"name": "qa"}, False),
        ({}, True),
        ({"matchLabels": {"tier": "prod"}}, True),
        ({"matchLabels": {"tier": "prod", "region": "west"}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["qa", "prod"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["prod"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["prod"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"name": "glob:pr*", "matchLabels": {"tier": "prod"}}, True),
        ({"name": "glob:pr*", "matchLabels": {"tier": "qa"}}, False),
        ({"name": "qa", "matchLabels": {"tier": "prod"}}, False),
    ],
)
def test_selectors(selector: dict[str, Any], selected: bool) -> None:
    policy = PromotionPolicy.model_validate({"stageSelector": selector, "autoPromotionEnabled": True})
    assert (policy_for([policy], "prod", LABELS) is policy) is selected


def test_the_first_policy_that_matches_decides() -> None:
    policies = [
        PromotionPolicy.model_validate(policy)
        for policy in (
            {"stage": "qa", "autoPromotionEnabled": True},
            {"stageSelector": {"name": "glob:prod*"}, "autoPromotionEnabled": False},
            {"stageSelector": {}, "autoPromotionEnabled": True},
        )
    ]
    enabled = {name: policy_for(policies, name, {}) for name in ("qa", "prod", "dev")}
    assert {name: policy.auto_promotion_enabled for name, policy in enabled.items() if policy} == {
        "qa": True,
        "prod": False,
        "dev": True,
    }
    assert policy_for(policies[:2], "dev", {}) is None


def test_a_policy_that_cannot_be_read_turns_nothing_on_and_says_so() -> None:
    manifest = a_stage("prod", direct=True).shown()
    config = {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ProjectConfig",
        "metadata": {"name": "shop"},
        "spec": {"promotionPolicies": [{"stageSelector": {"name": "regex:("}, "autoPromotionEnabled": True}]},
    }
    bundle = bundle_for(ProjectState(project="shop", config=config), "prod", stage_entry(manifest, 1))
    assert not bundle.auto_promotion
    assert "'regex:('" in bundle.policy_problem
