"""Expressions without delimiters: compiled once, evaluated many times, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from expressions.compiler import compile_tree
from expressions.errors import ExpressionError, Fault
from expressions.frames import Evaluation, Frame
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.parser import parse
from expressions.values import Function, Value

_NO_FUNCTIONS: Final[Mapping[str, Function]] = {}


@dataclass(frozen=True)
class Program:
    """A compiled expression."""

    source: str
    body: Evaluation
    slots: int

    def run(
        self,
        variables: Value = None,
        functions: Mapping[str, Function] = _NO_FUNCTIONS,
        *,
        now: datetime | None = None,
        budget: Budget | None = None,
    ) -> Value:
        """The expression's value in an environment.

        `variables` is what names are looked up in (`$env`), usually a map; a name that isn't there is nil.
        `now` is what `now()` gives. Raises ExpressionError.
        """
        frame = Frame({} if variables is None else variables, functions, now, self.slots, budget or Budget())
        try:
            value = self.body(frame)
            _measure(value, frame.budget, 0)
        except Fault as fault:
            raise ExpressionError(str(fault), self.source, 0) from None
        except RecursionError:
            raise ExpressionError("the expression or its value is nested too deeply", self.source, 0) from None
        return value


def _measure(value: Value, budget: Budget, depth: int) -> None:
    """Account for the result as if nothing in it were shared, so that it stays small when it is written out."""
    if isinstance(value, str | bytes):
        budget.grow(len(value))
    elif isinstance(value, list | dict):
        if depth > MAX_VALUE_DEPTH:
            raise Fault(f"the result is nested deeper than {MAX_VALUE_DEPTH} levels")
        budget.elements(1 + len(value))
        for item in value if isinstance(value, list) else value.values():
            _measure(item, budget, depth + 1)


@lru_cache(maxsize=2048)
def compile_expression(source: str) -> Program:
    """The program of an expression, from a cache of the latest ones. Raises ExpressionError."""
    try:
        body, slots = compile_tree(parse(source), source)
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", source, 0) from None
    return Program(source, body, slots)


def evaluate(
    source: str,
    variables: Value = None,
    functions: Mapping[str, Function] = _NO_FUNCTIONS,
    *,
    now: datetime | None = None,
) -> Value:
    """The value of an expression without delimiters, such as `response.status == 200`. Raises ExpressionError."""
    return compile_expression(source).run(variables, functions, now=now)
