"""Receivers are checked before they are applied, and found by the paths that Kargo gives them."""

from __future__ import annotations

from typing import Any

import pytest

from model.paths import PathFilter
from model.receivers import check_receivers, receiver_path
from model.resources.project_config import WebhookReceiverConfig


def test_a_path_is_the_hash_of_project_name_and_secret() -> None:
    # printf 'shophubopensesame' | sha256sum
    digest = "452e7aa9a9d5b6d3ae0439a5686ed7767c9aeef6bf6d467516ae0ea994a4c2ed"
    assert receiver_path("shop", "github", "hub", "opensesame") == f"github/{digest}"


SECRET = {"secretRef": {"name": "s"}}


def generic(**target: Any) -> dict[str, Any]:
    selected = {"action": "Refresh", "targetSelectionCriteria": [{"kind": "Warehouse", **target}]}
    return {"name": "a", "generic": {**SECRET, "actions": [selected]}}


def index(key: str) -> dict[str, Any]:
    return {"matchIndices": [{"key": key, "operator": "Equals", "value": "x"}]}


@pytest.mark.parametrize(
    ("receivers", "said"),
    [
        ([{"name": "a", "github": SECRET}, {"name": "b", "gitlab": SECRET}], ""),
        ([{"name": "a", "github": SECRET}, {"name": "a", "gitlab": SECRET}], "has the name a too"),
        ([{"name": "a"}], "it has none"),
        ([{"name": "a", "github": SECRET, "quay": SECRET}], "it has github, quay"),
        ([{"name": "a", "github": {"secretRef": {}}}], "the name of a Secret is required"),
        ([generic(name="web")], ""),
        ([generic()], "at least one of name, labelSelector and indexSelector"),
        ([generic(indexSelector=index("subscribedURLs"))], ""),
        ([generic(indexSelector=index("receiverPaths"))], "subscribedURLs is"),
        ([generic(kind="Promotion", name="x")], ""),
        ([generic(kind="Promotion", indexSelector=index("subscribedURLs"))], "by name only"),
        ([generic(labelSelector={"matchExpressions": [{"key": "a", "operator": "In"}]})], "In needs values"),
        ([{"name": "a", "generic": {**SECRET, "actions": [{"action": "Refresh"}]}}], "at least one selection"),
    ],
)
def test_rules(receivers: list[dict[str, Any]], said: str) -> None:
    found = [finding.message for finding in check_receivers(map(WebhookReceiverConfig.model_validate, receivers))]
    assert (said in "; ".join(found)) if said else found == []


@pytest.mark.parametrize(
    ("include", "exclude", "changed", "counts"),
    [
        ([], [], "a", True),
        (["apps"], [], "apps/a.yaml", True),
        (["apps/"], [], "apps/a.yaml", True),
        (["apps"], [], "apps-old/a.yaml", False),
        (["apps/a.yaml"], [], "apps/a.yaml", True),
        (["."], [], "a", True),
        (["glob:apps/*/values.yaml"], [], "apps/web/values.yaml", True),
        (["glob:apps/*.yaml"], [], "apps/web/values.yaml", False),
        (["regex:values"], [], "apps/web/values.yaml", True),
        (["regexp:^values"], [], "apps/web/values.yaml", False),
        ([], ["docs"], "docs/a.md", False),
        (["docs"], ["docs/internal"], "docs/internal/a.md", False),
    ],
)
def test_which_changes_count(include: list[str], exclude: list[str], changed: str, counts: bool) -> None:
    assert PathFilter(include, exclude).matches([changed]) is counts
