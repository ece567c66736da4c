"""Evaluates the arguments that a Stage gives to its verification (Kargo: pkg/rollouts, spec.verification.args)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from activities.mask import Mask
from activities.outside import Outside
from activities.steps.data import WorkerData
from expressions.environment import verification_environment
from expressions.errors import ExpressionError
from expressions.sources import StatusSource
from expressions.templates import Environment, evaluate_template
from expressions.values import Value, type_name
from model.arguments import Argument
from model.metrics import InvalidAnalysis
from model.references import ExpressionVariable
from model.verifications import ArgumentContext


class _Noticing(Mask):
    """A mask that knows whether any secret was read."""

    def __init__(self) -> None:
        super().__init__()
        self.used = False

    def add(self, secret: str) -> None:
        self.used = True
        super().add(secret)


@dataclass(frozen=True)
class EvaluatedArgument:
    """One argument with its value, and whether a secret went into that."""

    name: str
    template: str
    value: str = field(repr=False)
    secret: bool

    def argument(self) -> Argument:
        """As it may leave the worker: a secret as the template that reads it."""
        if self.secret:
            return Argument(name=self.name, template=self.template)
        return Argument(name=self.name, value=self.value)


def evaluate_arguments(
    given: list[ExpressionVariable],
    context: ArgumentContext,
    outside: Outside,
    status: StatusSource | None = None,
) -> list[EvaluatedArgument]:
    """Evaluate the Stage's variables, then these arguments; an empty one counts as not given.

    Reads secrets, so not on the event loop. Raises InvalidAnalysis for an expression that fails or whose value is
    not a string.
    """
    environment = verification_environment(context, WorkerData(context.project, outside), status=status)
    secret_vars: list[str] = []
    for variable in context.vars:
        value, used = _evaluated(f"variable {variable.name!r}", variable.value, environment)
        if used or _mentions(variable.value, secret_vars):
            secret_vars.append(variable.name)
        environment.define(variable.name, value)
    evaluated = []
    for argument in given:
        if not argument.value:
            continue
        value, used = _evaluated(f"argument {argument.name!r}", argument.value, environment)
        if not isinstance(value, str):
            raise InvalidAnalysis(
                f"argument {argument.name!r} is a {type_name(value)} after evaluation, not a string: "
                "write ${{ quote(…) }} around it"
            )
        secret = used or _mentions(argument.value, secret_vars)
        evaluated.append(EvaluatedArgument(argument.name, argument.value, value, secret))
    return evaluated


def _mentions(template: str, names: list[str]) -> bool:
    """Does a template use one of these variables, or one that can't be told from it?"""
    if not names or "vars" not in template:
        return False
    return "vars[" in template or any(re.search(rf"\b{name}\b", template) for name in names)


def _evaluated(what: str, text: str, environment: Environment) -> tuple[Value, bool]:
    noticing = _Noticing()
    try:
        with noticing.collecting():
            value = evaluate_template(text, environment)
    except ExpressionError as error:
        raise InvalidAnalysis(f"evaluate {what}: {noticing.text(str(error))}") from None
    return value, noticing.used
