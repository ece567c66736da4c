"""How a function of the language is declared, and how it looks at its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from expressions.errors import Fault
from expressions.limits import Budget
from expressions.values import Value, check_arity, is_integer, is_number, type_name


@dataclass(frozen=True)
class Builtin:
    """A function of the language: `call` gets the budget first, then the arguments."""

    name: str
    call: Callable[..., Value]
    least: int
    most: int | None
    #: It needs the moment that counts as now: `call` gets that after the budget.
    clock: bool = False

    def check(self, count: int) -> None:
        """Raise Fault unless that many arguments fit."""
        check_arity(self.name, count, self.least, self.most)


#: All functions of the language that take no predicate, by name.
BUILTINS: Final[dict[str, Builtin]] = {}


def builtin(
    name: str, least: int, most: int | None = -1, *, clock: bool = False
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare a function of the language; `most` is `least` unless given, None for any number."""

    def declare(call: Callable[..., Value]) -> Callable[..., Value]:
        BUILTINS[name] = Builtin(name, call, least, least if most == -1 else most, clock)
        return call

    return declare


def text_argument(value: Value, name: str) -> str:
    """The argument as a string. Raises Fault."""
    if isinstance(value, str):
        return str(value)
    raise Fault(f"cannot use {type_name(value)} as argument (type string) to call {name}")


def int_argument(value: Value, name: str) -> int:
    """The argument as an int; a whole float counts as one. Raises Fault."""
    if is_integer(value):
        return int(value)
    if is_number(value) and float(value).is_integer():
        return int(value)
    raise Fault(f"cannot use {type_name(value)} as argument (type int) to call {name}")


def array_argument(value: Value, name: str, budget: Budget) -> list[Value]:
    """The argument as an array, its elements paid for. Raises Fault."""
    if isinstance(value, list):
        budget.spend(1 + len(value))
        return value
    raise Fault(f"invalid argument for {name} (type {type_name(value)}), expected an array")


def map_argument(value: Value, name: str, budget: Budget) -> dict[Value, Value]:
    """The argument as a map, its entries paid for. Raises Fault."""
    if isinstance(value, dict):
        budget.elements(len(value))
        return value
    raise Fault(f"invalid argument for {name} (type {type_name(value)}), expected a map")
