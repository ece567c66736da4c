"""yaml-update, yaml-parse, yaml-merge, json-update, json-parse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import activities.steps.structured  # noqa: F401 (registers the steps)
from activities.json_edit import InvalidJson, set_value
from activities.steps.registry import STEPS, StepErrored, StepFailed
from activities.yaml_documents import InvalidYaml, document, dump
from activities.yaml_edit import NoSuchKey, scalar, set_scalars, split_key
from tests.steps.contexts import run_step, step_context


@pytest.mark.parametrize(
    "text",
    ["1.10", "1e3", "0x1F", "0123", "12", "true", "No", "null", "~", "1_000", ".5", "2024-01-01", "a: b", "a #b", ""],
)
def test_a_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert scalar(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["v1.10.0", "1.2.3", "1.2.3-rc.1", "latest", "sha256:ab12", "ghcr.io/a/b-c"])
def test_a_plain_string_is_not_quoted(text: str) -> None:
    assert scalar(text) == text
    assert yaml.safe_load(f"a: {text}") == {"a": text}


# what is in the file, key and value, the file afterwards
YAML_UPDATES: dict[str, tuple[str, str, Any, str]] = {
    "in its place": ("# top\na:\n  b: 1 # why\nc: 2\n", "a.b", 7, "# top\na:\n  b: 7 # why\nc: 2\n"),
    "text that looks like a number": ("a: v1\n", "a", "1.10", 'a: "1.10"\n'),
    "text in quotes": ("a: 'old'  # c\n", "a", "new one", "a: new one  # c\n"),
    "a list's item": ("a:\n- b: 1\n- b: 2\n", "a.1.b", True, "a:\n- b: 1\n- b: true\n"),
    "an escaped dot": ("a.b: 1\na: {b: 2}\n", r"a\.b", 3, "a.b: 3\na: {b: 2}\n"),
    "in flow style": ("a: {b: 1, c: 2}\n", "a.b", "x,y", 'a: {b: "x,y", c: 2}\n'),
    "an empty value": ("a:\nb: 1\n", "a", "x", "a: x\nb: 1\n"),
    "a block of text": ("a: |\n  one\n  two\nb: 1\n", "a", "x", "a: x\nb: 1\n"),
    "text of several lines": ("a: 1\n", "a", "x\ny", 'a: "x\\ny"\n'),
    "Windows line ends": ("a: 1\r\nb: 2\r\n", "b", 3, "a: 1\r\nb: 3\r\n"),
    "no line end": ("a: 1", "a", 2, "a: 2"),
    "null": ("a: 1\n", "a", None, "a: null\n"),
    "a whole float": ("a: 1\n", "a", 2.0, "a: 2\n"),
    "the first document only": ("a: 1\n---\na: 1\n", "a", 2, "a: 2\n---\na: 1\n"),
    "a byte order mark stays": ("\ufeffa: 1\nb: 2\n", "b", 3, "\ufeffa: 1\nb: 3\n"),
    "characters of several bytes": ("é😀: 'ü' # ß\nb: 2\n", "b", 3, "é😀: 'ü' # ß\nb: 3\n"),
    "an empty value in flow style": ("{a: , b: 1}\n", "a", "x", "{a: x, b: 1}\n"),
    "an anchor stays": ("a: &x 1\nb: *x\n", "a", 2, "a: &x 2\nb: *x\n"),
}


@pytest.mark.parametrize("case", YAML_UPDATES)
def test_yaml_is_changed_in_place(case: str) -> None:
    before, key, value, after = YAML_UPDATES[case]
    assert set_scalars(before, [(key, value)]) == after


def test_several_values_at_once_the_last_of_a_key_counts() -> None:
    assert set_scalars("a: 1\nb: 2\n", [("b", 3), ("a", "x"), ("b", 4)]) == "a: x\nb: 4\n"


@pytest.mark.parametrize(
    ("text", "key", "value", "words"),
    [
        ("a: 1\n", "b", 1, "key 'b' is not there"),
        ("a: {b: 1}\n", "a", 1, "not a single value"),
        ("a: 1\n", "a.b", 1, "is not there"),
        ("a: [1]\n", "a.1", 1, "is not there"),
        ("a: [1]\n", "a.x", 1, "not an index"),
        ("a: &x 1\nb: *x\n", "b", 1, "an alias"),
        ("a: [&x 1, &y 2, *x, *y]\n", "a.3", 1, "an alias"),
        ("a: &x {c: 1}\nb:\n- *x\n", "b.0.c", 1, "an alias"),
        ("a: 1\n", "a", {"b": 1}, "must be a single value"),
        ("a: 1\n", "a..b", 1, "empty part"),
        ("", "a", 1, "is not there"),
    ],
)
def test_a_yaml_key_that_leads_nowhere(text: str, key: str, value: Any, words: str) -> None:
    with pytest.raises(NoSuchKey, match=words):
        set_scalars(text, [(key, value)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [\n", "line 3, column 1"),
        ("a: 1\nb: c: d\n", "line 2, column 5: mapping values are not allowed"),
        ("a: *x\n", "line 1, column 4: found undefined alias"),
        ("a: " + "[" * 200, "nested more than 100 deep"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidYaml, match=words):
        set_scalars(text, [("a", 1)])


#: Pieces of YAML that meet in every order: what parsers may place differently.
PIECES = [
    "a: b", "a:", "- x", "-", "  ", "\n", "\r\n", " # é", "'q'", '"q\\n"', "|", ">-", "  text", "&x ", "*x", "!!str ",
    "{", "}", "[", "]", ", ", "? ", ": ", "😀", "---\n", "...\n", "\t", "\x85", "\u2028",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_both_parsers_place_values_alike(text: str) -> None:
    def places(loader: Any) -> list[tuple[str, int, int]] | None:
        try:
            events = list(yaml.parse(text, Loader=loader))
        except (yaml.YAMLError, ValueError):
            return None
        # An empty value has no place that both agree on: before or after blanks.
        marks = [(e.value, e.start_mark.index, e.end_mark.index) for e in events if isinstance(e, yaml.ScalarEvent)]
        return [mark for mark in marks if mark[1] < mark[2]]

    with_c, with_python = places(yaml.CSafeLoader), places(yaml.SafeLoader)
    if with_c is not None and with_python is not None:
        assert with_c == with_python


@given(st.text(max_size=20))
def test_any_text_comes_back_as_that_text(text: str) -> None:
    try:
        found = yaml.safe_load(set_scalars("a:\n  b: 1\nc: 2\n", [("a.b", text)]))
    except yaml.reader.ReaderError:
        return  # YAML can't hold every character
    assert found == {"a": {"b": text}, "c": 2}


# what is in the file, key and value, the file afterwards
JSON_UPDATES: dict[str, tuple[str, str, Any, str]] = {
    "in its place": ('{\n  "a": {"b": 1},\n  "c": 2\n}\n', "a.b", "x", '{\n  "a": {"b": "x"},\n  "c": 2\n}\n'),
    "a new key": ('{\n  "a": 1\n}\n', "b", True, '{\n  "a": 1,\n  "b": true\n}\n'),
    "a new key on the same line": ('{"a": 1}', "b", 2, '{"a": 1, "b": 2}'),
    "a new key in nothing": ("{}", "a.b", 1, '{"a": {"b": 1}}'),
    "an item": ('{"a": [1, 2]}', "a.1", 3, '{"a": [1, 3]}'),
    "appended": ('{"a": [1]}', "a.-1", 2, '{"a": [1, 2]}'),
    "appended to nothing": ("{}", "a.-1", 2, '{"a": [2]}'),
    "beyond the end": ('{"a": [1]}', "a.3", 2, '{"a": [1, null, null, 2]}'),
    "a list of its own": ("{}", "a.1.b", 2, '{"a": [null, {"b": 2}]}'),
    "a key that looks like an index": ("{}", "a.:1", 2, '{"a": {"1": 2}}'),
    "an escaped dot": ('{"a.b": 1}', r"a\.b", 2, '{"a.b": 2}'),
    "a name with escapes": ('{"\\u0061": 1}', "a", 2, '{"\\u0061": 2}'),
}


@pytest.mark.parametrize("case", JSON_UPDATES)
def test_json_is_changed_in_place(case: str) -> None:
    before, key, value, after = JSON_UPDATES[case]
    assert set_value(before, key, value) == after
    json.loads(after)


@pytest.mark.parametrize(
    ("text", "key", "error", "words"),
    [
        ('{"a": 1}', "a.b", NoSuchKey, "single value before 'b'"),
        ('{"a": [1]}', "a.b", NoSuchKey, "not an index"),
        ("{}", "a.99999", NoSuchKey, "far beyond"),
        ('{"a": [1]}', "a.99999", NoSuchKey, "far beyond"),
        ("", "a", InvalidJson, "line 1, column 1"),
        ('{\n"a": 1,\n}', "a", InvalidJson, "a comma too many: line 3"),
        ('{"a" 1}', "a", InvalidJson, "expected a colon"),
        ("{'a': 1}", "a", InvalidJson, "name in double quotes"),
        ("{} x", "a", InvalidJson, "more after"),
        ("[" * 1000, "a", InvalidJson, "deep"),
    ],
)
def test_json_that_cannot_be_changed(text: str, key: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        set_value(text, key, 1)


@pytest.mark.parametrize(
    ("key", "parts"), [("a", ["a"]), ("a.b", ["a", "b"]), (r"a\.b.c", ["a.b", "c"]), (r"a\\.b", ["a\\", "b"])]
)
def test_keys_are_split_at_dots(key: str, parts: list[str]) -> None:
    assert split_key(key) == parts


@pytest.mark.parametrize("name", ["yaml-update", "json-update"])
async def test_update_says_what_it_did(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").write_text('{"image": {"tag": "v1"}, "replicas": 1}\n')
    config = {
        "path": "./f",
        "updates": [{"key": "image.tag", "value": "1.10"}, {"key": "replicas", "value": 3}],
    }
    output = await run_step(name, config, step_context(tmp_path))
    assert (tmp_path / "f").read_text() == '{"image": {"tag": "1.10"}, "replicas": 3}\n'
    assert output == {"commitMessage": 'Updated ./f\n\n- image.tag: "1.10"\n- replicas: 3'}


@pytest.mark.parametrize(
    ("name", "updates", "words"),
    [
        ("yaml-update", [{"key": "b", "value": 1}], "f: key 'b' is not there"),
        ("json-update", [{"key": "a", "value": []}], "must be text, a number or a bool"),
        ("json-update", [{"key": "a", "value": None}], "must be text, a number or a bool"),
    ],
)
async def test_update_that_does_not_fit_changes_nothing(
    tmp_path: Path, name: str, updates: list[dict[str, Any]], words: str
) -> None:
    (tmp_path / "f").write_text('{"a": 1}')
    with pytest.raises(StepErrored, match=words):
        await run_step(name, {"path": "f", "updates": [{"key": "a", "value": 2}, *updates]}, step_context(tmp_path))
    assert (tmp_path / "f").read_text() == '{"a": 1}'


PARSED = {"version: v1\nlist: [{n: 1}, {n: 2}]\n1: one\ndate: 2026-01-02\n": "yaml-parse"}
PARSED['{"version": "v1", "list": [{"n": 1}, {"n": 2}], "1": "one", "date": "2026-01-02"}'] = "json-parse"


@pytest.mark.parametrize("text", PARSED)
async def test_values_are_read_by_expressions(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text)
    rules = {
        "version": "version",
        "sum": "sum(map(list, .n))",
        "first": "list[0]",
        "key": "$env['1']",
        "date": "date_ ?? $env['date']",
        "none": "nothing",
    }
    config = {"path": "f", "outputs": [{"name": n, "fromExpression": e} for n, e in rules.items()]}
    assert await run_step(PARSED[text], config, step_context(tmp_path)) == {
        "version": "v1",
        "sum": 3,
        "first": {"n": 1},
        "key": "one",
        "date": "2026-01-02",
        "none": None,
    }


@pytest.mark.parametrize(
    ("name", "text", "expression", "words"),
    [
        ("yaml-parse", "", "a", "f is empty"),
        ("yaml-parse", "a: [", "a", "f can't be read: line"),
        ("json-parse", "{", "a", "f can't be read"),
        ("json-parse", "{}", "a.b.c", "output o: cannot fetch"),
        ("json-parse", "{}", "a(", "output o: "),
    ],
)
async def test_what_cannot_be_read(tmp_path: Path, name: str, text: str, expression: str, words: str) -> None:
    (tmp_path / "f").write_text(text)
    config = {"path": "f", "outputs": [{"name": "o", "fromExpression": expression}]}
    with pytest.raises(StepErrored, match=words):
        await run_step(name, config, step_context(tmp_path))
    with pytest.raises(StepErrored, match="none can't be read"):
        await run_step(name, config | {"path": "none"}, step_context(tmp_path))


async def test_files_are_merged_deeply(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('a: {x: 1, y: {z: 1}}\nlist: [1, 2]\ngone: 1\ntag: "1.10"\nsha: "1e3"\n')
    (tmp_path / "b.yaml").write_text("a: {y: {w: 2}}\nlist: [3]\ngone: null\n")
    config = {"inFiles": ["a.yaml", "none.yaml", "b.yaml"], "outFile": "out/c.yaml", "ignoreMissingFiles": True}
    output = await run_step("yaml-merge", config, step_context(tmp_path))
    text = (tmp_path / "out/c.yaml").read_text()
    assert document(text) == {"a": {"x": 1, "y": {"z": 1, "w": 2}}, "list": [3], "tag": "1.10", "sha": "1e3"}
    assert 'sha: "1e3"' in text
    assert output == {"commitMessage": "Merged 2 YAML files to out/c.yaml\n- a.yaml\n- b.yaml"}
    with pytest.raises(StepErrored, match=r"none\.yaml is not there"):
        await run_step("yaml-merge", config | {"ignoreMissingFiles": False}, step_context(tmp_path))


async def test_a_file_alone_keeps_its_comments(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# c\na: 1\n")
    output = await run_step("yaml-merge", {"inFiles": ["a.yaml"], "outFile": "b.yaml"}, step_context(tmp_path))
    assert (tmp_path / "b.yaml").read_text() == "# c\na: 1\n"
    assert output == {"commitMessage": "Wrote a.yaml to b.yaml"}


@pytest.mark.parametrize("text", ["1e3", "0x1", "1.10", "y", "No", "2026-01-01", "~", "", "a\nb", "+1", ".inf", "0o7"])
def test_dumped_text_stays_text(text: str) -> None:
    assert document(dump({"a": text})) == {"a": text}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("yaml-update", {"path": "f", "updates": []}),
        ("yaml-update", {"path": "f", "updates": [{"key": "a"}]}),
        ("json-update", {"path": "", "updates": [{"key": "a", "value": 1}]}),
        ("yaml-parse", {"path": "f", "outputs": []}),
        ("yaml-merge", {"inFiles": [], "outFile": "f"}),
        ("yaml-merge", {"inFiles": ["a"], "outFile": "f", "strict": True}),
    ],
)
def test_bad_configs_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEPS[name].config.model_validate(config)


async def test_files_outside_the_workspace_are_not_reached(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a: 1\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/link").symlink_to(tmp_path / "secret")
    config = {"path": "link", "updates": [{"key": "a", "value": 2}]}
    with pytest.raises(StepFailed, match="leads out"):
        await run_step("yaml-update", config, step_context(tmp_path / "w"))
    assert (tmp_path / "secret").read_text() == "a: 1\n"
