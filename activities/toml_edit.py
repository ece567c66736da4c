"""Changing scalars of a TOML text in place: every byte outside the new value stays (Kargo: pkg/toml)."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time

from activities.yaml_edit import NoSuchKey, split_key
from model.base import Json

MAX_DEPTH = 200

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}')
_LONG_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}")
#: Numbers, bools, moments; only a date may be followed by a blank and a time.
_ATOM = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:[^\s,\]}#]+|[^\s,\]}#]+")
_ESCAPED = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}

Path = tuple[str, ...]


class InvalidToml(ValueError):
    """The text isn't TOML; the message says where."""


def parse_toml(text: str) -> dict[str, Json]:
    """The data of a TOML text as JSON: moments become RFC 3339 texts. Raises InvalidToml."""
    return {key: _as_json(value) for key, value in _data(text).items()}


def set_toml_scalars(text: str, updates: Sequence[tuple[str, Json]]) -> str:
    """The text with these scalars; of one key the last value counts.

    Raises NoSuchKey for a key that isn't there or is no scalar, and for a value that TOML has no scalar for;
    InvalidToml for what is no TOML.
    """
    _data(text)
    places = _Places(text)
    places.read()
    changes: dict[tuple[int, int], str] = {}
    for key, value in updates:
        path = tuple(split_key(key))
        if path not in places.scalars:
            why = "is a table or list, not a single value" if path in places.others else "is not there"
            raise NoSuchKey(f"key {key!r} {why}")
        start, end = places.scalars[path]
        changes[start, end] = _written(value, text[start:end], key)
    for (start, end), written in sorted(changes.items(), reverse=True):
        text = text[:start] + written + text[end:]
    _data(text)
    return text


def toml_scalar(value: Json) -> str:
    """A text, number or bool as TOML writes it. Raises ValueError for others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return (
            ("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
            if not math.isfinite(value)
            else (str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value))
        )
    if isinstance(value, str):
        return '"' + "".join(_character(character) for character in value) + '"'
    raise ValueError("the new value must be text, a number or a bool")


def _character(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    return f"\\u{ord(character):04X}" if ord(character) < 0x20 or ord(character) == 0x7F else character


def _written(value: Json, old: str, key: str) -> str:
    if isinstance(value, str) and old.startswith("'") and all(c.isprintable() and c != "'" for c in value):
        return f"'{value}'"
    if isinstance(value, float) and value.is_integer() and re.fullmatch(r"[+-]?\d[\d_]*\.[\d_]+", old):
        # 2.0 comes as 2 from JSON: a float stays one.
        return repr(value)
    try:
        return toml_scalar(value)
    except ValueError as error:
        raise NoSuchKey(f"key {key!r}: {error}") from None


def _data(text: str) -> dict[str, object]:
    try:
        # tomllib recurses: a deep nest of brackets must not exhaust the stack.
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidToml(str(error)) from None
    except RecursionError:
        raise InvalidToml("it is nested too deeply") from None


def _as_json(value: object) -> Json:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, datetime):
        text = value.isoformat()
        return f"{text.removesuffix('+00:00')}Z" if text.endswith("+00:00") else text
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidToml(f"it holds {value}, which no output can hold")
    return value


@dataclass
class _Places:
    """Where the values of a text stand. The text is known to be valid: what is met is what it can be."""

    text: str
    scalars: dict[Path, tuple[int, int]] = field(default_factory=dict)
    #: Tables, lists, and what leads to values.
    others: set[Path] = field(default_factory=set)
    #: Arrays of tables, and how many tables they have so far.
    counts: dict[Path, int] = field(default_factory=dict)

    def read(self) -> None:
        """Find all."""
        # A byte order mark would not have been valid; the text begins with its first expression.
        table: Path = ()
        place = self._blank(0)
        while place < len(self.text):
            if self.text.startswith("[[", place):
                parts, place = self._key(self._space(place + 2))
                inner = (*self._within(parts[:-1]), parts[-1])
                self.counts[inner] = self.counts.get(inner, 0) + 1
                table = (*inner, str(self.counts[inner] - 1))
                self._note(table)
                place = self._space(place) + 2
            elif self.text[place] == "[":
                parts, place = self._key(self._space(place + 1))
                table = self._within(parts)
                self._note(table)
                place = self._space(place) + 1
            else:
                place = self._pair(place, table, 0)
            place = self._blank(place)

    def _within(self, parts: Path) -> Path:
        """A table's path, where names of arrays of tables mean their last table."""
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in self.counts:
                path = (*path, str(self.counts[path] - 1))
        return path

    def _pair(self, place: int, table: Path, depth: int) -> int:
        parts, place = self._key(place)
        path = (*table, *parts)
        for length in range(len(table) + 1, len(path)):
            self.others.add(path[:length])
        return self._value(self._space(self._space(place) + 1), path, depth)

    def _value(self, place: int, path: Path, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise InvalidToml("it is nested too deeply")
        if self.text[place] == "[":
            self._note(path)
            place, index = self._blank(place + 1), 0
            while self.text[place] != "]":
                place = self._blank(self._value(place, (*path, str(index)), depth + 1))
                if self.text[place] == ",":
                    place = self._blank(place + 1)
                index += 1
            return place + 1
        if self.text[place] == "{":
            self._note(path)
            place = self._blank(place + 1)
            while self.text[place] != "}":
                place = self._blank(self._pair(place, path, depth + 1))
                if self.text[place] == ",":
                    place = self._blank(place + 1)
            return place + 1
        for pattern in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _ATOM):
            if match := pattern.match(self.text, place):
                self.scalars[path] = match.span()
                return match.end()
        raise InvalidToml(f"there is no value at character {place}")

    def _key(self, place: int) -> tuple[Path, int]:
        parts: list[str] = []
        while True:
            place = self._space(place)
            match = _BARE.match(self.text, place) or _BASIC.match(self.text, place) or _LITERAL.match(self.text, place)
            if match is None:
                raise InvalidToml(f"there is no key at character {place}")
            parts.append(_name(match[0]))
            end = match.end()
            place = self._space(end)
            if not self.text.startswith(".", place):
                return tuple(parts), end
            place += 1

    def _note(self, path: Path) -> None:
        for length in range(1, len(path) + 1):
            self.others.add(path[:length])

    def _blank(self, place: int) -> int:
        match = _BLANK.match(self.text, place)
        return match.end() if match else place

    def _space(self, place: int) -> int:
        match = _SPACE.match(self.text, place)
        return match.end() if match else place


def _name(written: str) -> str:
    if written.startswith("'"):
        return written[1:-1]
    return next(iter(tomllib.loads(f"{written}=0"))) if written.startswith('"') else written
