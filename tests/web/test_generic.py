"""Generic receivers do what their expressions say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.town import Town, git, image, names, view

REPO = "https://git.example.com/Shop/Web.git"


def refresh(*targets: dict[str, Any], when: str = "", **parameters: str) -> dict[str, Any]:
    action: dict[str, Any] = {"action": "Refresh", "targetSelectionCriteria": list(targets)}
    if when:
        action["whenExpression"] = when
    if parameters:
        action["parameters"] = parameters
    return action


def warehouse(name: str = "", **more: Any) -> dict[str, Any]:
    return {"kind": "Warehouse", **({"name": name} if name else {}), **more}


def subscribed(value: str, operator: str = "Equals") -> dict[str, Any]:
    requirement = {"key": "subscribedURLs", "operator": operator, "value": value}
    return warehouse(indexSelector={"matchIndices": [requirement]})


def labelled(*expressions: dict[str, Any], **labels: str) -> dict[str, Any]:
    return warehouse(labelSelector={"matchLabels": labels, "matchExpressions": list(expressions)})


PUSHED = {"repository": {"name": "web", "url": "git@git.example.com:shop/web"}, "promotion": "dev.1", "tags": [1]}


@pytest.mark.parametrize(
    ("action", "outcome", "refreshed"),
    [
        (refresh(warehouse("web")), "Success", ["web"]),
        (refresh(warehouse("${{ request.body.repository.name }}")), "Success", ["web"]),
        (refresh(warehouse("${{ params.which }}"), which="api"), "Success", ["api"]),
        (refresh(warehouse("${{ request.params('which') }}")), "Success", ["api"]),
        (refresh(warehouse("nobody")), "Success", []),
        (refresh(warehouse("web"), warehouse("web"), warehouse("api")), "Success", ["api", "web"]),
        (refresh(subscribed("${{ normalizeGit('" + REPO + "') }}")), "Success", ["web"]),
        (refresh(subscribed("https://git.example.com/shop/web", "NotEquals")), "Success", ["api"]),
        (refresh(subscribed("${{ normalizeImage('docker.io/shop/api') }}")), "Success", ["api"]),
        (refresh(labelled(team="${{ request.header('x-team') }}")), "Success", ["web"]),
        (refresh(labelled({"key": "team", "operator": "In", "values": ["a", "b"]})), "Success", ["api", "web"]),
        (refresh(labelled({"key": "team", "operator": "NotIn", "values": ["a"]})), "Success", ["api"]),
        (refresh(labelled({"key": "tier", "operator": "Exists"})), "Success", ["web"]),
        (refresh({**labelled(team="b"), "name": "web"}), "Success", []),
        (refresh(warehouse("web"), when="request.header('X-Event') == 'push'"), "Success", ["web"]),
        (refresh(warehouse("web"), when="request.headers('X-Event')[0] == 'push'"), "Success", ["web"]),
        (refresh(warehouse("web"), when="request.body.repository.name == 'api'"), "NotApplicable", []),
        (refresh(warehouse("web"), when="request.body.repository.name"), "Error", []),
        (refresh(warehouse("web"), when="request.body.("), "Error", []),
        (refresh(warehouse("${{ request.body.tags[0] }}")), "Error", []),
        (refresh(warehouse("${{ request.body.missing }}")), "Error", []),
        (refresh({"kind": "Promotion", "name": "${{ request.body.promotion }}"}), "Success", ["dev.1"]),
        (refresh(warehouse("broken"), warehouse("web")), "PartialSuccess", ["web"]),
        (refresh(warehouse("broken")), "Failure", []),
    ],
)
async def test_actions(town: Town, action: dict[str, Any], outcome: str, refreshed: list[str]) -> None:
    town.warehouse("web", git(REPO), team="a", tier="front")
    town.warehouse("api", image("docker.io/shop/api"), team="b")
    if "broken" in str(action):
        town.warehouse("broken", image("shop/broken"), team="c")
    town.warehouse("web", git(REPO), project="another", team="a")
    town.promotions = [view("dev.1"), view("dev.2"), view("dev.1", project="another")]
    path = town.receiver("generic", actions=[action])
    async with town.served() as client:
        answer = await client.post(f"{path}?which=api", json=PUSHED, headers={"X-Event": "push", "X-Team": "a"})
    (result,) = answer.json()["results"]
    assert (result["result"], names(town.done)) == (outcome, refreshed)
    assert answer.status_code == (200 if outcome in ("Success", "NotApplicable") else 500)
    assert result["matchedWhenExpression"] == (
        outcome != "NotApplicable" and result["summary"] != "Error evaluating whenExpression"
    )
    assert all(" shop/" in entry for entry in town.done)


async def test_a_body_that_is_no_json_is_refused_and_none_is_fine(town: Town) -> None:
    town.warehouse("web", git(REPO))
    path = town.receiver("generic", actions=[refresh(warehouse("web"))])
    async with town.served() as client:
        assert (await client.post(path, content=b"{")).status_code == 400
        assert town.done == []
        assert (await client.post(path)).status_code == 200
    assert names(town.done) == ["web"]
