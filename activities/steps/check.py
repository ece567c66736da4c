"""Checks uses of steps in manifests before anything runs, on a worker, which alone knows its steps' configs."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from temporalio import activity

from activities.steps.registry import STEPS, Step
from expressions.errors import ExpressionError
from expressions.evaluator import compile_expression
from expressions.templates import check_template
from model.base import Json
from model.steps import (
    CheckStepsReport,
    CheckStepsRequest,
    DescribeStepsRequest,
    StepDescription,
    StepDescriptions,
    StepProblem,
)

#: Kargo's steps, so that one that is missing here is told from one that is misspelt.
KARGO_STEPS = frozenset(
    {
        "argocd-update",
        "argocd-wait",
        "compose-output",
        "copy",
        "delete",
        "fail",
        "file-write",
        "get-user-input",
        "gh-create-issue",
        "gh-issue-add-comment",
        "gh-issue-delete-comment",
        "gh-issue-update-comment",
        "gh-search-issues",
        "gh-update-issue",
        "gh-wait-for-issue-state",
        "gha-dispatch-workflow",
        "gha-wait-for-workflow",
        "git-clear",
        "git-clone",
        "git-commit",
        "git-merge-pr",
        "git-open-pr",
        "git-push",
        "git-tag",
        "git-wait-for-pr",
        "github-push",
        "hcl-update",
        "helm-template",
        "helm-update-chart",
        "http",
        "http-download",
        "jfrog-evidence",
        "jira",
        "json-parse",
        "json-update",
        "kustomize-build",
        "kustomize-set-image",
        "oci-download",
        "oci-push",
        "record-audit-event",
        "send-message",
        "set-freight-alias",
        "set-metadata",
        "snow-create",
        "snow-delete",
        "snow-query-for-records",
        "snow-update",
        "snow-wait-for-condition",
        "tar",
        "tf-apply",
        "tf-output",
        "tf-plan",
        "toml-parse",
        "toml-update",
        "untar",
        "wait-for-approval",
        "yaml-merge",
        "yaml-parse",
        "yaml-update",
    }
)

_DELIMITERS = ("${{", "${%")


def problems_of(step: Step, config: Json, *, templates: bool) -> list[str]:
    """What is wrong with a step's config, a sentence each, `field.path: reason`.

    With `templates`, a string that holds an expression is taken for a value of any type, and a rule about several
    fields counts only where it is broken without those that hold one: an expression may come out empty. No value of
    the config is quoted: it may be a secret.
    """
    problems = _problems(step, config)
    unreadable: list[str] = []
    if templates:
        unreadable = list(_unreadable(config))
        certain = {(problem["loc"], problem["msg"]) for problem in _problems(step, _without_templates(config))}
        problems = [
            problem
            for problem in problems
            if (problem["type"] == "extra_forbidden" or not _template(problem["input"]))
            and (problem["type"] != "value_error" or (problem["loc"], problem["msg"]) in certain)
        ]
    return unreadable + [
        f"{_path(problem['loc'])}: {_reason(step, problem['type'], problem['msg'], problem['loc'])}"
        for problem in problems
    ]


def _unreadable(config: Json, location: tuple[int | str, ...] = ()) -> Iterator[str]:
    """What is wrong with expressions themselves, whatever they would come to."""
    if isinstance(config, str):
        try:
            check_template(config)
        except ExpressionError as error:
            yield f"{_path(location)}: the expression can't be read: {error.message}{_place(error)}"
    elif isinstance(config, dict | list):
        for name, value in config.items() if isinstance(config, dict) else enumerate(config):
            yield from _unreadable(value, (*location, name))


def _place(error: ExpressionError) -> str:
    return f" (line {error.line}, column {error.column} of it)" if error.line else ""


def _problems(step: Step, config: Json) -> list[ErrorDetails]:
    try:
        step.config.model_validate_json(json.dumps(config))
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _without_templates(config: Json) -> Json:
    """The config without the fields whose values hold an expression. Items of lists keep their places."""
    if isinstance(config, dict):
        return {name: _without_templates(value) for name, value in config.items() if not _template(value)}
    if isinstance(config, list):
        return [_without_templates(value) for value in config]
    return config


@activity.defn(name="check-steps")
async def check_steps(request: CheckStepsRequest) -> CheckStepsReport:
    """Problems of these uses of steps, and what is known of each kind that was named."""
    report = CheckStepsReport()
    for use in request.uses:
        step = STEPS.get(use.uses)
        if step is None:
            report.problems.append(StepProblem(where=use.where, message=unknown_step(use.uses)))
            continue
        report.kinds[use.uses] = step.kind
        config = {} if use.config is None else use.config
        if not isinstance(config, dict):
            report.problems.append(StepProblem(where=use.where, message=f"config of {use.uses} must be an object"))
            continue
        report.problems.extend(
            StepProblem(where=f"{use.where}.config", message=problem)
            for problem in problems_of(step, config, templates=True)
        )
    for expression in request.expressions:
        try:
            compile_expression(expression.expression)
        except ExpressionError as error:
            message = f"the expression can't be read: {error.message}{_place(error)}"
            report.problems.append(StepProblem(where=expression.where, message=message))
    return report


@activity.defn(name="describe-steps")
async def describe_steps(request: DescribeStepsRequest) -> StepDescriptions:
    """What this worker's steps are: all by name and purpose, or one with its schemas."""
    if request.name and request.name not in STEPS:
        return StepDescriptions(message=unknown_step(request.name))
    names = [request.name] if request.name else sorted(STEPS)
    return StepDescriptions(steps=[_described(STEPS[name], whole=bool(request.name)) for name in names])


def _described(step: Step, *, whole: bool) -> StepDescription:
    text = inspect.getdoc(step.run) or ""
    described = StepDescription(kind=step.kind, description=text if whole else text.partition("\n\n")[0])
    if whole:
        described.config_schema = step.config.model_json_schema(by_alias=True)
        described.output_schema = step.output.model_json_schema(by_alias=True) if step.output else None
    return described


def unknown_step(name: str) -> str:
    """Why there is no step of that name, with the nearest that there is."""
    if name in KARGO_STEPS:
        return f"step {name} is not supported yet"
    near = difflib.get_close_matches(name, sorted(STEPS), n=1)
    return f"there is no step {name!r}" + (
        f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(STEPS))}"
    )


def _template(value: Any) -> bool:
    return isinstance(value, str) and any(delimiter in value for delimiter in _DELIMITERS)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "config"


def _reason(step: Step, kind: str, message: str, location: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        known = sorted(field.alias or name for name, field in step.config.model_fields.items())
        near = difflib.get_close_matches(str(location[-1]), known, n=1) if len(location) == 1 else []
        return "unknown field" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")
