"""What values of expressions are, and how operators treat them: Go's semantics as expr-lang defines them.

A value is None, bool, int (64 bits, wrapping around as Go's int does), float, str, bytes, list, dict, or one of the
types here and in `expressions.dates`. Nothing else can be reached: there is no attribute access to Python objects.

Where this differs from Go's expr, on purpose: numbers from JSON that are whole stay int (Go makes them float64), and
maps are compared with the same `==` as everything else (Go compares 1 and 1.0 as different inside maps).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from expressions.dates import Date, Duration, NamedNumber, Zone
from expressions.errors import Fault
from expressions.limits import MAX_VALUE_DEPTH, Budget
from expressions.methods import METHODS

#: Any value of an expression. `Any`, because Python's type system has no recursive unions that mypy checks well here.
Value = Any

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1


class StringMap(dict[str, str]):
    """A map from strings to strings: a key that isn't there gives the empty string, as Go's map[string]string does."""


class Reference(str):
    """A text that names an artifact, such as an image's tag: a template warns when it would become a number."""

    __slots__ = ("kind",)
    #: What it is, for messages: `image tag`.
    kind: str

    def __new__(cls, text: str, kind: str) -> Reference:
        made = super().__new__(cls, text)
        made.kind = kind
        return made


@dataclass(frozen=True)
class Function:
    """A function that expressions may call. It raises Fault for arguments that don't fit."""

    name: str
    call: Callable[..., Value]
    least: int = 0
    #: None: any number of arguments.
    most: int | None = 0

    def __call__(self, arguments: list[Value]) -> Value:
        check_arity(self.name, len(arguments), self.least, self.most)
        return self.call(*arguments)


@dataclass(frozen=True)
class Record:
    """A thing with named fields and methods, such as a commit. `shown` is what it is as JSON."""

    type: str
    fields: Mapping[str, Value]
    shown: Value = None
    methods: Mapping[str, Function] = field(default_factory=dict)


def check_arity(name: str, count: int, least: int, most: int | None) -> None:
    """Raise Fault unless the number of arguments fits."""
    if count < least:
        raise Fault(f"not enough arguments to call {name} (expected {_expected(least, most)}, got {count})")
    if most is not None and count > most:
        raise Fault(f"too many arguments to call {name} (expected {_expected(least, most)}, got {count})")


def _expected(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"{least} to {most}"


_TYPES: Final[dict[type, str]] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    Reference: "string",
    bytes: "bytes",
    list: "array",
    dict: "map",
    StringMap: "map",
    Function: "func",
    Date: "time.Time",
    Duration: "time.Duration",
    Zone: "time.Location",
}


def type_name(value: Value) -> str:
    """The value's type, for error messages."""
    name = _TYPES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Record):
        return value.type
    for kind in (int, str, list, dict):
        if isinstance(value, kind):
            return _TYPES[kind]
    return "unknown"


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and value is not True and value is not False


def is_integer(value: Value) -> bool:
    return isinstance(value, int) and value is not True and value is not False


def wrap(number: int) -> int:
    """The number in 64 bits, overflow wrapping around as in Go."""
    if _MIN_INT <= number <= _MAX_INT:
        return number
    return ((number + 2**63) & (2**64 - 1)) - 2**63


def to_int(value: Value) -> int:
    """An index or count: floats are cut. Raises Fault for anything but a number."""
    if is_integer(value):
        return int(value)
    if type(value) is float:
        if not math.isfinite(value) or not _MIN_INT <= value <= _MAX_INT:
            raise Fault("a float out of the range of int can't be converted to int")
        return int(value)
    raise Fault(f"invalid operation: int({type_name(value)})")


def equal(left: Value, right: Value, budget: Budget, depth: int = 0) -> bool:
    """`==`: numbers by value whatever their type, arrays and maps element by element; other types never mix."""
    if isinstance(left, str):
        return isinstance(right, str) and str.__eq__(left, right)
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_number(left):
        return is_number(right) and bool(left == right)
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        _deeper(depth, len(left), budget)
        return all(equal(one, other, budget, depth + 1) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict):
        if not isinstance(right, dict) or len(left) != len(right):
            return False
        _deeper(depth, len(left), budget)
        return all(key in right and equal(one, right[key], budget, depth + 1) for key, one in left.items())
    if isinstance(left, Record):
        return isinstance(right, Record) and left.type == right.type and bool(left.shown == right.shown)
    return type(left) is type(right) and bool(left == right)


def _deeper(depth: int, size: int, budget: Budget) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault(f"a value is nested deeper than {MAX_VALUE_DEPTH} levels")
    budget.spend(1 + size)


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def compare(symbol: str, left: Value, right: Value) -> bool:
    """`<`, `>`, `<=`, `>=` between numbers, strings, dates or durations."""
    if is_number(left) and is_number(right):
        return _ORDERS[symbol](left, right)
    for kind in (str, Date, Duration):
        if isinstance(left, kind) and isinstance(right, kind):
            if kind is str:
                # Go orders strings by their bytes, Python by code points: the same order in UTF-8.
                return _ORDERS[symbol](str(left), str(right))
            return _ORDERS[symbol](left, right)
    raise mismatch(symbol, left, right)


def mismatch(symbol: str, left: Value, right: Value) -> Fault:
    return Fault(f"invalid operation: {type_name(left)} {symbol} {type_name(right)}")


def _small(left: Value, right: Value) -> bool:
    """Whether both are ints within 64 bits: JSON may hold longer ones, which count as float then."""
    return is_integer(left) and is_integer(right) and _MIN_INT <= left <= _MAX_INT and _MIN_INT <= right <= _MAX_INT


def _floats(symbol: str, left: Value, right: Value) -> tuple[float, float]:
    if is_number(left) and is_number(right):
        try:
            return float(left), float(right)
        except OverflowError:
            raise Fault("a number is out of range") from None
    raise mismatch(symbol, left, right)


def add(left: Value, right: Value, budget: Budget) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        budget.grow(len(left) + len(right))
        return str(left) + str(right)
    if _small(left, right):
        return wrap(int(left) + int(right))
    if isinstance(left, Date) and isinstance(right, Duration):
        return left.plus(right)
    if isinstance(left, Duration) and isinstance(right, Date):
        return right.plus(left)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap(left.nanoseconds + right.nanoseconds))
    one, other = _floats("+", left, right)
    return one + other


def subtract(left: Value, right: Value, budget: Budget) -> Value:
    if _small(left, right):
        return wrap(int(left) - int(right))
    if isinstance(left, Date):
        if isinstance(right, Date):
            return left.since(right)
        if isinstance(right, Duration):
            return left.plus(Duration(-right.nanoseconds))
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap(left.nanoseconds - right.nanoseconds))
    one, other = _floats("-", left, right)
    return one - other


def multiply(left: Value, right: Value, budget: Budget) -> Value:
    if _small(left, right):
        return wrap(int(left) * int(right))
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Duration) and is_number(other):
            # With a float it is a number of nanoseconds, as in Go's expr.
            product = one.nanoseconds * other
            return product if isinstance(product, float) else Duration(wrap(product))
    first, second = _floats("*", left, right)
    return first * second


def divide(left: Value, right: Value, budget: Budget) -> Value:
    """Always a float; by zero ±Inf or NaN, as IEEE 754 has it."""
    one, other = _floats("/", left, right)
    if other:
        return one / other
    if not one or math.isnan(one):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def modulo(left: Value, right: Value, budget: Budget) -> Value:
    """The remainder with the dividend's sign. JSON's whole floats count as ints."""
    if not (is_number(left) and is_number(right)) or left != left // 1 or right != right // 1:
        raise mismatch("%", left, right)
    one, other = to_int(left), to_int(right)
    if other == 0:
        raise Fault("integer divide by zero")
    return wrap(int(math.copysign(1, one)) * (abs(one) % abs(other)))


def power(left: Value, right: Value, budget: Budget) -> Value:
    """Always a float."""
    one, other = _floats("**", left, right)
    try:
        return math.pow(one, other)
    except OverflowError:
        negative = one < 0 and other % 2 == 1
        return -math.inf if negative else math.inf
    except ValueError:
        return math.inf if one == 0 else math.nan


def negate(value: Value) -> Value:
    if is_integer(value):
        return wrap(-int(value))
    if type(value) is float:
        return -value
    if isinstance(value, Duration):
        return Duration(wrap(-value.nanoseconds))
    raise Fault(f"invalid operation: - {type_name(value)}")


def plus(value: Value) -> Value:
    if is_number(value) or isinstance(value, Duration):
        return value
    raise Fault(f"invalid operation: + {type_name(value)}")


def invert(value: Value) -> bool:
    if isinstance(value, bool):
        return not value
    raise Fault(f"invalid operation: not {type_name(value)}")


def contains(needle: Value, holder: Value, budget: Budget) -> bool:
    """`in`: an element of an array, a key of a map, a field of a record; nothing is in nil."""
    if holder is None:
        return False
    if isinstance(holder, list):
        budget.spend(len(holder))
        return any(equal(element, needle, budget) for element in holder)
    if isinstance(holder, dict):
        return _hashable(needle) and needle in holder
    if isinstance(holder, Record) and isinstance(needle, str):
        return needle in holder.fields
    raise Fault(f'operator "in" not defined on {type_name(holder)}')


def _hashable(value: Value) -> bool:
    return value is None or isinstance(value, str | int | float)


def make_range(left: Value, right: Value, budget: Budget) -> list[int]:
    """`a..b`, both ends included."""
    first, last = to_int(left), to_int(right)
    budget.elements(max(last - first + 1, 0))
    return list(range(first, last + 1))


def fetch(holder: Value, key: Value) -> Value:
    """`holder.key`, `holder[key]`. A key that isn't in a map gives nil; anything else that isn't there is a Fault."""
    if isinstance(holder, dict):
        if isinstance(key, str):
            found = holder.get(key)
            return "" if found is None and type(holder) is StringMap else found
        if _hashable(key):
            return holder.get(key)
        raise Fault(f"cannot use {type_name(key)} as a key of a map")
    if isinstance(holder, list):
        if not is_number(key):
            raise Fault(f"cannot fetch {_shown(key)} from array")
        index = position = to_int(key)
        if index < 0:
            index += len(holder)
        if not 0 <= index < len(holder):
            raise Fault(f"index out of range: {position} (array length is {len(holder)})")
        return holder[index]
    if isinstance(holder, Record):
        return _field(holder, key)
    if isinstance(holder, Date | Duration | Zone | NamedNumber):
        method = METHODS[type(holder)].get(key) if isinstance(key, str) else None
        if method is not None:
            return Function(key, lambda *arguments: method.call(holder, *arguments), method.arity, method.arity)
    if isinstance(holder, str | bytes) and is_number(key):
        data = holder.encode("utf-8", "replace") if isinstance(holder, str) else holder
        index = to_int(key)
        if not -len(data) <= index < len(data):
            raise Fault(f"index out of range: {index} (array length is {len(data)})")
        return data[index]
    raise Fault(f"cannot fetch {_shown(key)} from {type_name(holder)}")


def _shown(key: Value) -> str:
    """A key for error messages: names only, since other texts may be secrets."""
    return str(key) if isinstance(key, str) and len(key) < 64 and key.isidentifier() else type_name(key)


def _field(holder: Record, key: Value) -> Value:
    if isinstance(key, str):
        if key in holder.fields:
            return holder.fields[key]
        if key in holder.methods:
            return holder.methods[key]
    known = ", ".join([*holder.fields, *(f"{name}()" for name in holder.methods)])
    raise Fault(f"cannot fetch {_shown(key)} from {holder.type}: it has {known}")


def cut(holder: Value, start: Value, end: Value, budget: Budget) -> Value:
    """`holder[start:end]` of an array, or of a string by its UTF-8 bytes; nil means from or to the end."""
    if not isinstance(holder, list | str | bytes):
        raise Fault(f"cannot slice {type_name(holder)}")
    data = holder.encode("utf-8", "replace") if isinstance(holder, str) and not holder.isascii() else holder
    length = len(data)
    first = 0 if start is None else to_int(start)
    last = length if end is None else to_int(end)
    last = min(max(last + length if last < 0 else last, 0), length)
    first = min(max(first + length if first < 0 else first, 0), last)
    budget.grow(last - first)
    part = data[first:last]
    if isinstance(holder, str):
        return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
    return part


def truth(value: Value, what: str) -> bool:
    """The value as a bool. Raises Fault, naming what it was for."""
    if value is True or value is False:
        return bool(value)
    raise Fault(f"{what} (got {type_name(value)})")
