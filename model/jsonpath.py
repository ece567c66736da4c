"""JSONPath as Kubernetes has it: `{.a.b[0]}`, text outside braces, filters, ranges (k8s.io/client-go/util/jsonpath).

It differs from other JSONPaths: a missing key is an error, an index out of bounds too, a dot inside a quoted
key separates keys unless written `\\.`, and what stands outside braces is text. Numbers compare as numbers.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from model.base import Json

MAX_PATH = 4096
#: Values a path may touch in all, so that recursive descent through a large document ends.
MAX_VALUES = 100_000
MAX_DEPTH = 100


class JSONPathError(ValueError):
    """A path that can't be read, or that finds nothing where it must. The text is for the user."""


@dataclass(frozen=True)
class _Literal:
    value: Json


@dataclass(frozen=True)
class _Field:
    name: str


@dataclass(frozen=True)
class _Wildcard:
    pass


@dataclass(frozen=True)
class _Recursive:
    pass


@dataclass(frozen=True)
class _Keyword:
    name: str


@dataclass(frozen=True)
class _Slice:
    start: int | None
    stop: int | None
    step: int | None
    #: `[n]`: exactly that element.
    single: bool


@dataclass(frozen=True)
class _Union:
    choices: list[list[_Node]]


@dataclass(frozen=True)
class _Filter:
    left: list[_Node]
    comparison: str
    right: list[_Node]


_Node: TypeAlias = "_Literal | _Field | _Wildcard | _Recursive | _Keyword | _Slice | _Union | _Filter"


@dataclass(frozen=True)
class _Range:
    over: list[_Node]
    body: list[_Part]


_Part: TypeAlias = "list[_Node] | _Range"

_TERMINATORS = " \t\r\n.,[]$@{}"
_NUMBER = re.compile(r"[+-]?[\d.]+")
_WORD = re.compile(r"[^ \t\r\n.,\[\]$@{}]+")
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=~]+)(.+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class _Reader:
    """Reads one text with paths in braces."""

    def __init__(self, text: str, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise JSONPathError("the path is nested too deeply")
        self.text = text
        self.at = 0
        self.depth = depth

    def actions(self) -> Iterator[list[_Node]]:
        while self.at < len(self.text):
            opening = self.text.find("{", self.at)
            if opening != self.at:
                end = len(self.text) if opening < 0 else opening
                yield [_Literal(self.text[self.at : end])]
                self.at = end
                continue
            self.at += 1
            yield self.action()

    def action(self) -> list[_Node]:
        """The nodes up to the closing brace."""
        nodes: list[_Node] = []
        while True:
            character = self.text[self.at : self.at + 1]
            if not character or character in "\r\n":
                raise JSONPathError("a '}' is missing")
            if character == "}":
                self.at += 1
                return nodes
            if self.text.startswith("[?(", self.at):
                nodes.append(self.filter())
            elif self.text.startswith("..", self.at):
                if nodes and isinstance(nodes[-1], _Recursive):
                    raise JSONPathError("'..' stands twice in a row")
                self.at += 2
                nodes.append(_Recursive())
                following = self.text[self.at : self.at + 1]
                if following.isalnum() or following in ("_", "*"):
                    nodes.append(self.field())
            elif character in " \t@$":
                self.at += 1
            elif character == "[":
                nodes.extend(self.array())
            elif character in "\"'":
                nodes.append(self.quoted(character))
            elif character == ".":
                self.at += 1
                nodes.append(self.field())
            elif character in "+-" or character.isdigit():
                nodes.append(self.number())
            elif character.isalpha() or character == "_":
                nodes.append(self.word())
            else:
                raise JSONPathError(f"unexpected {character!r}")

    def field(self) -> _Field | _Wildcard:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _TERMINATORS:
            self.at += 2 if self.text[self.at] == "\\" else 1
        name = self.text[start : self.at]
        if not name:
            raise JSONPathError("a key is missing after '.'")
        return _Wildcard() if name == "*" else _Field(_ESCAPE.sub(r"\1", name))

    def number(self) -> _Literal:
        match = _NUMBER.match(self.text, self.at)
        digits = match[0] if match else self.text[self.at]
        self.at += len(digits)
        try:
            return _Literal(float(digits) if "." in digits else int(digits))
        except ValueError:
            raise JSONPathError(f"{digits!r} is not a number") from None

    def word(self) -> _Literal | _Keyword:
        match = _WORD.match(self.text, self.at)
        word = match[0] if match else self.text[self.at]
        self.at += len(word)
        if word in ("true", "false"):
            return _Literal(word == "true")
        if word in ("range", "end"):
            return _Keyword(word)
        raise JSONPathError(f"unexpected {word!r}: a key is written .{word}")

    def quoted(self, quote: str) -> _Literal:
        start = self.at
        self.at += 1
        while self.text[self.at : self.at + 1] != quote:
            if self.at >= len(self.text) or self.text[self.at] == "\n":
                raise JSONPathError(f"a closing {quote} is missing")
            self.at += 2 if self.text[self.at] == "\\" else 1
        self.at += 1
        inner = self.text[start + 1 : self.at - 1]
        if "\\" not in inner:
            return _Literal(inner)
        if quote == "'":
            inner = inner.replace("\\'", "'").replace('"', '\\"')
        try:
            return _Literal(json.loads(f'"{inner}"'))
        except ValueError:
            raise JSONPathError(f"{self.text[start : self.at]} holds an unknown escape") from None

    def array(self) -> list[_Node]:
        end = self.text.find("]", self.at)
        if end < 0:
            raise JSONPathError("a ']' is missing")
        inner = self.text[self.at + 1 : end]
        self.at = end + 1
        if "," in inner:
            return [_Union([self.nested(f"[{choice.strip(' ')}]") for choice in inner.split(",")])]
        if len(inner) >= 2 and inner[0] == inner[-1] == "'":
            return self.nested(f".{inner[1:-1]}")
        return [self.slice(":" if inner == "*" else inner)]

    def slice(self, text: str) -> _Slice:
        match = _SLICE.fullmatch(text)
        if match is None:
            hint = ": quote keys with '…'" if text[:1] == '"' or text[:1].isalpha() else ""
            raise JSONPathError(f"[{text}] is not an index{hint}")
        numbers: list[int | None] = []
        for part in match.groups():
            digits = (part or "").removeprefix(":")
            try:
                numbers.append(int(digits) if digits else None)
            except ValueError:
                raise JSONPathError(f"[{text}] is not an index") from None
        return _Slice(numbers[0], numbers[1], numbers[2], single=match[2] is None)

    def filter(self) -> _Filter:
        self.at += len("[?(")
        start, quote = self.at, ""
        while True:
            character = self.text[self.at : self.at + 1]
            if not character or character == "\n":
                raise JSONPathError("a filter [?(…)] is not closed")
            if quote:
                if character == "\\":
                    self.at += 1
                elif character == quote:
                    quote = ""
            elif character in "\"'":
                quote = character
            elif character == ")":
                break
            self.at += 1
        inner = self.text[start : self.at]
        if self.text[self.at : self.at + 2] != ")]":
            raise JSONPathError("a filter [?(…)] is not closed")
        self.at += 2
        match = _COMPARISON.fullmatch(inner)
        if match is None:
            return _Filter(self.nested(inner), "exists", [])
        if match[2] not in _COMPARISONS:
            raise JSONPathError(f"unknown operator {match[2]!r} in a filter: expected one of {' '.join(_COMPARISONS)}")
        return _Filter(self.nested(match[1]), match[2], self.nested(match[3]))

    def nested(self, text: str) -> list[_Node]:
        return _Reader(text + "}", self.depth + 1).action()


_COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "object"


def _compare(comparison: str, left: Json, right: Json) -> bool:
    kinds = _kind(left), _kind(right)
    if kinds[0] != kinds[1] or "object" in kinds:
        raise JSONPathError(f"can't compare {json.dumps(left)[:80]} {comparison} {json.dumps(right)[:80]}")
    if kinds[0] == "bool" and comparison not in ("==", "!="):
        raise JSONPathError(f"{comparison} has no meaning for true and false")
    return _COMPARISONS[comparison](left, right)


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


@dataclass
class _Walk:
    """One evaluation, with its budget."""

    left: int = field(default=MAX_VALUES)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise JSONPathError(f"the path touches more than {MAX_VALUES} values")

    def parts(self, values: list[Json], parts: list[_Part]) -> list[list[Json]]:
        found: list[list[Json]] = []
        for part in parts:
            if isinstance(part, _Range):
                for value in self.nodes(values, part.over):
                    found += self.parts([value], part.body)
            else:
                found.append(self.nodes(values, part))
        return found

    def nodes(self, values: list[Json], nodes: list[_Node]) -> list[Json]:
        for node in nodes:
            values = self.node(values, node)
            self.spend(len(values) + 1)
        return values

    def node(self, values: list[Json], node: _Node) -> list[Json]:
        match node:
            case _Literal():
                return [node.value for _ in values]
            case _Field():
                found = [value[node.name] for value in values if isinstance(value, dict) and node.name in value]
                if values and not found:
                    raise JSONPathError(f"{node.name} is not found")
                return found
            case _Wildcard():
                return [child for value in values for child in _children(value)]
            case _Recursive():
                return self.descend(values, 0)
            case _Union():
                return [found for choice in node.choices for found in self.nodes(values, choice)]
            case _Slice():
                return [entry for value in values if value is not None for entry in self.slice(value, node)]
            case _Filter():
                return [entry for value in values for entry in self.filter(value, node)]
            case _Keyword():
                raise JSONPathError(f"{{{node.name}}} stands where it can't")

    def descend(self, values: list[Json], depth: int) -> list[Json]:
        if depth > MAX_DEPTH:
            raise JSONPathError("the document is nested too deeply for '..'")
        found: list[Json] = []
        for value in values:
            if children := _children(value):
                self.spend(len(children))
                found.append(value)
                found += self.descend(children, depth + 1)
        return found

    def slice(self, value: Json, node: _Slice) -> list[Json]:
        if not isinstance(value, list):
            raise JSONPathError(f"an index needs an array, not {json.dumps(value)[:80]}")
        length = len(value)
        start = node.start or 0
        start += length if start < 0 else 0
        if node.single:
            stop = start + 1
        else:
            stop = length if node.stop is None else node.stop
            stop += length if stop < 0 else 0
        if start == stop:
            return []
        if not 0 <= start < length:
            raise JSONPathError(f"array index out of bounds: index {start}, length {length}")
        if not 0 <= stop <= length:
            raise JSONPathError(f"array index out of bounds: index {stop - 1}, length {length}")
        if start > stop:
            raise JSONPathError(f"starting index {start} is greater than ending index {stop}")
        step = 1 if node.step is None else node.step
        if step <= 0:
            raise JSONPathError("the step of a slice must be > 0")
        return value[start:stop:step]

    def filter(self, value: Json, node: _Filter) -> list[Json]:
        if not isinstance(value, list):
            raise JSONPathError(f"a filter needs an array, not {json.dumps(value)[:80]}")
        return [entry for entry in value if self.passes(entry, node)]

    def passes(self, entry: Json, node: _Filter) -> bool:
        if node.comparison == "exists":
            try:
                return bool(self.nodes([entry], node.left))
            except JSONPathError:
                self.spend(1)
                return False
        left, right = self.nodes([entry], node.left), self.nodes([entry], node.right)
        if not left or not right:
            return False
        if len(left) > 1 or len(right) > 1:
            raise JSONPathError("a filter compares one value with one")
        return _compare(node.comparison, left[0], right[0])


def _blocks(actions: Iterator[list[_Node]], inside: bool) -> list[_Part]:
    parts: list[_Part] = []
    for action in actions:
        match action:
            case [_Keyword("range"), *over]:
                parts.append(_Range(over, _blocks(actions, inside=True)))
            case [_Keyword("end")] if inside:
                return parts
            case [_Keyword("end")]:
                raise JSONPathError("{end} without {range}")
            case _:
                parts.append(action)
    return parts


class JSONPath:
    """A path, read once. Raises JSONPathError when it can't be read."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATH:
            raise JSONPathError(f"the path is longer than {MAX_PATH} characters")
        self.text = text
        self._parts = _blocks(_Reader(text).actions(), inside=False)

    @property
    def plain(self) -> bool:
        """Is there no path in it at all, only text? Then it finds that text, whatever the data."""
        return "{" not in self.text

    def find(self, data: Json) -> list[list[Json]]:
        """What is found, a list for each piece of text and each path. Raises JSONPathError for a missing key."""
        return _Walk().parts([data], self._parts)

    def first(self, data: Json) -> Json:
        """The first value found. Raises JSONPathError when there is none."""
        for results in self.find(data):
            if results:
                return results[0]
        raise JSONPathError("nothing was found")
