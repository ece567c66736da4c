"""Functions on arrays and maps that take no predicate (expr-lang: Array Functions, Map Functions)."""

from __future__ import annotations

from functools import cmp_to_key

from expressions.errors import Fault
from expressions.functions.builtin import array_argument, builtin, int_argument, map_argument
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.values import StringMap, Value, compare, equal, fetch, is_number, type_name


@builtin("len", 1)
def length(budget: Budget, value: Value) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise Fault(f"invalid argument for len (type {type_name(value)})")


@builtin("get", 2)
def get(budget: Budget, value: Value, key: Value) -> Value:
    """The element or entry, nil where there is none."""
    if value is None or (isinstance(value, list | str) and not is_number(key)):
        return None
    if isinstance(value, StringMap) and key not in value:
        return None
    try:
        return fetch(value, key)
    except Fault:
        return None


@builtin("first", 1)
def first(budget: Budget, value: Value) -> Value:
    items = [] if value is None else array_argument(value, "first", budget)
    return items[0] if items else None


@builtin("last", 1)
def last(budget: Budget, value: Value) -> Value:
    items = [] if value is None else array_argument(value, "last", budget)
    return items[-1] if items else None


@builtin("take", 2)
def take(budget: Budget, value: Value, count: Value) -> list[Value]:
    items, number = array_argument(value, "take", budget), int_argument(count, "take")
    if number < 0:
        raise Fault("slice index out of bounds: take needs a positive number")
    budget.elements(min(number, len(items)))
    return items[:number]


@builtin("reverse", 1)
def reverse(budget: Budget, value: Value) -> list[Value]:
    items = array_argument(value, "reverse", budget)
    budget.elements(len(items))
    return items[::-1]


@builtin("concat", 1, None)
def concat(budget: Budget, *values: Value) -> list[Value]:
    out: list[Value] = []
    for value in values:
        items = array_argument(value, "concat", budget)
        budget.elements(len(out) + len(items))
        out += items
    return out


@builtin("flatten", 1)
def flatten(budget: Budget, value: Value) -> list[Value]:
    out: list[Value] = []
    _flatten(array_argument(value, "flatten", budget), out, budget, 0)
    return out


def _flatten(items: list[Value], out: list[Value], budget: Budget, depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    budget.elements(len(items) + 1)
    for item in items:
        if isinstance(item, list):
            _flatten(item, out, budget, depth + 1)
        else:
            out.append(item)


@builtin("uniq", 1)
def uniq(budget: Budget, value: Value) -> list[Value]:
    out: list[Value] = []
    for item in array_argument(value, "uniq", budget):
        budget.spend(1 + len(out))
        if not any(equal(item, seen, budget) for seen in out):
            budget.grow(1)
            out.append(item)
    return out


def order(value: Value) -> bool:
    """Whether an order argument means descending. Raises Fault for anything but asc and desc."""
    if isinstance(value, str) and value in ("asc", "desc"):
        return value == "desc"
    raise Fault("invalid order, expected asc or desc")


def sorted_by(items: list[Value], keys: list[Value], descending: bool, budget: Budget) -> list[Value]:
    """The items in the order of their keys. Equal ones keep their places. Raises Fault for keys without order."""
    budget.elements(len(items))
    budget.spend(len(items) * max(len(items).bit_length(), 1))
    if len(items) > 1:
        # Also where sorting would not compare them: keys must have an order.
        compare("<", keys[0], keys[1])

    def by_key(one: int, other: int) -> int:
        if compare("<", keys[one], keys[other]):
            return -1
        return 1 if compare("<", keys[other], keys[one]) else 0

    indexes = sorted(range(len(items)), key=cmp_to_key(by_key), reverse=descending)
    return [items[index] for index in indexes]


@builtin("sort", 1, 2)
def sort(budget: Budget, value: Value, direction: Value = "asc") -> list[Value]:
    items = array_argument(value, "sort", budget)
    return sorted_by(items, items, order(direction), budget)


@builtin("keys", 1)
def keys(budget: Budget, value: Value) -> list[Value]:
    return list(map_argument(value, "keys", budget))


@builtin("values", 1)
def values(budget: Budget, value: Value) -> list[Value]:
    return list(map_argument(value, "values", budget).values())


@builtin("toPairs", 1)
def to_pairs(budget: Budget, value: Value) -> list[Value]:
    return [[key, item] for key, item in map_argument(value, "toPairs", budget).items()]


def store(out: dict[Value, Value], key: Value, value: Value) -> None:
    """Put an entry into a map. Raises Fault for keys a map can't have."""
    if not (key is None or isinstance(key, str | int | float)):
        raise Fault(f"cannot use {type_name(key)} as a key of a map")
    out[str(key) if isinstance(key, str) else key] = value


@builtin("fromPairs", 1)
def from_pairs(budget: Budget, value: Value) -> dict[Value, Value]:
    out: dict[Value, Value] = {}
    for pair in array_argument(value, "fromPairs", budget):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Fault("fromPairs needs an array of pairs [key, value]")
        budget.grow(1)
        store(out, pair[0], pair[1])
    return out
