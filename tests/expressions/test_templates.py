"""Templates: from a text with expressions to a value, exactly as Kargo coerces it, with a warning where that hurts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from expressions.errors import ExpressionError
from expressions.templates import Environment, evaluate_template, evaluate_value
from expressions.values import Reference, StringMap

VARIABLES: dict[str, Any] = {
    "tag": Reference("1.10", "image tag"),
    "version": Reference("1.2.3", "chart version"),
    "build": Reference("42", "image tag"),
    "commit": Reference("0123456", "commit id"),
    "text": "hello",
    "number": "007",
    "ports": [80, 443],
    "config": {"b": {"c": [1, {"d": "yes", "e": None}]}, "a": "x: y"},
    "texts": StringMap(key="value"),
}


def run(template: str) -> Any:
    return evaluate_template(template, Environment(dict(VARIABLES)))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # Without an expression nothing is touched.
        ("42", "42"),
        ("true", "true"),
        ("", ""),
        ('"x"', '"x"'),
        ("$ { { 1 } }", "$ { { 1 } }"),
        # Texts stay, other results become JSON, and the whole is read again.
        ("${{ text }}", "hello"),
        ("${{ 40 + 2 }}", 42),
        ("${{ 1 / 4 }}", 0.25),
        ("${{ 2 ** 3 }}", 8),
        ("${{ true }}", True),
        ("${{ nil }}", None),
        ("${{ undefined }}", None),
        ("${{ ports }}", [80, 443]),
        ("${{ config.b }}", {"c": [1, {"d": "yes", "e": None}]}),
        ("${% {a: {b: 1}} %}", {"a": {"b": 1}}),
        ("${{ {a: {b: 1} } }}", {"a": {"b": 1}}),
        ("${{ '' }}", ""),
        ("${{ ' ' }}", " "),
        ("a ${{ 1 }} b ${% 2 %} c", "a 1 b 2 c"),
        ("${{ 1 }}${{ 2 }}", 12),
        ("${{ 1 }}.${{ 10 }}", 1.1),
        ("[${{ 1 }}, 2]", [1, 2]),
        ("x${{ ports }}", "x[80,443]"),
        ("x${{ ['<&>'] }}", 'x["\\u003c\\u0026\\u003e"]'),
        ("${{ ['<&>'] }}", ["<&>"]),
        # Numbers as ParseFloat reads them.
        ("${{ '1.10' }}", 1.1),
        ("${{ '0123' }}", 123),
        ("${{ '1e3' }}", 1000),
        ("${{ '0x1p-2' }}", 0.25),
        ("${{ '1_000' }}", 1000),
        ("${{ '+5' }}", 5),
        ("${{ '.5' }}", 0.5),
        ("${{ '123e456' }}", "123e456"),
        ("${{ '1__0' }}", "1__0"),
        ("${{ '0x1f' }}", "0x1f"),
        ("${{ '9007199254740993' }}", 9007199254740992),
        ("${{ '1.2.3' }}", "1.2.3"),
        ("${{ '1 ' }}", 1),
        # Bools as ParseBool reads them.
        ("${{ 'T' }}", True),
        ("${{ 'FALSE' }}", False),
        ("${{ 'f' }}", False),
        ("${{ 'tRUE' }}", "tRUE"),
        ("${{ 'yes' }}", "yes"),
        ("${{ '1' }}", 1),
        # JSON.
        ("${{ 'null' }}", None),
        ("${{ '[1, \"a\"]' }}", [1, "a"]),
        ("${{ '[1' }}", "[1"),
        ("${{ '[NaN]' }}", "[NaN]"),
        ("${{ '{\"a\": 1.0}' }}", {"a": 1}),
        # Quotes are stripped, and keep a text a text.
        ("${{ quote(42) }}", "42"),
        ("${{ quote('42') }}", "42"),
        ("${{ quote(true) }}", "true"),
        ("${{ quote('') }}", ""),
        ("${{ quote('a\"b') }}", 'a\\"b'),
        ("${{ quote([1]) }}", "[1]"),
        ("${{ unsafeQuote('s') }}", '"s"'),
        ("${{ unsafeQuote(42) }}", "42"),
        ('"${{ 1 }}"', "1"),
        ("${{ '\"' }}", '"'),
        ("${{ '\"\"' }}", ""),
        # One newline at the end, as a YAML block leaves it.
        ("${{ 1 }}\n", 1),
        ("${{ true }}\n", True),
        ("${{ text }}\n", "hello\n"),
        ("${{ quote('x') }}\n", "x\n"),
        ("${{ text }}\n\n", "hello\n\n"),
        # YAML and JSON as texts.
        ("${{ asYAML(config) }}", "a: 'x: y'\nb:\n    c:\n        - 1\n        - d: \"yes\"\n          e: null\n"),
        ("${{ asJSON({a: [1]}) }}", '{\n  "a": [\n    1\n  ]\n}\n'),
        ("${{ asYAML('a\\nb') }}", "|-\n    a\n    b\n"),
        ("${{ text | quote() }}", "hello"),
        ("${{ texts.missing }}", ""),
        ("${{ date('2024-01-05') }}", "2024-01-05T00:00:00Z"),
        ("${{ duration('1s') }}", 1_000_000_000),
    ],
)
def test_coercion(template: str, expected: object) -> None:
    value = run(template)
    assert value == expected
    assert type(value) is type(expected)


def test_inf_and_nan_are_numbers_that_no_config_can_hold() -> None:
    assert run("${{ 'inf' }}") == math.inf
    assert run("${{ '-Infinity' }}") == -math.inf
    assert math.isnan(run("${{ 'NaN' }}"))
    with pytest.raises(ExpressionError, match=r"config\.tag: .*quote"):
        evaluate_value({"tag": "${{ 'inf' }}"}, Environment(), "config")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${{ 1", 'unclosed expression: expected "}}"'),
        ("${% 1 }}", 'unclosed expression: expected "%}"'),
        ("${{ {a: {b: 1}} }}", "unexpected token EOF"),
        ("${{ '}}' }}", "literal not terminated"),
        ("${{ }}", "unexpected token EOF"),
        ("${{ 1 / 0 }}", "can't be written as JSON"),
        ("${{ quote }}", "can't be written as JSON"),
        ("${{ quote() }}", "not enough arguments to call quote"),
        ("${{ text.x }}", "cannot fetch x from string"),
    ],
)
def test_templates_that_cannot_be_evaluated(template: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(template)
    assert message in str(caught.value)


def test_an_empty_expression_ends_the_template_and_leaves_a_warning() -> None:
    environment = Environment()
    assert evaluate_template("a${{}}b ${{ 1 }}", environment) == "ab ${{ 1 }}"
    assert len(environment.warnings) == 1


@pytest.mark.parametrize("name", ["quote", "asYAML", "asJSON", "unsafeQuote"])
def test_the_names_of_template_functions_are_reserved(name: str) -> None:
    with pytest.raises(ExpressionError, match="reserved"):
        evaluate_template("${{ 1 }}", Environment({name: 1}))


@pytest.mark.parametrize(
    ("template", "warning"),
    [
        ("${{ tag }}", "image tag 1.10 became the number 1.1: write ${{ quote(tag) }} where the text is meant"),
        ("${{ build }}", "image tag 42 became the number 42"),
        ("${{ commit }}\n", "commit id 0123456 became the number 123456"),
        ("${{ missing ?? tag }}", "image tag 1.10 became the number 1.1"),
        ("${{ number }}", "the text of ${{ number }} became a number and lost its spelling"),
        ("${{ trim(tag) }}", "the text of ${{ trim(tag) }} became a number and lost its spelling"),
        ("${{ 'T' }}", "became a bool and lost its spelling"),
    ],
)
def test_a_text_that_becomes_something_else_leaves_a_warning(template: str, warning: str) -> None:
    environment = Environment(dict(VARIABLES))
    evaluate_template(template, environment)
    assert len(environment.warnings) == 1
    assert warning in environment.warnings[0]


@pytest.mark.parametrize(
    "template",
    [
        "${{ version }}",
        "${{ quote(tag) }}",
        "v${{ tag }}",
        "${{ 1.10 }}",
        "${{ '42' }}",
        "${{ true }}",
        "1.10",
        "${{ nil }}",
    ],
)
def test_what_keeps_its_meaning_leaves_none(template: str) -> None:
    environment = Environment(dict(VARIABLES))
    evaluate_template(template, environment)
    assert environment.warnings == []


def test_a_warning_does_not_show_texts_of_unknown_origin() -> None:
    environment = Environment({"password": "00123"})
    evaluate_template("${{ password }}", environment)
    assert environment.warnings
    assert "00123" not in environment.warnings[0]


def test_values_at_any_depth_are_evaluated_and_keys_never() -> None:
    environment = Environment(dict(VARIABLES))
    config = {
        "${{ text }}": "${{ text }}",
        "list": ["${{ 1 }}", {"deep": ["x-${{ 2 }}", 3, None, True, 1.5]}],
    }
    assert evaluate_value(config, environment) == {
        "${{ text }}": "hello",
        "list": [1, {"deep": ["x-2", 3, None, True, 1.5]}],
    }


def test_errors_and_warnings_name_the_place_in_the_config() -> None:
    environment = Environment(dict(VARIABLES))
    assert evaluate_value({"images": [{"tag": "${{ tag }}"}]}, environment) == {"images": [{"tag": 1.1}]}
    assert environment.warnings[0].startswith("images[0].tag: image tag 1.10 became the number 1.1")
    with pytest.raises(ExpressionError) as caught:
        evaluate_value({"images": [{"tag": "${{ 1 + }}"}]}, environment)
    assert str(caught.value).startswith("images[0].tag: unexpected token EOF (1:5)\n |  1 + \n | ....^")


def test_results_are_plain_texts() -> None:
    assert type(run("${{ version }}")) is str


@pytest.mark.parametrize(
    ("expression", "yaml"),
    [
        ("'yes'", '"yes"\n'),
        ("'1.10'", '"1.10"\n'),
        ("'a b'", "a b\n"),
        ("''", '""\n'),
        ("'- a'", "'- a'\n"),
        ("'a: b'", "'a: b'\n"),
        ("'it is #1'", "'it is #1'\n"),
        ("'2024-01-01'", '"2024-01-01"\n'),
        ("'a\\tb'", '"a\\tb"\n'),
        ("'é'", "é\n"),
        ("[]", "[]\n"),
        ("{}", "{}\n"),
        ("nil", "null\n"),
        ("1e21", "1e+21\n"),
        ("[[1, 2], {a: []}]", "- - 1\n  - 2\n- a: []\n"),
        ("{k10: 1, k9: 2}", "k9: 2\nk10: 1\n"),
        ("{a: 'x\\ny\\n'}", "a: |\n    x\n    y\n"),
        ("[{a: {b: 1} }]", "- a:\n    b: 1\n"),
        ("{'x\\ny': 1}", "? |-\n    x\n    y\n: 1\n"),
    ],
)
def test_yaml_is_written_as_go_writes_it(expression: str, yaml: str) -> None:
    assert run("${% asYAML(" + expression + ") %}") == yaml
