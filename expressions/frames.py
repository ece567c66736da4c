"""What one evaluation works on: the environment it sees, its variables, its place in an array, its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from expressions.limits import Budget
from expressions.values import Function, Value


class Frame:
    """The state of one evaluation."""

    __slots__ = ("accumulator", "budget", "functions", "index", "item", "now", "slots", "variables")

    def __init__(
        self,
        variables: Value,
        functions: Mapping[str, Function],
        now: datetime | None,
        slots: int,
        budget: Budget,
    ) -> None:
        #: The environment, `$env`: usually a map, but any value may be looked into.
        self.variables = variables
        self.functions = functions
        self.now = now
        #: Values of `let` variables; their places are known when the expression is compiled.
        self.slots: list[Value] = [None] * slots
        self.budget = budget
        #: `#`, `#index` and `#acc` of the innermost predicate.
        self.item: Value = None
        self.index = 0
        self.accumulator: Value = None


#: A compiled node.
Evaluation: TypeAlias = Callable[[Frame], Value]
