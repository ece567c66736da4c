"""The reference of steps says what the steps are, and its examples are valid."""

from __future__ import annotations

import pytest
import yaml

from activities.annotations import descriptions, models_in
from activities.steps.reference import PAGES, example, own_steps, pages
from activities.steps.registry import Step
from tests.docs.manifests import errors_of
from tests.docs.pages import ROOT

STEPS = list(own_steps().values())


def test_the_pages_are_what_the_program_writes() -> None:
    written = {path.name: path.read_text() for path in (ROOT / PAGES).glob("*.md")}
    expected = pages(ROOT)
    assert sorted(written) == sorted(expected), "run `make docs`"
    assert [name for name in expected if written[name] != expected[name]] == [], "run `make docs`"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_field_is_described(step: Step) -> None:
    missing, models = [], [step.config, *([step.output] if step.output else [])]
    while models:
        model = models.pop()
        said = descriptions(model)
        missing += [f"{model.__name__}.{field}" for field in model.model_fields if field not in said]
        models += [inner for field in model.model_fields.values() for inner in models_in(field.annotation)]
    assert missing == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
async def test_every_example_is_valid(step: Step) -> None:
    steps = yaml.safe_load(example(step.name, ROOT))
    assert any(entry["uses"] == step.name for entry in steps)
    task = {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "PromotionTask",
        "metadata": {"name": "example", "namespace": "guestbook"},
        "spec": {"steps": steps},
    }
    assert await errors_of(yaml.safe_dump(task, sort_keys=False), f"examples/steps/{step.name}.yaml") == []
