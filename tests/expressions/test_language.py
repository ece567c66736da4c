"""The language: literals, operators and their precedence, access, variables, predicates (expr-lang)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from expressions.errors import ExpressionError
from expressions.evaluator import compile_expression, evaluate
from expressions.values import Function, Record, StringMap

ENVIRONMENT: dict[str, Any] = {
    "stage": "dev",
    "count": 3,
    "ratio": 0.5,
    "on": True,
    "nothing": None,
    "list": [1, 2, 3, 4],
    "user": {"name": "Ann", "tags": ["a", "b"], "address": {"city": "Ulm"}, "odd key": 1},
    "rows": [{"id": 2, "size": 5}, {"id": 1, "size": 7}, {"id": 3, "size": 5}],
    "texts": StringMap(key="value"),
    "commit": Record("GitCommit", {"ID": "abc", "Tag": ""}, {"id": "abc"}),
    "double": Function("double", lambda value: value * 2, 1, 1),
}


def run(source: str) -> Any:
    return evaluate(source, ENVIRONMENT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("42", 42),
        ("1_000", 1000),
        ("0x2A", 42),
        ("0X_ff", 255),
        ("0o52", 42),
        ("0b101010", 42),
        ("007", 7),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("2.5E-1", 0.25),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("false", False),
        ("nil", None),
        ('"a\\tb\\u00e9\\x41\\101\\u{1F600}"', "a\tbéAA😀"),
        ("'it\\'s'", "it's"),
        ("`raw \\n ``tick`` `", "raw \\n `tick` "),
        ("`two\nlines`", "two\nlines"),
        (r'b"\xff\x00a\101"', b"\xff\x00aA"),
        ('b"ÿ"', b"\xc3\xbf"),
        ("[1, 'a', nil,]", [1, "a", None]),
        ("{a: 1, 'b c': 2, 3: 4, ('d' + 'e'): 5,}", {"a": 1, "b c": 2, "3": 4, "de": 5}),
        ("{a: 1, a: 2}", {"a": 1}),
        ("{}", {}),
        ("1 // one\n + /* two */ 2", 3),
    ],
)
def test_literals(source: str, expected: object) -> None:
    value = run(source)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 2 - 3", 5),
        ("7 / 2", 3.5),
        ("6 / 2", 3.0),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("2 ** 3", 8.0),
        ("2 ^ 3 ** 2", 512.0),
        ("-2 ** 2", -4.0),
        ("1 + 1.5", 2.5),
        ("9223372036854775807 + 1", -(2**63)),
        ("-9223372036854775807 - 2", 2**63 - 1),
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("'a' + 'b'", "ab"),
        ("+count", 3),
        ("-ratio", -0.5),
        ("not true or true", True),
        ("!false && !false", True),
        ("not (1 == 2)", True),
        ("!true == false", True),
        ("true || false && false", True),
        ("1 < 2 < 3", True),
        ("3 > 2 > 2", False),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("[1, [2]] == [1.0, [2]]", True),
        ("{a: [1]} == {a: [1.0]}", True),
        ("nil == nothing", True),
        ("true == 1", False),
        ("'a' < 'b'", True),
        ("'a' in ['a']", True),
        ("1 in [1.0]", True),
        ("'name' in user", True),
        ("'x' not in user", True),
        ("'ID' in commit", True),
        ("1 in nil", False),
        ("'abc' contains 'b'", True),
        ("'abc' not contains 'x'", True),
        ("'abc' startsWith 'ab' and 'abc' endsWith 'bc'", True),
        ("nothing contains 'a'", False),
        ("'v1.2' matches '^v[0-9.]+$'", True),
        ("'v1.2' not matches '^x'", True),
        ("1..3", [1, 2, 3]),
        ("3..1", []),
        ("1 in 1..2 + 1", True),
        ("true ? 1 : 2", 1),
        ("false ? 1 : true ? 2 : 3", 2),
        ("stage ?? 'x'", "dev"),
        ("nothing ?? 'x'", "x"),
        ("missing?.deep ?? nothing ?? 'y'", "y"),
        ("(nothing ?? 1) + 2", 3),
        ("if count > 2 { 'many' } else { 'few' }", "many"),
        ("if false { 1 } else if on { 2 } else { 3 }", 2),
        ("on ?: false", True),
    ],
)
def test_operators(source: str, expected: object) -> None:
    value = run(source)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("user.name", "Ann"),
        ("user['name']", "Ann"),
        ("user['odd key']", 1),
        ("user.address.city", "Ulm"),
        ("user.missing", None),
        ("texts.missing", ""),
        ("user.tags[-1]", "b"),
        ("list[1:3]", [2, 3]),
        ("list[:2]", [1, 2]),
        ("list[-2:]", [3, 4]),
        ("list[1:-1]", [2, 3]),
        ("list[5:]", []),
        ("list[:]", [1, 2, 3, 4]),
        ("'hello'[1:3]", "el"),
        ("missing?.a.b.c", None),
        ("missing?.[0]", None),
        ("user?.address?.city", "Ulm"),
        ("user.nope?.a().b", None),
        ("undefined", None),
        ("$env.stage", "dev"),
        ("$env['user'].name", "Ann"),
        ("'stage' in $env", True),
        ("commit.ID", "abc"),
        ("double(4)", 8),
        ("4 | double()", 8),
        ("user.name | lower() | split('n')", ["a", "", ""]),
        ("::len(list)", 4),
        ("user.not", None),
    ],
)
def test_access(source: str, expected: object) -> None:
    assert run(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("let x = 42; x * 2", 84),
        ("let x = 1; let y = x + 1; [x, y]", [1, 2]),
        ("let stage = 1; stage", 1),
        ("(let x = 1; x) + (let x = 2; x)", 3),
        ("1; 2; 3", 3),
        ("1; 2;", 2),
        ("map(rows, .size)", [5, 7, 5]),
        ("filter(1..9, {# % 2 == 0})", [2, 4, 6, 8]),
        ("filter(rows, .size == 5) | map(.id)", [2, 3]),
        ("map(list, #index * #)", [0, 2, 6, 12]),
        ("map([[1, 2], [3]], {let outer = #; map(outer, # + len(outer))})", [[3, 4], [4]]),
        ("map([[1, 2], [3]], sum(#, # * 2))", [6, 6]),
        ("all(list, # > 0)", True),
        ("all([], false)", True),
        ("any(list, # > 3)", True),
        ("none(list, # > 4)", True),
        ("one(list, # > 3)", True),
        ("count(list, # > 2)", 2),
        ("count([true, false, true])", 2),
        ("find(list, # > 2)", 3),
        ("find(list, # > 9)", None),
        ("findIndex(list, # > 2)", 2),
        ("findLast(list, # < 3)", 2),
        ("findLastIndex(list, # < 3)", 1),
        ("findIndex(list, # > 9)", None),
        ("groupBy(rows, .size)", {5: [{"id": 2, "size": 5}, {"id": 3, "size": 5}], 7: [{"id": 1, "size": 7}]}),
        ("sortBy(rows, .id) | map(.id)", [1, 2, 3]),
        ("sortBy(rows, -.size, 'desc') | map(.id)", [2, 3, 1]),
        ("sum(rows, .size)", 17),
        ("reduce(list, #acc + #)", 10),
        ("reduce(list, #acc + #, 100)", 110),
        ("reduce(list, #acc + #index, 0)", 6),
        ("map(list, # > 2 and # < 4)", [False, False, True, False]),
    ],
)
def test_variables_and_predicates(source: str, expected: object) -> None:
    assert run(source) == expected


@pytest.mark.parametrize(
    ("source", "message", "column"),
    [
        ("1 +", "unexpected token EOF", 3),
        ("1 2", 'unexpected token Number("2")', 3),
        ("foo(", "unexpected token EOF", 4),
        ("'abc", "literal not terminated", 5),
        ('"\\q"', "invalid char escape", 3),
        ("@", "unrecognized character: U+0040 '@'", 1),
        ("0b12", 'bad number syntax: "0b12"', 4),
        ("9223372036854775808", "invalid integer literal", 1),
        ("1e999", "invalid float literal", 1),
        ("1 ?? 2 + 3", "cannot be mixed", 8),
        ("let x = 1; let x = 2; x", "cannot redeclare variable x", 16),
        ("let len = 1; len", "cannot redeclare builtin len", 5),
        ("#", 'unexpected token Operator("#")', 1),
        ("map(list, #acc)", "unknown pointer #acc", 11),
        ("map(list)", "expected at least 2 arguments", 9),
        ("/* open", "unclosed comment", 8),
        ("upper()", "not enough arguments to call upper", 1),
        ("upper('a', 'b')", "too many arguments to call upper", 1),
        ("'a' matches '('", "error parsing regexp", 5),
    ],
)
def test_what_cannot_be_compiled_is_shown_with_its_place(source: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    ("source", "message", "column"),
    [
        ("missing.x", "cannot fetch x from nil", 9),
        ("stage.x", "cannot fetch x from string", 7),
        ("commit.Nope", "cannot fetch Nope from GitCommit: it has ID, Tag", 8),
        ("list[9]", "index out of range: 9 (array length is 4)", 5),
        ("'a' + 1", "invalid operation: string + int", 5),
        ("1 < 'a'", "invalid operation: int < string", 3),
        ("stage && true", "&& needs bools (got string)", 7),
        ("true && stage", "&& needs bools (got string)", 6),
        ("not stage", "invalid operation: not string", 1),
        ("-stage", "invalid operation: - string", 1),
        ("count ? 1 : 2", "non-bool expression used as condition (got int)", 1),
        ("5 % 0", "integer divide by zero", 3),
        ("all(list, # + 1)", "predicate should return boolean (got int)", 1),
        ("nope(1)", "unknown function nope()", 1),
        ("count(1)", "expected an array", 1),
        ("double()", "not enough arguments to call double", 1),
        ("let f = 1; f(2)", "int is not callable", 12),
        ("'a' in 'abc'", 'operator "in" not defined on string', 5),
        ("reduce([], #acc)", "reduce of empty array with no initial value", 1),
        ("{(1): 2}", "a key of a map must be a string", 1),
    ],
)
def test_what_goes_wrong_is_shown_with_its_place(source: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(source)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)


def test_an_error_shows_line_column_and_a_caret() -> None:
    with pytest.raises(ExpressionError) as caught:
        run("let a = 1;\n\ta + user.name.first")
    assert str(caught.value) == ("cannot fetch first from string (2:16)\n |  a + user.name.first\n | ...............^")


def test_only_the_branch_that_is_chosen_is_evaluated() -> None:
    called: list[str] = []

    def note(name: str) -> bool:
        called.append(name)
        return True

    environment = {"note": Function("note", note, 1, 1)}
    evaluate("note('a') || note('b')", environment)
    evaluate("false && note('c')", environment)
    evaluate("true ? note('d') : note('e')", environment)
    evaluate("1 ?? note('f')", environment)
    assert called == ["a", "d"]


@pytest.mark.parametrize("name", ["__class__", "__dict__", "real", "append", "format", "_request", "call", "fields"])
@pytest.mark.parametrize("holder", ["stage", "count", "list", "commit", "double", "now()", "duration('1s')", "1.5"])
def test_no_attribute_of_a_python_object_can_be_reached(holder: str, name: str) -> None:
    from datetime import UTC, datetime

    with pytest.raises(ExpressionError):
        evaluate(f"{holder}.{name}", ENVIRONMENT, now=datetime(2024, 1, 1, tzinfo=UTC))


def test_an_environment_need_not_be_a_map() -> None:
    assert evaluate("$env[1]", [1, 2]) == 2
    assert evaluate("len($env)", "abc") == 3


def test_a_program_is_compiled_once() -> None:
    assert compile_expression("1 + 41") is compile_expression("1 + 41")
