"""Changing values of a JSON text in place: layout and everything else in it stay (as tidwall/sjson does for Kargo)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from activities.yaml_edit import NoSuchKey, split_key
from model.base import Json

#: How far beyond its end a list may be filled up with nulls.
MAX_FILL = 1000
MAX_DEPTH = 200

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_ATOM = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")


class InvalidJson(ValueError):
    """The text isn't JSON; the message says where."""


@dataclass
class _Value:
    """Where a value stands in the text, and what it holds."""

    start: int
    end: int = 0
    members: dict[str, _Value] | None = None
    items: list[_Value] | None = None
    children: list[_Value] = field(default_factory=list)


def set_value(text: str, key: str, value: Json) -> str:
    """The text with a value at a dotted key; what is missing on the way is made, `-1` appends to a list.

    Raises NoSuchKey where the key can't be followed, InvalidJson for a text that is no JSON.
    """
    node, place = _parse(text, _skip(text, 0), 0)
    if _BLANK.fullmatch(text, place) is None:
        raise InvalidJson(f"there is more after the JSON: {_where(text, place)}")
    parts = split_key(key)
    for number, part in enumerate(parts):
        rest = parts[number + 1 :]
        found = _child(node, part, key)
        if found is None:
            return _inserted(text, node, part, _made(rest, value, key), key)
        node = found
    return text[: node.start] + _text(value) + text[node.end :]


def _child(node: _Value, part: str, key: str) -> _Value | None:
    if node.members is not None:
        return node.members.get(part.removeprefix(":"))
    if node.items is None:
        raise NoSuchKey(f"key {key!r}: there is a single value before {part!r}")
    if part == "-1":
        return None
    if not re.fullmatch(r"\d{1,9}", part):
        raise NoSuchKey(f"key {key!r}: {part!r} is not an index of a list")
    return node.items[int(part)] if int(part) < len(node.items) else None


def _inserted(text: str, node: _Value, part: str, made: str, key: str) -> str:
    """The text with a new member or item at the end of an object or list, on a line of its own if others are."""
    if node.members is not None:
        made = f"{_text(part.removeprefix(':'))}: {made}"
    elif part != "-1" and node.items is not None:
        missing = int(part) - len(node.items)
        if missing > MAX_FILL:
            raise NoSuchKey(f"key {key!r}: index {part} is far beyond the list's end")
        made = "null, " * missing + made
    if not node.children:
        return text[: node.start + 1] + made + text[node.end - 1 :]
    last = node.children[-1]
    lead = _BLANK.match(text, node.start + 1)
    blank = lead.group() if lead else ""
    return text[: last.end] + "," + (blank if "\n" in blank else " ") + made + text[last.end :]


def _made(parts: list[str], value: Json, key: str) -> str:
    """The JSON of a value below keys that aren't there: an index makes a list, `:1` a key that looks like one."""
    text = _text(value)
    for part in reversed(parts):
        if part == "-1" or re.fullmatch(r"\d{1,9}", part):
            fill = 0 if part == "-1" else int(part)
            if fill > MAX_FILL:
                raise NoSuchKey(f"key {key!r}: index {part} is far beyond the list's end")
            text = f"[{'null, ' * fill}{text}]"
        else:
            text = f"{{{_text(part.removeprefix(':'))}: {text}}}"
    return text


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _parse(text: str, place: int, depth: int) -> tuple[_Value, int]:
    """The value that begins at a place, and the place after it."""
    if depth > MAX_DEPTH:
        raise InvalidJson(f"nested more than {MAX_DEPTH} deep")
    node = _Value(place)
    opening = text[place : place + 1]
    if opening in ("{", "["):
        closing = "}" if opening == "{" else "]"
        if opening == "{":
            node.members = {}
        else:
            node.items = []
        place = _skip(text, place + 1)
        while text[place : place + 1] != closing:
            name = ""
            if node.members is not None:
                name, place = _name(text, place)
            child, place = _parse(text, place, depth + 1)
            node.children.append(child)
            if node.members is not None:
                node.members[name] = child
            elif node.items is not None:
                node.items.append(child)
            place = _skip(text, place)
            if text[place : place + 1] == ",":
                place = _skip(text, place + 1)
                if text[place : place + 1] == closing:
                    raise InvalidJson(f"a comma too many: {_where(text, place)}")
            elif text[place : place + 1] != closing:
                raise InvalidJson(f"expected , or {closing}: {_where(text, place)}")
        node.end = place + 1
    else:
        match = (_STRING if opening == '"' else _ATOM).match(text, place)
        if match is None or not match.group():
            raise InvalidJson(f"expected a value: {_where(text, place)}")
        node.end = match.end()
    return node, node.end


def _name(text: str, place: int) -> tuple[str, int]:
    match = _STRING.match(text, place)
    if match is None:
        raise InvalidJson(f"expected a name in double quotes: {_where(text, place)}")
    try:
        name = json.loads(match.group())
    except ValueError as error:
        raise InvalidJson(f"a name that can't be read: {_where(text, place)}") from error
    place = _skip(text, match.end())
    if text[place : place + 1] != ":":
        raise InvalidJson(f"expected a colon: {_where(text, place)}")
    return name, _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _where(text: str, place: int) -> str:
    return f"line {text.count(chr(10), 0, place) + 1}, column {place - text.rfind(chr(10), 0, place)}"
