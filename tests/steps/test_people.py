"""The steps that ask people, as the activities that put the question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.mask import MASKED
from activities.steps.check import problems_of
from activities.steps.registry import STEPS
from model.previews import runs_in_preview
from model.questions import QuestionKind, Responder
from model.steps import FAILED
from tests.steps.test_as_activities import outside_of, run_activity


async def test_wait_for_approval_asks_as_its_config_says(tmp_path: Path) -> None:
    config = {
        "minApprovals": 2,
        "approvers": [{"claim": "groups", "value": "leads", "required": True}, {"role": "release-manager"}],
        "pollInterval": "30s",
    }
    result = await run_activity(outside_of(tmp_path), "wait-for-approval", config)
    assert result.status == "Running"
    question = result.question
    assert question is not None
    assert (question.kind, question.min_approvals) == (QuestionKind.APPROVAL, 2)
    assert question.responders == [
        Responder(claim="groups", value="leads", required=True),
        Responder(role="release-manager"),
    ]


async def test_everything_of_a_question_is_evaluated_and_secrets_in_it_are_masked(tmp_path: Path) -> None:
    project = tmp_path / "credentials" / "demo"
    project.mkdir(parents=True)
    manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: not-to-be-shown}\n"
    (project / "s.yaml").write_text(manifest)
    (project / "s.yaml").chmod(0o600)
    config = {
        "display": "For ${{ ctx.stage }}, ${{ secret('s').key }}",
        "schema": {"type": "object", "properties": {"tag": {"type": "string", "default": "${{ ctx.stage }}"}}},
    }
    outside = outside_of(tmp_path, credentials_directory=tmp_path / "credentials")
    result = await run_activity(outside, "get-user-input", config)
    assert result.question is not None
    assert result.question.display == f"For dev, {MASKED}"
    assert result.question.input_schema["properties"]["tag"]["default"] == "dev"


async def test_a_schema_that_comes_out_wrong_is_failed(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError) as error:
        await run_activity(outside_of(tmp_path), "get-user-input", {"schema": {"type": "string"}})
    assert error.value.type == FAILED
    assert "schema: its root must have `type: object`" in error.value.message


@pytest.mark.parametrize(
    ("name", "config", "problem"),
    [
        ("wait-for-approval", {}, ""),
        ("wait-for-approval", {"minApprovals": 0}, "minApprovals"),
        ("wait-for-approval", {"approvers": [{"claim": "groups"}]}, "claim and value go together"),
        ("wait-for-approval", {"approvers": [{"role": "a", "claim": "b", "value": "c"}]}, "either claim and value, or"),
        ("wait-for-approval", {"approvers": [{}]}, "either claim and value, or role"),
        ("wait-for-approval", {"approver": []}, "approver: unknown field; did you mean approvers?"),
        ("get-user-input", {}, "schema: is required"),
        ("get-user-input", {"schema": {"type": "object"}, "responders": [{"required": True}]}, "unknown field"),
        ("get-user-input", {"schema": {"type": "object", "properties": {"a": {"$ref": "#/b"}}}}, "no such part"),
    ],
)
def test_configs_are_checked_when_they_are_applied(name: str, config: dict[str, Any], problem: str) -> None:
    problems = "; ".join(problems_of(STEPS[name], config, templates=True))
    assert problem in problems
    assert bool(problems) == bool(problem)


@pytest.mark.parametrize("name", ["wait-for-approval", "get-user-input"])
def test_a_preview_asks_nobody(name: str) -> None:
    assert not runs_in_preview(STEPS[name].kind)
