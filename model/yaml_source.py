"""YAML and JSON read safely, with the line of every value.

Scalars are read as Kubernetes reads them (sigs.k8s.io/yaml), not as Python's YAML does: `1:30` and dates are
strings, `1e3` is a number. Unlike there, a key that stands twice is an error. Size, depth and what aliases expand
to are bounded.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from model.base import Json

#: Kubernetes takes 1.5 MiB per resource; a file may hold several.
MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
#: Values in one file, with every alias counted as what it stands for.
MAX_VALUES = 200_000


class SourceError(ValueError):
    """The text can't be read. `line` is from 1; 0: unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Node:
    """A value and the line it begins at. Mappings hold their keys' lines too."""

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    line: int
    #: How many values it holds, itself and every alias in it counted.
    size: int = 1

    def plain(self) -> Json:
        """The value without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """The value at a path, or the deepest one on the way to it that exists."""
        node = self
        for part in path:
            inner: Node | None = None
            if isinstance(node.value, dict) and isinstance(part, str):
                inner = node.value.get(part)
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                inner = node.value[part]
            if inner is None:
                return node
            node = inner
        return node


def read_documents(text: str) -> list[Node]:
    """All documents of a YAML or JSON text that aren't empty. Raises SourceError."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise SourceError("this is not valid UTF-8") from None
    if size > MAX_BYTES:
        raise SourceError(f"the text is longer than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return _Reader(text).documents()
    except yaml.MarkedYAMLError as error:
        if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
            return _json_documents(text)
        mark = error.problem_mark or error.context_mark
        # At the end of a text libyaml counts a line too many.
        line = min(mark.line, text.count("\n")) + 1 if mark else 0
        raise SourceError(f"this is not valid YAML: {error.problem or error.context}", line) from None
    except yaml.YAMLError as error:
        raise SourceError(f"this is not valid YAML: {str(error).splitlines()[0]}") from None


class _Reader:
    """Builds nodes from YAML's events, without recursion."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.anchors: dict[str, Node] = {}
        self.total = 0

    def documents(self) -> list[Node]:
        roots: list[Node] = []
        #: Open collections, with the key that waits for its value, and their anchors.
        stack: list[tuple[Node, _Key | None, str | None]] = []
        merges: dict[int, list[Node]] = {}
        for event in yaml.parse(self.text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                continue
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                _check_tag(event.tag, line, collection=True)
                if len(stack) >= MAX_DEPTH:
                    raise SourceError(f"values are nested deeper than {MAX_DEPTH}", line)
                opened = Node({} if isinstance(event, yaml.MappingStartEvent) else [], line)
                stack.append((opened, None, event.anchor))
                continue
            if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                node, _, anchor = stack.pop()
                for merged in merges.pop(id(node), []):
                    _merge(node, merged)
            elif isinstance(event, yaml.ScalarEvent):
                anchor = event.anchor
                if stack and isinstance(stack[-1][0].value, dict) and stack[-1][1] is None:
                    parent, _, parent_anchor = stack[-1]
                    stack[-1] = (parent, _Key(*_key(event, line)), parent_anchor)
                    continue
                node = Node(_scalar(event, line), line)
            elif isinstance(event, yaml.AliasEvent):
                anchor = None
                found = self.anchors.get(event.anchor or "")
                if found is None:
                    raise SourceError(f"there is no anchor &{event.anchor} (or it holds itself)", line)
                node = found
            else:
                continue
            self._count(node if isinstance(event, yaml.AliasEvent) else None, line)
            if anchor is not None:
                self.anchors[anchor] = node
            if not stack:
                if node.value is not None:
                    roots.append(node)
                continue
            parent, key, parent_anchor = stack[-1]
            if isinstance(parent.value, list):
                parent.value.append(node)
            elif isinstance(parent.value, dict):
                if key is None:
                    raise SourceError("a key must be text", line)
                if key.merge:
                    merges.setdefault(id(parent), []).extend(_mappings(node, line))
                elif key.text in parent.value:
                    raise SourceError(f"the key {key.text} stands here twice", key.line)
                else:
                    parent.value[key.text] = node
                stack[-1] = (parent, None, parent_anchor)
            parent.size += node.size
        return roots

    def _count(self, alias: Node | None, line: int) -> None:
        self.total += alias.size if alias else 1
        if self.total > MAX_VALUES:
            raise SourceError(f"this holds more than {MAX_VALUES} values, aliases counted as what they stand for", line)


@dataclass
class _Key:
    text: str
    line: int
    merge: bool = False


def _mappings(node: Node, line: int) -> list[Node]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not all(isinstance(one.value, dict) for one in nodes):
        raise SourceError("<< takes a mapping or a list of mappings", line)
    return nodes


def _merge(node: Node, merged: Node) -> None:
    if isinstance(node.value, dict) and isinstance(merged.value, dict):
        for key, value in merged.value.items():
            node.value.setdefault(key, value)


_TAG = "tag:yaml.org,2002:"
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_INFINITE = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN"}
_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([0-9]+))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _key(event: yaml.ScalarEvent, line: int) -> tuple[str, int, bool]:
    if event.value == "<<" and event.implicit[0]:
        return "<<", line, True
    value = _scalar(event, line)
    if value is None:
        raise SourceError("a key must be text, not null", line)
    # As in Kubernetes, a key that reads as something else is that, written as JSON: `on` is `true`.
    return value if isinstance(value, str) else json.dumps(value), line, False


def _check_tag(tag: str | None, line: int, *, collection: bool) -> None:
    known = ("map", "seq") if collection else ("str", "int", "float", "bool", "null")
    if tag is not None and tag != "!" and tag not in {_TAG + name for name in known}:
        raise SourceError(f"the tag {tag.replace(_TAG, '!!')} is not supported", line)


def _scalar(event: yaml.ScalarEvent, line: int) -> str | int | float | bool | None:
    _check_tag(event.tag, line, collection=False)
    kind = (event.tag or "").removeprefix(_TAG)
    if kind in ("str", "!") or (not kind and not event.implicit[0]):
        return str(event.value)
    value = _plain(event.value, line)
    matches = {
        "": True,
        "null": value is None,
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, (int, float)) and not isinstance(value, bool),
    }
    if not matches[kind]:
        raise SourceError(f"{event.value!r} is no {kind}", line)
    return value


def _plain(text: str, line: int) -> str | int | float | bool | None:
    """What an unquoted scalar stands for."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _INFINITE:
        raise SourceError(f"{text} can't be written in JSON; put it in quotes if it is text", line)
    # The bound keeps Python from refusing to read thousands of digits.
    digits = text.replace("_", "") if text[0] != "_" else text
    if len(digits) > 400:
        return text
    if match := _INT.fullmatch(digits):
        sign, hexadecimal, binary, octal, decimal = match.groups()
        number = (
            int(hexadecimal, 16)
            if hexadecimal
            else int(binary, 2)
            if binary
            else int(octal, 8)
            if octal
            else int(decimal)
        )
        number = -number if sign == "-" else number
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        if math.isinf(value):
            return text
        # JSON knows no difference between 1.0 and 1.
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    return text


def _json_documents(text: str) -> list[Node]:
    """JSON that isn't YAML, for example because of tabs. All on one line, as JSON has no positions."""
    try:
        value = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise SourceError(f"this is neither valid YAML nor valid JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise SourceError(f"values are nested deeper than {MAX_DEPTH}") from None
    return [_node(value, 0, [0])]


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise SourceError(f"the key {key} stands twice in one object")
        read[key] = value
    return read


def _refuse_constant(text: str) -> Json:
    raise SourceError(f"{text} is not valid JSON")


def _node(value: Json, depth: int, total: list[int]) -> Node:
    total[0] += 1
    if depth > MAX_DEPTH:
        raise SourceError(f"values are nested deeper than {MAX_DEPTH}")
    if total[0] > MAX_VALUES:
        raise SourceError(f"this holds more than {MAX_VALUES} values")
    if isinstance(value, dict):
        return Node({key: _node(inner, depth + 1, total) for key, inner in value.items()}, 1)
    if isinstance(value, list):
        return Node([_node(inner, depth + 1, total) for inner in value], 1)
    return Node(value, 1)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
