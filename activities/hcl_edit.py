"""Changing values of an HCL text in place: every byte outside the new value stays (Kargo's docs: hcl-update)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

import tree_sitter
import tree_sitter_hcl

from activities.yaml_edit import NoSuchKey, number, split_key
from model.base import Json

_LANGUAGE = tree_sitter.Language(tree_sitter_hcl.language())
_ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


class InvalidHcl(ValueError):
    """The text isn't HCL; the message says where."""


def set_hcl_values(text: str, updates: Sequence[tuple[str, Json]]) -> str:
    r"""The text with these values; of one key the last value counts.

    A key names blocks by type and labels, attributes, keys of objects and places in lists:
    `resource.aws_s3.app.tags.v`. Of blocks that are named alike, a place tells which: `ingress.1.port`. Whatever
    expression stands there is replaced. Raises NoSuchKey for a key that isn't there, could mean several, or leads to a
    block, list or object; InvalidHcl for what is no HCL.
    """
    data = text.encode()
    root = _parsed(data)
    changes: dict[tuple[int, int], bytes] = {}
    for key, value in updates:
        node = _Search(key).found(root)
        changes[node.start_byte, node.end_byte] = hcl_scalar(value, key).encode()
    for (start, end), written in sorted(changes.items(), reverse=True):
        data = data[:start] + written + data[end:]
    _parsed(data)
    return data.decode()


def hcl_scalar(value: Json, key: str = "") -> str:
    """A text, number or bool as HCL writes it; `${` and `%{` in a text are text. Raises NoSuchKey for others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        quoted = "".join(_character(character) for character in value)
        return '"' + re.sub(r"([$%])\{", r"\1\1{", quoted) + '"'
    raise NoSuchKey(f"key {key!r}: the new value must be text, a number or a bool")


def _character(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _parsed(data: bytes) -> tree_sitter.Node:
    root = tree_sitter.Parser(_LANGUAGE).parse(data).root_node
    node = root
    while node.has_error and not (node.is_error or node.is_missing):
        node = next(child for child in node.children if child.has_error or child.is_missing)
    if node.has_error:
        row, column = node.start_point
        raise InvalidHcl(f"line {row + 1}, column {column + 1}: this can't be read as HCL")
    return root


class _Search:
    """Finds what a key leads to."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.parts = split_key(key)
        #: How many parts of the key lead to something.
        self.reached = 0

    def found(self, root: tree_sitter.Node) -> tree_sitter.Node:
        body = next((child for child in root.children if child.type == "body"), None)
        nodes = list(self._in_body(body, 0))
        if not nodes:
            part = self.parts[min(self.reached, len(self.parts) - 1)]
            raise NoSuchKey(f"key {self.key!r} is not there: nothing at {part!r}")
        if len(nodes) > 1:
            raise NoSuchKey(
                f"key {self.key!r} could mean {len(nodes)} values; say which of the blocks by its place, such as "
                "`ingress.0.port`"
            )
        node = nodes[0]
        if node.type != "expression" or node.children[0].type in ("collection_value", "for_expr"):
            raise NoSuchKey(f"key {self.key!r} is not a single value")
        return node

    def _in_body(self, body: tree_sitter.Node | None, place: int) -> Iterator[tree_sitter.Node]:
        """What the parts of the key from `place` on lead to in a body."""
        alike: dict[tuple[str, ...], list[tree_sitter.Node]] = {}
        for child in body.children if body else ():
            if child.type == "attribute" and _text(child.children[0]) == self.parts[place]:
                expression = next(inner for inner in child.children if inner.type == "expression")
                yield from self._in_expression(expression, place + 1)
            elif child.type == "block":
                names = tuple(
                    _name(inner) or "" for inner in child.children if inner.type in ("identifier", "string_lit")
                )
                wanted = self.parts[place : place + len(names)]
                if tuple(wanted) == names:
                    alike.setdefault(names, []).append(child)
                else:
                    alike_so_far = takewhile(lambda pair: pair[0] == pair[1], zip(wanted, names, strict=False))
                    self._at(place + len(list(alike_so_far)))
        for names, blocks in alike.items():
            rest = self._at(place + len(names))
            index = self._index(rest)
            if index is not None:
                blocks, rest = blocks[index : index + 1], rest + 1
            for block in blocks:
                self._at(rest)
                if rest == len(self.parts):
                    yield block
                else:
                    inner = next((child for child in block.children if child.type == "body"), None)
                    yield from self._in_body(inner, rest)

    def _in_expression(self, expression: tree_sitter.Node, place: int) -> Iterator[tree_sitter.Node]:
        self._at(place)
        if place == len(self.parts):
            yield expression
            return
        collection = expression.children[0]
        if collection.type != "collection_value":
            return
        inner = collection.children[0]
        if inner.type == "tuple":
            index = self._index(place)
            items = [child for child in inner.children if child.type == "expression"]
            for item in items[index : index + 1] if index is not None else ():
                yield from self._in_expression(item, place + 1)
        elif inner.type == "object":
            for element in inner.children:
                if element.type == "object_elem":
                    key, value = element.child_by_field_name("key"), element.child_by_field_name("val")
                    if key and value and _name(key) == self.parts[place]:
                        yield from self._in_expression(value, place + 1)

    def _at(self, place: int) -> int:
        self.reached = max(self.reached, place)
        return place

    def _index(self, place: int) -> int | None:
        part = self.parts[place] if place < len(self.parts) else ""
        return int(part) if re.fullmatch(r"[0-9]{1,9}", part) else None


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _name(node: tree_sitter.Node) -> str | None:
    """The name that a label or an object's key is; None where an expression makes it."""
    while node.type in ("expression", "literal_value", "variable_expr") and node.child_count == 1:
        node = node.children[0]
    if node.type == "string_lit":
        inner = _text(node)[1:-1]
        return None if re.search(r"(?<!\$)\$\{|(?<!%)%\{", inner) else _plain(inner)
    return _text(node) if node.type in ("identifier", "numeric_lit", "bool_lit", "null_lit") else None


def _plain(quoted: str) -> str:
    """What a quoted text without templates says."""
    escapes = {"n": "\n", "r": "\r", "t": "\t"}

    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "uU":
            return chr(int(escape[1:], 16))
        return escapes.get(escape, escape)

    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4}|.)", one, quoted, flags=re.DOTALL)
    return re.sub(r"([$%])\1\{", r"\1{", plain)
