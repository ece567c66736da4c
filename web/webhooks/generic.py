"""Generic receivers: expressions of the ProjectConfig say what a delivery means (Kargo: generic.go, list.go)."""

from __future__ import annotations

import asyncio
from typing import Any

from expressions.environment import Environment, evaluate_template
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import compile_expression
from expressions.functions.builtin import text_argument
from expressions.values import Function
from model.base import Json
from model.label_selectors import selects_labels
from model.resources.metadata import LabelSelector, LabelSelectorRequirement
from model.resources.project_config import GenericAction, TargetSelection
from model.urls import normalize_chart, normalize_git, normalize_image
from starter.listing import WarehouseLine
from starter.receivers import Placed
from web.webhooks.delivery import Delivery, Refusal
from web.webhooks.refresher import Named, Refresher

_NORMALIZE = {"normalizeGit": normalize_git, "normalizeImage": normalize_image, "normalizeChart": normalize_chart}


class SelectionFailed(Exception):
    """A target can't be selected: what its expression gives is no text."""


async def handle(delivery: Delivery, receiver: Placed, refresher: Refresher) -> tuple[int, Json]:
    """Runs the receiver's actions: status and body of the answer. Raises Refusal, TowpathError."""
    settings = receiver.config.generic
    if settings is None:
        raise Refusal(404, "not found")
    body = delivery.json() if delivery.body else None
    results = [
        await _act(action, _environment(delivery, body, action), receiver.project, refresher)
        for action in settings.actions
    ]
    failed = any(result["result"] not in ("Success", "NotApplicable") for result in results)
    return 500 if failed else 200, {"results": results}


async def _act(action: GenericAction, environment: Environment, project: str, refresher: Refresher) -> dict[str, Json]:
    result: dict[str, Json] = {**action.shown(), "matchedWhenExpression": False}
    try:
        matched = await asyncio.to_thread(_holds, action.when_expression, environment)
    except ExpressionError:
        # The texts of expressions' errors may quote the delivery; whoever sends need not read the config's mistakes.
        return result | {"result": "Error", "summary": "Error evaluating whenExpression"}
    if not matched:
        return result | {"result": "NotApplicable", "summary": "Request did not match whenExpression"}
    result["matchedWhenExpression"] = True
    try:
        warehouses, promotions = await _select(action, environment, project, refresher)
    except (ExpressionError, SelectionFailed):
        return result | {"result": "Error", "summary": "Error evaluating targetSelectionCriteria"}
    selected = [*((line.project, line.name) for line in warehouses), *promotions]
    told = [*await refresher.refresh_warehouses(warehouses), *await refresher.wake_promotions(promotions)]
    if selected:
        result["selectedTargets"] = [
            {"namespace": namespace, "name": name, "success": success}
            for (namespace, name), success in zip(selected, told, strict=True)
        ]
    outcome = "Success" if all(told) else "PartialSuccess" if any(told) else "Failure"
    return result | {"result": outcome, "summary": f"Refreshed {told.count(True)} of {len(told)} selected resources"}


def _holds(expression: str, environment: Environment) -> bool:
    if not expression:
        return True
    value = compile_expression(expression).run(environment.variables, environment.functions, now=environment.now)
    if not isinstance(value, bool):
        raise ExpressionError("whenExpression must give a bool", expression, 0)
    return value


def _environment(delivery: Delivery, body: Json, action: GenericAction) -> Environment:
    """`request`, `params` of the action, and the functions that normalise URLs."""
    headers, query = delivery.headers, delivery.query

    def header(name: Any) -> str:
        return headers.get(text_argument(name, "header"), "")

    def all_headers(name: Any) -> list[str]:
        return headers.getlist(text_argument(name, "headers"))

    def parameter(name: Any) -> str:
        # Of several the first, as Go's url.Values.Get has it.
        return next(iter(query.getlist(text_argument(name, "params"))), "")

    return Environment(
        variables={
            "request": {
                "header": Function("header", header, 1, 1),
                "headers": Function("headers", all_headers, 1, 1),
                "params": Function("params", parameter, 1, 1),
                "body": body,
            },
            "params": dict(action.parameters),
        },
        functions={name: _normalizing(name) for name in _NORMALIZE},
    )


def _normalizing(name: str) -> Function:
    return Function(name, lambda url: _NORMALIZE[name](text_argument(url, name)), 1, 1)


async def _select(
    action: GenericAction, environment: Environment, project: str, refresher: Refresher
) -> tuple[list[WarehouseLine], list[Named]]:
    """The Warehouses and Promotions of all selections, each once, by Project and name."""
    warehouses: dict[Named, WarehouseLine] = {}
    promotions: set[Named] = set()
    for target in action.target_selection_criteria:
        wanted = await asyncio.to_thread(_evaluated, target, environment)
        if target.kind == "Promotion":
            promotions.update(named for named in await refresher.running_promotions(project) if named[1] == wanted.name)
            continue
        for line in await refresher.warehouses.lines(project):
            if await _selects(wanted, line, refresher):
                warehouses[line.project, line.name] = line
    return [warehouses[key] for key in sorted(warehouses)], sorted(promotions)


async def _selects(wanted: TargetSelection, line: WarehouseLine, refresher: Refresher) -> bool:
    if wanted.name and line.name != wanted.name:
        return False
    if wanted.index_selector.match_indices:
        urls = await refresher.warehouses.urls(line)
        for requirement in wanted.index_selector.match_indices:
            if (requirement.value in urls) != (requirement.operator == "Equals"):
                return False
    selector = wanted.label_selector
    if not selector.match_labels and not selector.match_expressions:
        return True
    known = await refresher.warehouses.known(line)
    return known is not None and selects_labels(selector, known.labels)


def _evaluated(target: TargetSelection, environment: Environment) -> TargetSelection:
    """The selection with its expressions evaluated. Raises ExpressionError, SelectionFailed."""
    labels = target.label_selector
    name = _text(target.name, environment) if target.name else ""
    if target.name and not name:
        raise SelectionFailed("the name is empty")
    return target.model_copy(
        update={
            "name": name,
            "label_selector": LabelSelector(
                match_labels={key: _text(value, environment) for key, value in labels.match_labels.items()},
                match_expressions=[
                    LabelSelectorRequirement(
                        key=requirement.key,
                        operator=requirement.operator,
                        values=[_text(value, environment) for value in requirement.values],
                    )
                    for requirement in labels.match_expressions
                ],
            ),
            "index_selector": target.index_selector.model_copy(
                update={
                    "match_indices": [
                        requirement.model_copy(update={"value": _text(requirement.value, environment)})
                        for requirement in target.index_selector.match_indices
                    ]
                }
            ),
        }
    )


def _text(template: str, environment: Environment) -> str:
    try:
        value = evaluate_template(template, environment)
    except Fault as fault:
        raise SelectionFailed(str(fault)) from None
    if not isinstance(value, str):
        raise SelectionFailed(f"{template!r} gives no text")
    return value
