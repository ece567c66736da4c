"""toml-update and toml-parse."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import activities.steps.structured  # noqa: F401 (registers the steps)
from activities.steps.registry import StepErrored
from activities.toml_edit import InvalidToml, parse_toml, set_toml_scalars, toml_scalar
from activities.yaml_edit import NoSuchKey
from tests.steps.contexts import run_step, step_context

# what is in the file, key and value, the file afterwards
UPDATES: dict[str, tuple[str, str, Any, str]] = {
    "in its place": ("# top\na = 1 # why\nb=2\n", "a", 7, "# top\na = 7 # why\nb=2\n"),
    "in a table": ('[package]\nversion = "1.0.0"\n', "package.version", "2.0", '[package]\nversion = "2.0"\n'),
    "a dotted key": ("a . b =  1\n", "a.b", 2, "a . b =  2\n"),
    "a quoted key": ('[labels]\n"x.y/z" = "1"\n', r"labels.x\.y/z", "2", '[labels]\n"x.y/z" = "2"\n'),
    "a list's item": ("v = [1, 2,\n 3, # c\n]\n", "v.1", 9, "v = [1, 9,\n 3, # c\n]\n"),
    "an inline table": ("a = { b = 'x', c = 2 }\n", "a.c", True, "a = { b = 'x', c = true }\n"),
    "literal quotes stay": ("a = 'x'\n", "a", "y", "a = 'y'\n"),
    "unless they can't": ("a = 'x'\n", "a", "it's", 'a = "it\'s"\n'),
    "a text over lines": ('a = """\none\ntwo"""\nb = 1\n', "a", "x", 'a = "x"\nb = 1\n'),
    "quotes at its end": ("a = '''x'''''\nb = 1\n", "b", 2, "a = '''x'''''\nb = 2\n"),
    "a date with a blank": ("a = 1979-05-27 07:32:00 # c\n", "a", 1, "a = 1 # c\n"),
    "tables in an array": ("[[a]]\nb = 1\n[[a]]\nb = 2\n", "a.1.b", 3, "[[a]]\nb = 1\n[[a]]\nb = 3\n"),
    "below tables in an array": (
        "[[a]]\n[a.c]\nd = 1\n[[a.e]]\nf = 1\n[[a]]\n[[a.e]]\n[[a.e]]\nf = 2\n", "a.1.e.1.f", 3,
        "[[a]]\n[a.c]\nd = 1\n[[a.e]]\nf = 1\n[[a]]\n[[a.e]]\n[[a.e]]\nf = 3\n",
    ),
    "Windows line ends": ("a = 1\r\nb = 2\r\n", "b", 3, "a = 1\r\nb = 3\r\n"),
    "no line end": ("a = 1", "a", 2, "a = 2"),
    "brackets in a text": ('a = "]},#"\nb = 1\n', "b", 2, 'a = "]},#"\nb = 2\n'),
    "a text that looks like a number": ("a = 1.5\n", "a", "1.10", 'a = "1.10"\n'),
    "a float stays one": ("a = 1.5\n", "a", 2.0, "a = 2.0\n"),
    "what must be escaped": ('a = ""\n', "a", 'q"\\\n\x01', 'a = "q\\"\\\\\\n\\u0001"\n'),
}  # fmt: skip


@pytest.mark.parametrize("case", UPDATES)
def test_toml_is_changed_in_place(case: str) -> None:
    before, key, value, after = UPDATES[case]
    assert set_toml_scalars(before, [(key, value)]) == after


@pytest.mark.parametrize(
    ("text", "key", "value", "says"),
    [
        ("a = 1\n", "b", 2, "'b' is not there"),
        ("[a]\nb = 1\n", "a", 2, "is a table or list"),
        ("a = [1]\n", "a.1", 2, "is not there"),
        ("a = [1]\n", "a.-1", 2, "is not there"),
        ("[[a]]\nb = 1\n", "a", 2, "is a table or list"),
        ("a = 1\n", "a", None, "must be text, a number or a bool"),
        ("a = 1\n", "a", [1], "must be text, a number or a bool"),
    ],
)
def test_keys_that_lead_nowhere(text: str, key: str, value: Any, says: str) -> None:
    with pytest.raises(NoSuchKey, match=says):
        set_toml_scalars(text, [(key, value)])


@pytest.mark.parametrize("text", ["a = \n", "a = 1\na = 2\n", "[a\n", "a = " + "[" * 100_000])
def test_what_is_no_toml(text: str) -> None:
    with pytest.raises(InvalidToml):
        set_toml_scalars(text, [("a", 1)])


def test_the_place_is_named() -> None:
    with pytest.raises(InvalidToml, match="line 2"):
        parse_toml("a = 1\nb = \n")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_can_be_written(text: str) -> None:
    assert tomllib.loads(f"a = {toml_scalar(text)}")["a"] == text


_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
_scalars = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), _names)


@given(st.dictionaries(_names, st.one_of(_scalars, st.lists(_scalars, max_size=3)), min_size=1), st.data())
def test_only_the_named_value_changes(content: dict[str, Any], data: st.DataObject) -> None:
    lines = []
    for name, value in content.items():
        written = f"[{', '.join(map(toml_scalar, value))}]" if isinstance(value, list) else toml_scalar(value)
        lines.append(f"{toml_scalar(name)} = {written} # kept")
    text = "\n".join(lines)
    paths = [(name,) for name, value in content.items() if not isinstance(value, list)]
    paths += [
        (name, index) for name, value in content.items() if isinstance(value, list) for index in range(len(value))
    ]
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    value = data.draw(_scalars)
    key = ".".join(str(part).replace("\\", "\\\\").replace(".", "\\.") for part in path)
    expected = {name: list(old) if isinstance(old, list) else old for name, old in content.items()}
    if len(path) == 1:
        expected[path[0]] = value
    else:
        expected[path[0]][path[1]] = value
    changed = set_toml_scalars(text, [(key, value)])
    assert tomllib.loads(changed) == expected
    assert changed.count(" # kept") == len(lines)


async def test_toml_update(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'[image]\r\ntag = "v1"\r\nn = 1\r\n')
    updates = [{"key": "image.tag", "value": "v2"}, {"key": "image.n", "value": 2}]
    output = await run_step("toml-update", {"path": "a.toml", "updates": updates}, step_context(tmp_path))
    assert output == {"commitMessage": 'Updated a.toml\n\n- image.tag: "v2"\n- image.n: 2'}
    assert (tmp_path / "a.toml").read_bytes() == b'[image]\r\ntag = "v2"\r\nn = 2\r\n'


async def test_a_second_run_changes_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("a = 1\n")
    config = {"path": "a.toml", "updates": [{"key": "a", "value": 2}]}
    first = await run_step("toml-update", config, step_context(tmp_path))
    assert await run_step("toml-update", config, step_context(tmp_path)) == first
    assert (tmp_path / "a.toml").read_text() == "a = 2\n"


async def test_toml_parse(tmp_path: Path) -> None:
    text = "when = 2026-05-01T12:00:00Z\nday = 2026-05-01\n[package]\nversion = '1.2'\n[[bin]]\nname = 'x'\n"
    (tmp_path / "a.toml").write_text(text)
    outputs = [
        {"name": "version", "fromExpression": "package.version"},
        {"name": "first", "fromExpression": "bin[0].name"},
        {"name": "when", "fromExpression": "when"},
        {"name": "day", "fromExpression": "day"},
        {"name": "none", "fromExpression": "nothing"},
    ]
    output = await run_step("toml-parse", {"path": "a.toml", "outputs": outputs}, step_context(tmp_path))
    expected = {"version": "1.2", "first": "x", "when": "2026-05-01T12:00:00Z", "day": "2026-05-01", "none": None}
    assert output == expected


@pytest.mark.parametrize(
    ("text", "says"), [("", "is empty"), ("a = ", "can't be read"), ("a = nan", "which no output can hold")]
)
async def test_toml_parse_of_what_can_not_be_read(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    config = {"path": "a.toml", "outputs": [{"name": "a", "fromExpression": "a"}]}
    with pytest.raises(StepErrored, match=says):
        await run_step("toml-parse", config, step_context(tmp_path))
