"""The tree of an expression, as the parser makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """nil, a bool, number, string or bytes."""

    offset: int
    value: bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, from `let` or from the environment."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """`#`, `#index`, `#acc` in a predicate."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    offset: int
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    offset: int
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a < b <= c`: each operand is evaluated once. One pair for each operator."""

    offset: int
    first: Node
    rest: tuple[tuple[int, str, Node], ...]


@dataclass(frozen=True, slots=True)
class Member:
    """`a.b`, `a["b"]`, `a?.b`."""

    offset: int
    object: Node
    property: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """What an optional member of `body` skips when it meets nil: the result is nil then."""

    offset: int
    body: Node


@dataclass(frozen=True, slots=True)
class Slice:
    offset: int
    object: Node
    start: Node | None
    end: Node | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of the environment, or of a method."""

    offset: int
    callee: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Builtin:
    """A call of a function of the language."""

    offset: int
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Predicate:
    """An expression evaluated for each element of an array."""

    offset: int
    body: Node


@dataclass(frozen=True, slots=True)
class Conditional:
    """`c ? a : b` and `if c { a } else { b }`."""

    offset: int
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Let:
    offset: int
    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Sequence:
    """`a; b; c`: the value is the last one's."""

    offset: int
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Array:
    offset: int
    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Map:
    offset: int
    pairs: tuple[tuple[Node, Node], ...]


Node: TypeAlias = (
    Literal
    | Name
    | Pointer
    | Unary
    | Binary
    | Comparison
    | Member
    | Chain
    | Slice
    | Call
    | Builtin
    | Predicate
    | Conditional
    | Let
    | Sequence
    | Array
    | Map
)
