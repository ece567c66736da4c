"""A plan holds every step with its alias, its variables and what is known of its kind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from model.base import Json
from model.plan import PlanRefused, make_plan, stage_references
from model.resources import ClusterPromotionTask, PromotionTask, Stage
from model.steps import Effect, StepKind

Vars = list[tuple[str, str]]


def _vars(variables: Vars) -> list[dict[str, Json]]:
    return [{"name": name, "value": value} for name, value in variables]


def _stage(steps: list[dict[str, Json]], stage_vars: Vars = [], template_vars: Vars = []) -> Stage:  # noqa: B006
    return Stage.model_validate(
        {
            "metadata": {"name": "dev", "namespace": "shop"},
            "spec": {
                "vars": _vars(stage_vars),
                "requestedFreight": [{"origin": {"kind": "Warehouse", "name": "w"}, "sources": {"direct": True}}],
                "promotionTemplate": {"spec": {"vars": _vars(template_vars), "steps": steps}},
            },
        }
    )


def _task(task_vars: Vars, steps: list[dict[str, Json]], name: str = "promote") -> dict[str, PromotionTask]:
    spec = {"vars": _vars(task_vars), "steps": steps}
    return {name: PromotionTask.model_validate({"metadata": {"name": name}, "spec": spec})}


def test_steps_without_an_alias_are_named_by_their_place() -> None:
    stage = _stage([{"uses": "a"}, {"uses": "b", "as": "named"}, {"uses": "c"}, {"task": {"name": "promote"}}])
    tasks = _task([], [{"uses": "x", "as": "update-image"}, {"uses": "y"}])
    plan = make_plan(stage, tasks, {}, {})
    assert [step.alias for step in plan.steps] == [
        "step-1",
        "named",
        "step-3",
        "task-4::update-image",
        "task-4::step-2",
    ]
    assert [step.kind.name for step in plan.steps] == ["a", "b", "c", "x", "y"]


def test_a_named_task_gives_its_name_to_its_steps() -> None:
    stage = _stage([{"task": {"name": "promote"}, "as": "render"}])
    plan = make_plan(stage, _task([], [{"uses": "x"}]), {}, {})
    assert [step.alias for step in plan.steps] == ["render::step-1"]


def test_a_cluster_task_is_taken_from_the_cluster() -> None:
    stage = _stage([{"task": {"name": "promote", "kind": "ClusterPromotionTask"}}])
    cluster = ClusterPromotionTask.model_validate(
        {"metadata": {"name": "promote"}, "spec": {"steps": [{"uses": "of-the-cluster"}]}}
    )
    plan = make_plan(stage, _task([], [{"uses": "of-the-project"}]), {"promote": cluster}, {})
    assert [step.kind.name for step in plan.steps] == ["of-the-cluster"]


def test_what_a_step_says_is_kept() -> None:
    inner = {
        "uses": "http",
        "if": "${{ failure() }}",
        "continueOnError": True,
        "retry": {"timeout": "0s", "errorThreshold": 3},
        "config": {"url": "${{ vars.url }}"},
    }
    known = StepKind(name="http", effect=Effect.EXTERNAL, polls=True, timeout=timedelta(minutes=5))
    plan = make_plan(_stage([{"task": {"name": "promote"}}]), _task([], [inner]), {}, {"http": known})
    (step,) = plan.steps
    assert step.kind == known
    assert step.condition == "${{ failure() }}"
    assert step.continue_on_error
    assert step.effective_threshold() == 3
    assert step.effective_timeout() is None
    assert step.config == {"url": "${{ vars.url }}"}


def test_a_step_that_says_nothing_has_the_patience_of_its_kind() -> None:
    known = StepKind(name="http", timeout=timedelta(minutes=5), error_threshold=2)
    steps: list[dict[str, Json]] = [{"uses": "http"}, {"uses": "http", "retry": {"errorThreshold": 0}}]
    plan = make_plan(_stage(steps), {}, {}, {"http": known})
    assert [step.effective_threshold() for step in plan.steps] == [2, 2]
    assert [step.effective_timeout() for step in plan.steps] == [timedelta(minutes=5)] * 2


def test_promotion_variables_are_the_stages_then_the_templates() -> None:
    stage = _stage([{"uses": "a"}], stage_vars=[("x", "1"), ("y", "1")], template_vars=[("x", "2")])
    plan = make_plan(stage, {}, {}, {})
    assert [(variable.name, variable.value) for variable in plan.vars] == [("x", "1"), ("y", "1"), ("x", "2")]


@pytest.mark.parametrize(
    ("promotion", "default", "reference", "own", "seen"),
    [
        pytest.param([], [("x", "d")], [], [], [("x", "d")], id="default"),
        pytest.param([("x", "p")], [("x", "d")], [], [], [], id="promotion beats default"),
        pytest.param([("x", "")], [("x", "d")], [], [], [("x", "d")], id="empty at promotion is unset"),
        pytest.param([], [("x", "d")], [("x", "r")], [], [("x", "d"), ("x", "r")], id="reference beats default"),
        pytest.param([("x", "p")], [("x", "d")], [("x", "r")], [], [("x", "r")], id="reference beats promotion"),
        pytest.param([], [("x", "")], [("x", "r")], [], [("x", "r")], id="required, from the reference"),
        pytest.param([("x", "p")], [("x", "")], [], [], [], id="required, from the promotion"),
        pytest.param([], [("x", "d")], [("x", "r")], [("x", "o")], [("x", "d"), ("x", "r"), ("x", "o")], id="own last"),
        pytest.param([], [("x", "d"), ("y", "e")], [], [], [("x", "d"), ("y", "e")], id="in order"),
    ],
)
def test_variables_of_a_tasks_step(promotion: Vars, default: Vars, reference: Vars, own: Vars, seen: Vars) -> None:
    stage = _stage([{"task": {"name": "promote"}, "vars": _vars(reference)}], stage_vars=promotion)
    plan = make_plan(stage, _task(default, [{"uses": "a", "vars": _vars(own)}]), {}, {})
    assert [(variable.name, variable.value) for variable in plan.steps[0].vars] == seen


@pytest.mark.parametrize(
    ("promotion", "reference"), [([], []), ([("x", "")], []), ([], [("x", "")]), ([("y", "1")], [("y", "1")])]
)
def test_a_required_variable_without_a_value_refuses_the_promotion(promotion: Vars, reference: Vars) -> None:
    stage = _stage([{"task": {"name": "promote"}, "vars": _vars(reference)}], template_vars=promotion)
    with pytest.raises(PlanRefused, match="step task-1: PromotionTask/promote needs a value for the variable x"):
        make_plan(stage, _task([("x", "")], [{"uses": "a"}]), {}, {})


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([], "Stage dev defines no promotion steps"),
        ([{"task": {"name": "gone"}}], "step task-1: PromotionTask/gone does not exist"),
        (
            [{"task": {"name": "promote", "kind": "ClusterPromotionTask"}}],
            "ClusterPromotionTask/promote does not exist",
        ),
        ([{"as": "empty"}], "step empty says neither what it uses nor"),
        ([{"uses": "a", "as": "x"}, {"uses": "b", "as": "x"}], "two steps have the alias x"),
        (
            [{"uses": "a", "as": "task-2::step-1"}, {"task": {"name": "promote"}}],
            "two steps have the alias task-2::step-1",
        ),
    ],
)
def test_no_plan_can_be_made(steps: list[dict[str, Json]], reason: str) -> None:
    with pytest.raises(PlanRefused, match=reason):
        make_plan(_stage(steps), _task([], [{"uses": "a"}]), {}, {})


def test_a_plan_does_not_change_the_manifests_it_is_made_of() -> None:
    stage = _stage([{"task": {"name": "promote"}}])
    tasks = _task([("x", "d")], [{"uses": "a"}])
    before = stage.model_copy(deep=True), tasks["promote"].model_copy(deep=True)
    assert make_plan(stage, tasks, {}, {}) == make_plan(stage, tasks, {}, {})
    assert (stage, tasks["promote"]) == before


def test_references_of_a_stage() -> None:
    stage = Stage.model_validate(
        {
            "metadata": {"name": "uat"},
            "spec": {
                "requestedFreight": [
                    {"origin": {"kind": "Warehouse", "name": "w"}, "sources": {"stages": ["a", "b"]}},
                    {"origin": {"kind": "Warehouse", "name": "v"}, "sources": {"stages": ["b", "c"]}},
                ],
                "promotionTemplate": {
                    "spec": {
                        "steps": [
                            {"task": {"name": "t"}},
                            {"task": {"name": "t", "kind": "ClusterPromotionTask"}},
                            {"task": {"name": "t"}, "as": "again"},
                        ]
                    }
                },
                "verification": {
                    "analysisTemplates": [{"name": "m"}, {"name": "n", "kind": "ClusterAnalysisTemplate"}],
                },
            },
        }
    )
    references = stage_references(stage)
    assert references.warehouses == ["w", "v"]
    assert references.stages == ["a", "b", "c"]
    assert (references.tasks, references.cluster_tasks) == (["t"], ["t"])
    assert (references.analysis_templates, references.cluster_analysis_templates) == (["m"], ["n"])
