"""Changing scalars of a YAML text in place: everything else in it, comments and layout too, stays as it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import yaml

from activities.yaml_documents import composed
from model.base import Json

#: Anchors and tags before a value: they belong to it, and stay.
_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_ALIAS = "key {!r} leads to an alias (*); change what it stands for instead"


class NoSuchKey(Exception):
    """The key leads to nothing, or to what is no scalar."""


def split_key(key: str) -> list[str]:
    r"""The parts of a dotted key; `\.` is a dot within a part, `\\` a backslash. Raises NoSuchKey for an empty part."""
    parts, part, escaped = [], "", False
    for character in key:
        if escaped:
            part, escaped = part + character, False
        elif character == "\\":
            escaped = True
        elif character == ".":
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part + ("\\" if escaped else ""))
    if not all(parts):
        raise NoSuchKey(f"key {key!r} has an empty part")
    return parts


def set_scalars(text: str, updates: Sequence[tuple[str, Json]]) -> str:
    """The first document of the text with these scalars; of one key the last value counts.

    Raises NoSuchKey for a key that isn't there or is no scalar, InvalidYaml for what is no YAML.
    """
    if text.startswith("\ufeff"):
        # The C parser doesn't count a byte order mark.
        return f"\ufeff{set_scalars(text[1:], updates)}"
    root = composed(text)
    changes: dict[tuple[int, int], str] = {}
    for key, value in updates:
        node, flow = _found(root, split_key(key), key)
        written = _written(value, flow=flow, key=key)
        start, end = node.start_mark.index, node.end_mark.index
        if properties := _PROPERTIES.match(text, start, end):
            start = properties.end()
        if node.style in ("|", ">"):
            written += "\n"
        elif start == end:
            # An empty value: its mark may lie right after the colon.
            written = written if text[start - 1 : start] in (" ", "\n") else f" {written}"
        changes[start, end] = written
    for (start, end), written in sorted(changes.items(), reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _found(node: yaml.Node | None, parts: list[str], key: str) -> tuple[yaml.ScalarNode, bool]:
    """The scalar that a key leads to, and whether it stands in a flow collection."""
    flow = False
    for part in parts:
        before = node
        if isinstance(node, yaml.MappingNode):
            flow = flow or bool(node.flow_style)
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            node = pair[1] if pair else None
            if pair and node is not None and node.start_mark.index < pair[0].start_mark.index:
                raise NoSuchKey(_ALIAS.format(key))
        elif isinstance(node, yaml.SequenceNode):
            flow = flow or bool(node.flow_style)
            if not re.fullmatch(r"\d{1,9}", part):
                raise NoSuchKey(f"key {key!r}: {part!r} is not an index of a list")
            starts = [item.start_mark.index for item in node.value[: int(part) + 1]]
            if int(part) < len(node.value) and starts[-1] <= max(starts[:-1], default=node.start_mark.index - 1):
                raise NoSuchKey(_ALIAS.format(key))
            node = node.value[int(part)] if int(part) < len(node.value) else None
        else:
            node = None
        if node is None or before is None:
            raise NoSuchKey(f"key {key!r} is not there: nothing at {part!r}")
    if not isinstance(node, yaml.ScalarNode):
        raise NoSuchKey(f"key {key!r} is not a single value")
    return node, flow


def _written(value: Json, *, flow: bool, key: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return scalar(value, flow=flow)
    raise NoSuchKey(f"key {key!r}: the new value must be a single value, not a list or an object")


def number(value: float) -> str:
    """A number as Go prints it: whole ones without a fraction."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return str(value)


_VERSION = re.compile(r"\d+\.\d+\.\d+[A-Za-z0-9_.+-]*")
_WORDS = {"true", "false", "t", "f", "yes", "no", "on", "off", "null", "y", "n", "~", "inf", "nan", "infinity", "="}


#: JSON leaves these as they are; YAML takes them for line breaks, or not at all.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def scalar(text: str, *, flow: bool = False) -> str:
    """A string as a YAML scalar: plain where every YAML reader takes it for a string, else in double quotes."""
    plain = (
        bool(re.fullmatch(r"[A-Za-z_/][^\x00-\x1f\x7f\ufeff\u0085\u2028\u2029]*", text) or _VERSION.fullmatch(text))
        and text.lower() not in _WORDS
        and not text.endswith((" ", ":"))
        and ": " not in text
        and " #" not in text
        and not (flow and re.search(r"[,\[\]{}:]", text))
    )
    return (
        text if plain else _UNPRINTABLE.sub(lambda m: f"\\u{ord(m.group()):04x}", json.dumps(text, ensure_ascii=False))
    )
