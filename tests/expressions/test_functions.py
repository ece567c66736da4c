"""The functions of the language (expr-lang: docs/language-definition.md)."""

from __future__ import annotations

from typing import Any

import pytest

from expressions.errors import ExpressionError
from expressions.evaluator import evaluate
from expressions.functions import BUILTINS
from expressions.predicates import LOOPS
from expressions.values import Record, StringMap

ENVIRONMENT: dict[str, Any] = {
    "map": {"b": 2, "a": [1]},
    "texts": StringMap(a="b"),
    "commit": Record("GitCommit", {"ID": "abc"}, {"id": "abc"}),
    "nested": [1, [2, [3, [4]]]],
}

CASES = [
    ("trim('  a b ')", "a b"),
    ("trim('__a__', '_')", "a"),
    ("trimPrefix('HelloWorld', 'Hello')", "World"),
    ("trimPrefix(' a')", "a"),
    ("trimSuffix('HelloWorld', 'World')", "Hello"),
    ("upper('aß')", "Aß"),
    ("lower('ÀB')", "àb"),
    ("split('a,b,c', ',')", ["a", "b", "c"]),
    ("split('a,b,c', ',', 2)", ["a", "b,c"]),
    ("split('a,b', ',', 0)", []),
    ("split('abc', '')", ["a", "b", "c"]),
    ("splitAfter('a,b,c', ',')", ["a,", "b,", "c"]),
    ("splitAfter('a,b,c', ',', 2)", ["a,", "b,c"]),
    ("replace('aaa', 'a', 'b')", "bbb"),
    ("replace('aaa', 'a', 'b', 2)", "bba"),
    ("repeat('Hi', 3)", "HiHiHi"),
    ("join(['a', 'b'], '-')", "a-b"),
    ("join(['a', 'b'])", "ab"),
    ("indexOf('apple pie', 'pie')", 6),
    ("indexOf('héllo', 'l')", 3),
    ("indexOf('a', 'x')", -1),
    ("lastIndexOf('apple pie apple', 'apple')", 10),
    ("hasPrefix('HelloWorld', 'Hello')", True),
    ("hasSuffix('HelloWorld', 'World')", True),
    ("max(5, 7.5, [9, [3]])", 9),
    ("max([])", None),
    ("min(5, 7)", 5),
    ("abs(-5)", 5),
    ("abs(-1.5)", 1.5),
    ("ceil(1.2)", 2.0),
    ("floor(-1.2)", -2.0),
    ("round(1.5)", 2.0),
    ("round(-0.5)", -1.0),
    ("mean([1, 2, 3])", 2.0),
    ("mean([])", 0.0),
    ("median([1, 3, 2, 4])", 2.5),
    ("sum([1, 2.5])", 3.5),
    ("sum([])", 0),
    ("bitand(0b1010, 0b1100)", 0b1000),
    ("bitor(0b1010, 0b1100)", 0b1110),
    ("bitxor(0b1010, 0b1100)", 0b110),
    ("bitnand(0b1010, 0b1100)", 0b10),
    ("bitnot(0b1010)", -0b1011),
    ("bitshl(0b101101, 2)", 0b10110100),
    ("bitshl(1, 63)", -(2**63)),
    ("bitshl(1, 70)", 0),
    ("bitshr(0b101101, 2)", 0b1011),
    ("bitushr(-0b101, 2)", 4611686018427387902),
    ("len('héllo')", 5),
    ("len([1, 2])", 2),
    ("len(map)", 2),
    ("get([1, 2], 1)", 2),
    ("get([1, 2], 9)", None),
    ("get(map, 'b')", 2),
    ("get(map, 'x')", None),
    ("get(nil, 'x')", None),
    ("first([1, 2])", 1),
    ("first([])", None),
    ("first(nil)", None),
    ("last(nil)", None),
    ("last([1, 2])", 2),
    ("take([1, 2, 3], 2)", [1, 2]),
    ("take([1], 5)", [1]),
    ("reverse([3, 1, 4])", [4, 1, 3]),
    ("concat([1], [2], [])", [1, 2]),
    ("flatten(nested)", [1, 2, 3, 4]),
    ("uniq([1, 2, 1.0, '1', [1], [1]])", [1, 2, "1", [1]]),
    ("sort([3, 1, 2.5])", [1, 2.5, 3]),
    ("sort(['b', 'a'], 'desc')", ["b", "a"]),
    ("keys({a: 1, b: 2})", ["a", "b"]),
    ("values({a: 1, b: 2})", [1, 2]),
    ("toPairs({a: 1})", [["a", 1]]),
    ("fromPairs([['a', 1], ['b', [2]]])", {"a": 1, "b": [2]}),
    ("type(42)", "int"),
    ("type(4.2)", "float"),
    ("type('a')", "string"),
    ("type([])", "array"),
    ("type(texts)", "map"),
    ("type(nil)", "nil"),
    ("type(true)", "bool"),
    ("type(commit)", "GitCommit"),
    ("int('-123')", -123),
    ("int(3.9)", 3),
    ("float('123.45')", 123.45),
    ("float('0x1p4')", 16.0),
    ("float(2)", 2.0),
    ("string(123)", "123"),
    ("string(1.5)", "1.5"),
    ("string(1e6)", "1e+06"),
    ("string([1, 'a', nil, true])", "[1 a <nil> true]"),
    ("string({b: 1, a: [1]})", "map[a:[1] b:1]"),
    ("toJSON({b: [1, '<'], a: nil})", '{\n  "a": null,\n  "b": [\n    1,\n    "\\u003c"\n  ]\n}'),
    ("toJSON([])", "[]"),
    ("toJSON(commit)", '{\n  "id": "abc"\n}'),
    ('fromJSON(\'{"a": [1, 2.5, 3.0, "x"]}\')', {"a": [1, 2.5, 3, "x"]}),
    ("toBase64('Hello World')", "SGVsbG8gV29ybGQ="),
    ("fromBase64('SGVsbG8gV29ybGQ=')", "Hello World"),
    ("duration('90m').Hours()", 1.5),
    ("date('2023-08-14').Year()", 2023),
    ("string(timezone('UTC'))", "UTC"),
]


@pytest.mark.parametrize(("source", "expected"), CASES)
def test_functions(source: str, expected: object) -> None:
    value = evaluate(source, ENVIRONMENT)
    assert value == expected
    assert type(value) is type(expected)


DOCUMENTED = """
trim trimPrefix trimSuffix upper lower split splitAfter replace repeat indexOf lastIndexOf hasPrefix hasSuffix
now duration date timezone
max min abs ceil floor round
all any one none map filter find findIndex findLast findLastIndex groupBy count concat flatten uniq join reduce sum
mean median first last take reverse sort sortBy
keys values type int float string toJSON fromJSON toBase64 fromBase64 toPairs fromPairs len get
bitand bitor bitxor bitnand bitnot bitshl bitshr bitushr
"""


def test_every_function_of_the_language_definition_is_there() -> None:
    assert set(DOCUMENTED.split()) == {*BUILTINS, *LOOPS, "reduce", "sortBy"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("upper(1)", "cannot use int as argument (type string) to call upper"),
        ("join(['a', 1])", "join needs an array of strings, got one with int"),
        ("repeat('a', -1)", "expected positive integer"),
        ("max('a')", "invalid argument for max (type string)"),
        ("sort([1, 'a'])", "invalid operation: int < string"),
        ("sort([1], 'up')", "expected asc or desc"),
        ("sortBy([{}], .a, 'x')", "expected asc or desc"),
        ("take([1], -1)", "out of bounds"),
        ("first(1)", "expected an array"),
        ("keys([1])", "expected a map"),
        ("fromPairs([[1]])", "array of pairs"),
        ("int('12x')", "not a whole number"),
        ("int('9223372036854775808')", "not a whole number"),
        ("int(1e30)", "out of the range of int"),
        ("int(true)", "int(bool)"),
        ("float('a')", "not a number"),
        ("fromJSON('{')", "not JSON (at character"),
        ("fromJSON('NaN')", "not JSON"),
        ("fromJSON('1 2')", "not JSON"),
        ("fromBase64('?')", "not base64"),
        ("toJSON(1 / 0)", "can't be written as JSON"),
        ("bitshl(1, -1)", "negative shift count"),
        ("bitand(1.5, 1)", "cannot use float as argument (type int)"),
        ("len(1)", "invalid argument for len (type int)"),
        ("now()", "now() is not available here"),
        ("date('nope')", "invalid date"),
        ("duration('1d')", "not a duration"),
        ("timezone('../../etc/passwd')", "unknown time zone"),
        ("timezone('Nowhere/Atall')", "unknown time zone"),
        ("sum(['a'])", "invalid operation: int + string"),
    ],
)
def test_arguments_that_do_not_fit_are_told(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, ENVIRONMENT)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "int(hidden)",
        "float(hidden)",
        "date(hidden)",
        "duration(hidden)",
        "timezone(hidden)",
        "fromJSON(hidden)",
        "fromBase64(hidden)",
        "hidden.x",
        "{a: 1}[[hidden]]",
        "[1][hidden]",
        "hidden + 1",
        "hidden matches '('",
        "'a' matches ('(' + hidden)",
        "sort([1], hidden)",
    ],
)
def test_error_texts_do_not_show_values_which_may_be_secrets(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, {"hidden": "do-not-show-me"})
    assert "do-not-show-me" not in str(caught.value)
