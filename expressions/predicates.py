"""The functions that evaluate an expression for each element of an array (expr-lang: Predicate, Array Functions)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from expressions.dates import Duration
from expressions.errors import Fault
from expressions.frames import Evaluation, Frame
from expressions.functions.builtin import array_argument
from expressions.functions.collections import order, sorted_by, store
from expressions.values import Value, add, truth

_BOOLEAN: Final = "predicate should return boolean"


def _each(frame: Frame, items: list[Value], predicate: Evaluation, cost: int, indexes: range) -> Iterator[Value]:
    """The predicate's value for each index in turn; what encloses it gets its `#` back afterwards."""
    outer = (frame.item, frame.index, frame.accumulator)
    try:
        for index in indexes:
            frame.budget.spend(cost)
            frame.item, frame.index = items[index], index
            yield predicate(frame)
    finally:
        frame.item, frame.index, frame.accumulator = outer


def _values(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Iterator[Value]:
    return _each(frame, items, predicate, cost, range(len(items)))


def _all(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _first(frame, items, predicate, cost, False) is None


def _any(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _first(frame, items, predicate, cost, True) is not None


def _first(
    frame: Frame, items: list[Value], predicate: Evaluation, cost: int, wanted: bool, *, backwards: bool = False
) -> int | None:
    """The first index for which the predicate gives that answer."""
    indexes = range(len(items) - 1, -1, -1) if backwards else range(len(items))
    for index, value in zip(indexes, _each(frame, items, predicate, cost, indexes), strict=False):
        if truth(value, _BOOLEAN) is wanted:
            return index
    return None


def _none(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _first(frame, items, predicate, cost, True) is None


def _count(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> int:
    return sum(truth(value, _BOOLEAN) for value in _values(frame, items, predicate, cost))


def _one(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _count(frame, items, predicate, cost) == 1


def _filter(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    frame.budget.grow(len(items))
    chosen = _values(frame, items, predicate, cost)
    return [item for item, value in zip(items, chosen, strict=True) if truth(value, _BOOLEAN)]


def _map(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    frame.budget.grow(len(items))
    return list(_values(frame, items, predicate, cost))


def _find(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    index = _first(frame, items, predicate, cost, True)
    return None if index is None else items[index]


def _find_index(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _first(frame, items, predicate, cost, True)


def _find_last(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    index = _first(frame, items, predicate, cost, True, backwards=True)
    return None if index is None else items[index]


def _find_last_index(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    return _first(frame, items, predicate, cost, True, backwards=True)


def _sum(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    total: Value = 0
    for value in _values(frame, items, predicate, cost):
        # Durations add up too, but not to a number.
        start = Duration(0) if total == 0 and isinstance(value, Duration) else total
        total = add(start, value, frame.budget)
    return total


def _group_by(frame: Frame, items: list[Value], predicate: Evaluation, cost: int) -> Value:
    groups: dict[Value, Value] = {}
    frame.budget.grow(2 * len(items))
    for item, key in zip(items, _values(frame, items, predicate, cost), strict=True):
        if isinstance(key, list | dict) or key not in groups:
            store(groups, key, [])
        groups[key].append(item)
    return groups


Loop = Callable[[Frame, list[Value], Evaluation, int], Value]

#: Functions of an array and a predicate.
LOOPS: Final[dict[str, Loop]] = {
    "all": _all,
    "any": _any,
    "none": _none,
    "one": _one,
    "count": _count,
    "filter": _filter,
    "map": _map,
    "find": _find,
    "findIndex": _find_index,
    "findLast": _find_last,
    "findLastIndex": _find_last_index,
    "sum": _sum,
    "groupBy": _group_by,
}


def items_of(frame: Frame, value: Value, name: str) -> list[Value]:
    """The array that a predicate runs over."""
    return array_argument(value, name, frame.budget)


def sort_by(frame: Frame, items: list[Value], predicate: Evaluation, cost: int, direction: Value) -> Value:
    """`sortBy(array, predicate, order)`."""
    descending = order(direction)
    frame.budget.grow(len(items))
    return sorted_by(items, list(_values(frame, items, predicate, cost)), descending, frame.budget)


def reduce(frame: Frame, items: list[Value], predicate: Evaluation, cost: int, initial: tuple[Value, ...]) -> Value:
    """`reduce(array, predicate, initial)`: `#acc` is the value so far."""
    if not initial and not items:
        raise Fault("reduce of empty array with no initial value")
    accumulator = initial[0] if initial else items[0]
    outer = (frame.item, frame.index, frame.accumulator)
    try:
        for index in range(0 if initial else 1, len(items)):
            frame.budget.spend(cost)
            frame.item, frame.index, frame.accumulator = items[index], index, accumulator
            accumulator = predicate(frame)
    finally:
        frame.item, frame.index, frame.accumulator = outer
    return accumulator
