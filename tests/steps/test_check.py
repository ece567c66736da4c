"""Uses of steps are checked before anything runs, with templates taken for values of any type."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.outside import Outside
from activities.steps.catalog import all_activities, load_steps
from activities.steps.check import check_steps, describe_steps
from activities.steps.registry import STEPS
from model.steps import CheckStepsRequest, DescribeStepsRequest, ExpressionUse, StepUse


@pytest.mark.parametrize(
    ("uses", "config", "problem"),
    [
        ("git-push", {"path": "out", "maxAttempts": "${{ vars.n }}"}, None),
        ("git-clone", {"repoURL": "${{ vars.r }}", "checkout": "${{ vars.c }}"}, None),
        ("git-clone", {"repoURL": "r", "checkout": [{"path": "a", "branch": "${{ x }}", "create": "${% y %}"}]}, None),
        ("git-push", {"path": "out", "maxAttempts": "3"}, "maxAttempts: Input should be a valid integer"),
        ("git-push", {}, "path: is required"),
        ("git-push", {"path": "o", "tagg": "x"}, "tagg: unknown field; did you mean tag?"),
        ("git-push", {"path": "o", "tagg": "${{ vars.t }}"}, "tagg: unknown field; did you mean tag?"),
        ("git-push", {"path": "o", "tag": "v", "force": True}, "config: force does not go with tag"),
        ("git-commit", {"path": "o", "message": "m", "author": {"name": "n", "email": "e", "signingKey": "k"}},
         None),
        ("git-commit", {"path": "o", "message": "m", "author": {"name": "n<", "email": "e"}},
         "author: name and email can't hold"),
        ("git-clone", {"repoURL": "r", "checkout": [{"path": "a", "branch": "b", "tag": "t"}]},
         "checkout[0]: only one of branch, commit and tag"),
        ("git-clone", {"repoURL": "r", "checkout": [{"path": "a", "as": "x"}, {"path": "b", "as": "x"}]}, "same `as`"),
        ("git-clone", {"repoURL": "r", "checkout": [{"path": "a", "branch": "${{ x }}", "tag": "${{ y }}"}]}, None),
        ("argocd-update", {"apps": [{"name": "shop-${{ ctx.stage }}"}]}, None),
        ("argocd-update", {"apps": [{"name": "${{ x }}", "selector": "${{ y }}"}]}, None),
        ("argocd-update", {"apps": [{"name": "Shop", "namespace": "argocd"}]}, "can't be the name of an Application"),
        ("argocd-update", {"apps": [{"namespace": "${{ x }}"}]}, "exactly one of name and selector"),
        ("git-clear", {"path": "${{ outputs.a[0] }}/${{ ctx.stage"}, "path: the expression can't be read: unclosed"),
        ("git-clone", {"repoURL": "r", "checkout": [{"path": "a", "tag": "${{ imageFrom(vars.i.Tag }}"}]},
         "checkout[0].tag: the expression can't be read: unexpected token EOF (line 1, column"),
        ("compose-output", {}, "at least one output"),
        ("git-psuh", {}, "there is no step 'git-psuh'; did you mean git-push?"),
        ("tf-apply", {}, "step tf-apply is not supported yet"),
        ("fail", "text", "config of fail must be an object"),
    ],
)  # fmt: skip
async def test_check(outside: Outside, uses: str, config: Any, problem: str | None) -> None:
    all_activities(outside)
    asked = CheckStepsRequest(uses=[StepUse(where="Stage/dev: steps[0]", uses=uses, config=config)])
    report = await ActivityEnvironment().run(check_steps, asked)
    if problem is None:
        assert report.problems == []
    else:
        assert len(report.problems) == 1
        assert problem in report.problems[0].message
        assert report.problems[0].where.startswith("Stage/dev: steps[0]")
    assert set(report.kinds) == ({uses} & set(STEPS))


async def test_expressions_of_warehouses_that_cannot_be_read_are_named() -> None:
    uses = [
        ExpressionUse(where="w.yaml:3: spec.freightCreationCriteria.expression", expression="1 =="),
        ExpressionUse(where="w.yaml:9: expressionFilter", expression="subject contains 'x'"),
    ]
    report = await ActivityEnvironment().run(check_steps, CheckStepsRequest(uses=[], expressions=uses))
    (problem,) = report.problems
    assert problem.where == "w.yaml:3: spec.freightCreationCriteria.expression"
    assert problem.message.startswith("the expression can't be read: ")


def test_installed_packages_bring_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Entry:
        def load(self) -> None:
            asked.append("loaded")

    def entries(group: str) -> list[Entry]:
        asked.append(group)
        return [Entry()]

    monkeypatch.setattr("activities.steps.catalog.entry_points", entries)
    load_steps()
    assert asked == ["towpath.steps", "loaded"]


def test_every_step_is_an_activity_of_its_name(outside: Outside) -> None:
    names = {function.__temporal_activity_definition.name for function in all_activities(outside)}
    assert {
        "check-steps",
        "git-clone",
        "git-clear",
        "git-commit",
        "git-push",
        "git-tag",
        "compose-output",
        "fail",
    } <= names
    assert names == {"check-steps", "describe-steps", *STEPS}


async def test_steps_are_described() -> None:
    load_steps()
    everything = await describe_steps(DescribeStepsRequest())
    names = [step.kind.name for step in everything.steps]
    assert names == sorted(names)
    assert {"git-clone", "untar", "oci-push"} <= set(names)
    assert all(step.description for step in everything.steps)
    (one,) = (await describe_steps(DescribeStepsRequest(name="git-merge-pr"))).steps
    assert set(one.config_schema["required"]) == {"repoURL", "prNumber"}
    assert one.output_schema is not None
    assert "commit" in one.output_schema["properties"]
    near = await describe_steps(DescribeStepsRequest(name="git-clon"))
    assert near.steps == []
    assert "did you mean git-clone?" in near.message
