"""No expression can take the worker's time or memory: each ends soon with a value or an ExpressionError."""

from __future__ import annotations

import pytest

from expressions.errors import ExpressionError
from expressions.evaluator import compile_expression, evaluate
from expressions.templates import Environment, evaluate_template, evaluate_value

DOUBLING = "".join(f"let x{n} = [x{n - 1}, x{n - 1}]; " for n in range(1, 40))


@pytest.mark.parametrize(
    "source",
    [
        "1..2000000",
        "repeat('ab', 2000000)",
        "repeat(repeat('a', 100000), 100000)",
        "reduce(1..100, #acc + #acc, 'aaaaaaaa')",
        "map(1..100000, repeat('a', 1000))",
        "map(1..10000, map(1..10000, #))",
        "all(1..1000, all(1..1000, all(1..1000, true)))",
        "reduce(1..100000, [#acc])",
        "toJSON(reduce(1..100000, [#acc]))",
        "flatten(reduce(1..100000, [#acc, #acc]))",
        "string(reduce(1..100000, [#acc]))",
        "reduce(1..100000, {a: #acc}) == reduce(1..100000, {a: #acc})",
        f"let x0 = [1]; {DOUBLING} x39",
        f"let x0 = [1]; {DOUBLING} toJSON(x39)",
        f"let x0 = [1]; {DOUBLING} flatten(x39)",
        f"let x0 = [1]; {DOUBLING} string(x39)",
        "uniq(1..100000)",
        "replace(repeat('a', 100000), 'a', repeat('b', 100000))",
        "join(map(1..1000, repeat('a', 100000)))",
        "split(repeat('a', 1000000), '') | map(split(repeat('a', 1000000), ''))",
        "sort(1..1000000) | sort() | sort() | sort() | sort() | sort() | sort() | sort()",
        "concat(1..900000, 1..900000)",
        "let s = repeat('a', 1000000); count(1..1000000, s contains 'b')",
        "let s = repeat('a', 1000000); count(1..1000000, s < s)",
    ],
)
def test_what_grows_without_bound_is_stopped(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(source)


def test_a_regular_expression_takes_linear_time() -> None:
    assert evaluate("repeat('a', 5000) matches '^(a+)+$'") is True
    assert evaluate("repeat('a', 5000) + '!' matches '^(a|aa)+$'") is False


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "[" * 5000 + "]" * 5000,
        "-" * 5000 + "1",
        "not " * 5000 + "true",
        "{a: " * 5000 + "1" + "}" * 5000,
        "f(" * 5000 + ")" * 5000,
        "true ? " * 5000 + "1" + " : 2" * 5000,
        "2 ** " * 5000 + "1",
        "let a = 1; " * 5000 + "1",
        "a" + ".b" * 5000,
        "a" + "[0]" * 5000,
        "a" + " | f()" * 5000,
        "if true {" * 5000,
        "map([1], " * 5000,
        "a?.b" * 5000,
    ],
)
def test_deep_nesting_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(source)


def test_a_long_chain_of_operators_is_no_nesting() -> None:
    assert evaluate(" + ".join(["1"] * 2000)) == 2000
    assert evaluate(" and ".join(["true"] * 2000)) is True
    assert evaluate(" ?? ".join(["nil"] * 2000 + ["7"])) == 7


def test_too_many_nodes_or_characters_are_refused() -> None:
    with pytest.raises(ExpressionError, match="maximum allowed nodes"):
        compile_expression(" + ".join(["1"] * 10_000))
    with pytest.raises(ExpressionError, match="longer than"):
        compile_expression("1" + " " * 1_000_000)
    with pytest.raises(ExpressionError, match="longer than"):
        evaluate_template("${{ 1 }}" + " " * 1_000_000, Environment())


def test_all_expressions_of_a_template_share_one_budget() -> None:
    with pytest.raises(ExpressionError, match="budget"):
        evaluate_template("${{ repeat('a', 900000) }}" * 20, Environment())


def test_a_deep_config_is_refused() -> None:
    config: object = "x"
    for _ in range(500):
        config = [config]
    with pytest.raises(ExpressionError, match="nested deeper"):
        evaluate_value(config, Environment())


def test_deep_json_is_refused() -> None:
    with pytest.raises(ExpressionError, match="not JSON"):
        evaluate("fromJSON(repeat('[', 100000) + repeat(']', 100000))")
    # As the text of a template it just stays a text.
    deep = "[" * 1000 + "]" * 1000
    assert evaluate_template("${{ text }}", Environment({"text": deep})) == deep
