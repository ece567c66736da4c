"""Functions on numbers and bits (expr-lang: Number Functions, Bitwise Functions)."""

from __future__ import annotations

import math
from collections.abc import Callable

from expressions.errors import Fault
from expressions.functions.builtin import builtin, int_argument
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.values import Value, is_number, type_name, wrap


def _number(value: Value, name: str) -> Value:
    if is_number(value):
        return value
    raise Fault(f"invalid argument for {name} (type {type_name(value)})")


def _numbers(values: tuple[Value, ...] | list[Value], name: str, budget: Budget, depth: int = 0) -> list[Value]:
    """The numbers among the arguments, arrays in them unfolded."""
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    budget.spend(1 + len(values))
    found: list[Value] = []
    for value in values:
        if isinstance(value, list):
            inner = _numbers(value, name, budget, depth + 1)
            budget.grow(len(inner))
            found += inner
        else:
            found.append(_number(value, name))
    return found


@builtin("max", 1, None)
def maximum(budget: Budget, *values: Value) -> Value:
    return max(_numbers(values, "max", budget), default=None)


@builtin("min", 1, None)
def minimum(budget: Budget, *values: Value) -> Value:
    return min(_numbers(values, "min", budget), default=None)


@builtin("mean", 1, None)
def mean(budget: Budget, *values: Value) -> float:
    numbers = _numbers(values, "mean", budget)
    return sum(map(float, numbers)) / len(numbers) if numbers else 0.0


@builtin("median", 1, None)
def median(budget: Budget, *values: Value) -> float:
    numbers = sorted(map(float, _numbers(values, "median", budget)))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


@builtin("abs", 1)
def absolute(budget: Budget, value: Value) -> Value:
    number = _number(value, "abs")
    return wrap(abs(int(number))) if isinstance(number, int) else abs(number)


def _rounded(value: Value, name: str, how: Callable[[float], float]) -> float:
    number = float(_number(value, name))
    return float(how(number)) if math.isfinite(number) else number


@builtin("ceil", 1)
def ceil(budget: Budget, value: Value) -> float:
    return _rounded(value, "ceil", math.ceil)


@builtin("floor", 1)
def floor(budget: Budget, value: Value) -> float:
    return _rounded(value, "floor", math.floor)


def _half_away(number: float) -> float:
    whole = math.trunc(number)
    return whole + math.copysign(1, number) if abs(number - whole) >= 0.5 else whole


@builtin("round", 1)
def round_(budget: Budget, value: Value) -> float:
    return _rounded(value, "round", _half_away)


def _shift(value: Value, name: str) -> int:
    count = int_argument(value, name)
    if count < 0:
        raise Fault(f"invalid operation: negative shift count {count} (type int)")
    # Everything is shifted out by 64 places.
    return min(count, 64)


@builtin("bitand", 2)
def bitand(budget: Budget, one: Value, other: Value) -> int:
    return int_argument(one, "bitand") & int_argument(other, "bitand")


@builtin("bitor", 2)
def bitor(budget: Budget, one: Value, other: Value) -> int:
    return int_argument(one, "bitor") | int_argument(other, "bitor")


@builtin("bitxor", 2)
def bitxor(budget: Budget, one: Value, other: Value) -> int:
    return int_argument(one, "bitxor") ^ int_argument(other, "bitxor")


@builtin("bitnand", 2)
def bitnand(budget: Budget, one: Value, other: Value) -> int:
    """Go's `&^`: the bits of the first that the second has not."""
    return int_argument(one, "bitnand") & ~int_argument(other, "bitnand")


@builtin("bitnot", 1)
def bitnot(budget: Budget, value: Value) -> int:
    return ~int_argument(value, "bitnot")


@builtin("bitshl", 2)
def bitshl(budget: Budget, value: Value, count: Value) -> int:
    return wrap(int_argument(value, "bitshl") << _shift(count, "bitshl"))


@builtin("bitshr", 2)
def bitshr(budget: Budget, value: Value, count: Value) -> int:
    return int_argument(value, "bitshr") >> _shift(count, "bitshr")


@builtin("bitushr", 2)
def bitushr(budget: Budget, value: Value, count: Value) -> int:
    unsigned = int_argument(value, "bitushr") & (2**64 - 1)
    return wrap(unsigned >> _shift(count, "bitushr"))
