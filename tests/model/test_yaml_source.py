"""YAML and JSON are read as Kubernetes reads them, within bounds, and every value knows its line."""

from __future__ import annotations

import json

import pytest

from model.base import Json
from model.yaml_source import MAX_BYTES, SourceError, read_documents

SCALARS: list[tuple[str, Json]] = [
    ("", None),
    ("~", None),
    ("Null", None),
    ("nil", "nil"),
    ("true", True),
    ("off", False),
    ("y", True),
    ("'yes'", "yes"),
    ("!!str yes", "yes"),
    ("! yes", "yes"),
    ("12", 12),
    ("+12", 12),
    ("1_000", 1000),
    ("0x1F", 31),
    ("0b11", 3),
    ("010", 8),
    ("0o7", 7),
    ("09", 9),
    ("0o8", "0o8"),
    ("-0x10", -16),
    ("18446744073709551615", 18446744073709551615),
    ("1.10", 1.1),
    ("1.0", 1),
    ("5.", 5),
    (".5", 0.5),
    ("1e3", 1000),
    ("1e-7", 1e-7),
    ("1e400", "1e400"),
    ("123e456", "123e456"),
    ("1.2.3", "1.2.3"),
    ("1:30", "1:30"),
    ("2026-01-02", "2026-01-02"),
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ("=", "="),
    ("inf", "inf"),
    ("_1", "_1"),
    ("0xg", "0xg"),
    ("9" * 1000, "9" * 1000),
    ("!!float 1", 1),
    ("!!int '1'", 1),
]


def _read(text: str) -> Json:
    (node,) = read_documents(text)
    return node.plain()


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_those_of_kubernetes(text: str, value: Json) -> None:
    read = _read(f"a: {text}")["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("text", "key"), [("1", "1"), ("on", "true"), ("0x10", "16"), ("'on'", "on"), ("1.10", "1.1")])
def test_keys_are_text(text: str, key: str) -> None:
    assert _read(f"{text}: x") == {key: "x"}


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("", []),
        ("# nothing\n---\n---\n", []),
        ("a: 1\n---\nb: 2\n...\n---\n", [{"a": 1}, {"b": 2}]),
        ('{"a": [1, "x", null]}', [{"a": [1, "x", None]}]),
        ('{\n\t"a":\t1,\n\t"b": {"c": "\\ud83d\\ude00"}\n}', [{"a": 1, "b": {"c": "😀"}}]),
        ("x: &a {b: 1}\ny: &c [*a, *a]\nz: *c", [{"x": {"b": 1}, "true": [{"b": 1}] * 2, "z": [{"b": 1}] * 2}]),
        ("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}", [{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}]),
        (
            "a: &a {b: 1}\nc: &c {b: 2, d: 2}\ne: {<<: [*a, *c]}",
            [{"a": {"b": 1}, "c": {"b": 2, "d": 2}, "e": {"b": 1, "d": 2}}],
        ),
        ("a: {'<<': 1}", [{"a": {"<<": 1}}]),
        ("\ufeffa: 1", [{"a": 1}]),
    ],
)
def test_documents(text: str, documents: list[Json]) -> None:
    assert [node.plain() for node in read_documents(text)] == documents


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"k{level}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]\n" for level in range(8)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [", 2, "not valid YAML"),
        ("a: b: c", 1, "not valid YAML"),
        ("\ta: 1", 1, "not valid YAML"),
        ("a: 1\nb: 2\na: 3", 3, "the key a stands here twice"),
        ("a: *gone", 1, "there is no anchor &gone"),
        ("a: &a [*a]", 1, "there is no anchor &a"),
        ("a: &a 1\n---\nb: *a", 3, "there is no anchor &a"),
        ("? [a]\n: b", 1, "a key must be text"),
        ("~: b", 1, "a key must be text"),
        ("a: {<<: 1}", 1, "<< takes a mapping"),
        ("a: !!binary aGk=", 1, "the tag !!binary is not supported"),
        ("a: !!python/object:os.system x", 1, "is not supported"),
        ("a: !secret x", 1, "the tag !secret is not supported"),
        ("a: !!int x", 1, "'x' is no int"),
        ("a: .inf", 1, "can't be written in JSON"),
        ("[" * 5000, 1, "nested deeper"),
        ("{a: " * 5000, 1, "nested deeper"),
        ("[\t" * 5000, 1, "nested deeper"),
        (BOMB, 6, "more than 200000 values"),
        ("[" + "1," * 200_001 + "]", 1, "more than 200000 values"),
        ("x" * (MAX_BYTES + 1), 0, "longer than 8 MiB"),
        ("a: \x00", 0, "not valid YAML"),
        ("a: \ud800", 0, "not valid UTF-8"),
        ('{\t"a": 1,\t"a": 2}', 0, "the key a stands"),
        ('{\n\t"a": nope\n', 2, "neither valid YAML nor valid JSON"),
        ('{\t"a": "\\ud83d\\ude00", "b": NaN}', 0, "NaN is not valid JSON"),
    ],
)
def test_what_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError, match=message) as refused:
        read_documents(text)
    if line:
        assert refused.value.line == line


def test_json_that_is_no_yaml_is_bounded_too() -> None:
    smile = '"\\ud83d\\ude00"'
    with pytest.raises(SourceError, match="nested deeper"):
        read_documents("[" * 200 + smile + "]" * 200)
    with pytest.raises(SourceError, match="nested deeper"):
        read_documents(f"[{smile}, " + "[" * 90 + "[" * 20 + "]" * 110 + "]")
    with pytest.raises(SourceError, match="more than 200000 values"):
        read_documents(f"[{smile}, " + json.dumps([0] * 200_001)[1:])


def test_every_value_knows_its_line() -> None:
    first, second = read_documents("a: 1\n---\nb:\n- c\n- d:\n    e: |\n      text\n")
    assert first.at(("a",)).line == 1
    assert second.line == 3
    assert second.at(("b", 0)).line == 4
    assert second.at(("b", 1, "d", "e")).line == 6
    # What isn't there is looked for around where it would be.
    assert second.at(("b", 1, "missing", "deep")).line == 5
    assert second.at(("b", 7)).line == 4
