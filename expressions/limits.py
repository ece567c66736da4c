"""The bounds within which one evaluation must stay, whatever the expression and its data."""

from __future__ import annotations

from typing import Final

from expressions.errors import Fault

#: Characters of one expression, and of one template.
MAX_TEXT: Final = 1_000_000
#: Nodes of one expression's tree (Go's expr has the same bound).
MAX_NODES: Final = 10_000
#: Levels of nesting in an expression.
MAX_DEPTH: Final = 60
#: Levels of nesting in a value that is compared, flattened or shown.
MAX_VALUE_DEPTH: Final = 100
#: Units of work of one evaluation: a node evaluated in a loop, an element visited, 64 characters scanned.
MAX_STEPS: Final = 1_000_000
#: Units of memory of one evaluation: elements and characters made (Go's expr allows 1,000,000 elements).
MAX_MEMORY: Final = 10_000_000
#: Elements of one array made by one operation.
MAX_ELEMENTS: Final = 1_000_000


class Budget:
    """What one evaluation may still spend. Raises Fault when a bound is met."""

    __slots__ = ("memory", "steps")

    def __init__(self, steps: int = MAX_STEPS, memory: int = MAX_MEMORY) -> None:
        self.steps = steps
        self.memory = memory

    def spend(self, steps: int) -> None:
        """Account for work."""
        self.steps -= steps
        if self.steps < 0:
            raise Fault("the expression takes too long: its budget of steps is exceeded")

    def grow(self, size: int) -> None:
        """Account for memory, before it is taken."""
        self.memory -= size
        if self.memory < 0 or size > MAX_MEMORY:
            raise Fault("memory budget exceeded")

    def elements(self, count: int) -> None:
        """Account for an array of that many elements, before it is made."""
        if count > MAX_ELEMENTS:
            raise Fault("memory budget exceeded")
        self.grow(count)
        self.spend(count)

    def scan(self, *texts: str | bytes) -> None:
        """Account for reading texts from end to end."""
        self.spend(1 + sum(map(len, texts)) // 64)
