"""A whole pipeline, with the features of Kargo's advanced example, is read, admitted and planned."""

from __future__ import annotations

from pathlib import Path

from model.admission import Existing, validate_set
from model.manifests import Located, load
from model.plan import make_plan
from model.problems import Severity
from model.resources import PromotionTask, Stage, Warehouse
from model.step_uses import step_uses

FILE = Path(__file__).parent / "pipeline.yaml"


def _load() -> list[Located]:
    located, problems = load(FILE.read_text(), "pipeline.yaml")
    assert problems == []
    return located


def test_the_pipeline_is_admitted_with_one_warning() -> None:
    (problem,) = validate_set(_load(), Existing())
    assert problem.severity is Severity.WARNING
    assert (problem.kind, problem.name, problem.line) == ("Warehouse", "shop", 19)
    assert problem.field == "spec.subscriptions[0].image.allowTags"
    assert "write allowTagsRegexes" in problem.message


def test_its_tags_are_filtered_by_the_old_field() -> None:
    (warehouse,) = (entry.resource for entry in _load() if isinstance(entry.resource, Warehouse))
    image = warehouse.spec.subscriptions[0].image
    assert image is not None
    assert image.allowed_tags() == [r"^v?\d+\.\d+\.\d+$"]


def test_a_task_without_an_alias_is_inflated() -> None:
    resources = [entry.resource for entry in _load()]
    tasks = {resource.name: resource for resource in resources if isinstance(resource, PromotionTask)}
    stages = [resource for resource in resources if isinstance(resource, Stage)]
    assert [stage.name for stage in stages if stage.control_flow] == ["prod"]
    for stage in stages:
        if stage.control_flow:
            continue
        plan = make_plan(stage, tasks, {}, {})
        assert [step.alias for step in plan.steps] == [
            "task-1::step-1",
            "task-1::update-image",
            "task-1::commit",
            "task-1::step-4",
        ]
        assert [variable.name for variable in plan.steps[0].vars] == ["repo", "image"]


def test_every_use_of_a_step_can_be_pointed_at() -> None:
    uses = [use for entry in _load() for use in step_uses(entry)]
    assert [use.uses for use in uses] == ["git-clone", "kustomize-set-image", "git-commit", "git-push"]
    assert uses[1].where == "pipeline.yaml:45: PromotionTask/render: spec.steps[1]"


def test_merged_and_repeated_parts_are_read_as_if_written_out() -> None:
    stages = {entry.resource.name: entry.resource for entry in _load() if isinstance(entry.resource, Stage)}
    one, two = stages["trial-a"].spec.verification, stages["trial-b"].spec.verification
    assert one is not None
    assert two is not None
    assert one.analysis_templates == two.analysis_templates
    assert [argument.value for argument in two.args] == ["tanker"]
    assert stages["prod-south"].upstreams() == ["prod"]
