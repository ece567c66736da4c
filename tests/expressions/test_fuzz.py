"""Whatever the text, the parser and the evaluator end with a value or an ExpressionError, and mean what they say.

Short by default; `FUZZ_EXAMPLES=100000 pytest tests/expressions/test_fuzz.py` runs for longer.
"""

from __future__ import annotations

import math
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expressions.errors import ExpressionError
from expressions.evaluator import compile_expression, evaluate
from expressions.json_text import from_json, to_json
from expressions.limits import Budget
from expressions.parser import parse
from expressions.templates import Environment, evaluate_template
from expressions.values import type_name, wrap
from expressions.yaml_text import to_yaml

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TEXT = """
( ) [ ] { } , ; : :: . ?. ?? ? .. # #acc #index | || && ! != == = < <= > >= + - * / % ** ^ & not in and or matches
contains startsWith endsWith let if else nil true false x a b f $env .a .b 0 1 2.5 .5 1e3 0x1f 0b1 9223372036854775807
"s" 's' `s` "\\u00e9" b"x" "[" /* */ // _ é
len map filter all any reduce sortBy groupBy sum count join split date duration now toJSON fromJSON string int float
first last get keys fromPairs upper repeat flatten sort uniq concat trim max mean median bitshl timezone
"""
WORDS = TEXT.split()

ENVIRONMENT: dict[str, Any] = {
    "x": 3,
    "a": {"a": [1, 2, {"b": "s"}], "b": None},
    "b": "text",
    "f": 1.5,
}


def ends_well(source: str) -> None:
    """Whatever isn't an ExpressionError fails the test; and what is one shows a place within the text."""
    fault: ExpressionError | None = None
    value = None
    try:
        value = compile_expression.__wrapped__(source).run(ENVIRONMENT)
    except ExpressionError as error:
        fault = error
    if fault is None:
        assert type_name(value)
        return
    lines = source.split("\n")
    assert fault.message
    assert fault.line <= len(lines)
    assert not fault.line or 1 <= fault.column <= len(lines[fault.line - 1]) + 1


@fuzz
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.sampled_from(["", " ", "\n"]))
def test_any_sequence_of_words_ends_well(words: list[str], separator: str) -> None:
    ends_well(separator.join(words))


@fuzz
@given(st.text(max_size=60))
def test_any_text_ends_well(source: str) -> None:
    ends_well(source)


@fuzz
@given(
    st.lists(st.one_of(st.sampled_from(["${{", "}}", "${%", "%}", '"', "\n", " 1 ", "x", "nil"]), st.text(max_size=4)))
)
def test_any_template_ends_well(parts: list[str]) -> None:
    template = "".join(parts)
    try:
        value = evaluate_template(template, Environment(dict(ENVIRONMENT)))
    except ExpressionError:
        return
    if "${{" not in template and "${%" not in template:
        assert value == template


integers = st.integers(0, 2**63 - 1)


def binary(children: st.SearchStrategy[tuple[str, int]]) -> st.SearchStrategy[tuple[str, int]]:
    def combined(left: tuple[str, int], symbol: str, right: tuple[str, int]) -> tuple[str, int]:
        one, other = left[1], right[1]
        value = {"+": one + other, "-": one - other, "*": one * other}[symbol]
        return f"({left[0]} {symbol} {right[0]})", wrap(value)

    return st.builds(combined, children, st.sampled_from("+-*"), children)


#: Random expressions: fully bracketed text, and what it should give.
sums = st.recursive(integers.map(lambda number: (str(number), number)), binary, max_leaves=20)


@fuzz
@given(sums)
def test_integer_arithmetic_wraps_around_at_64_bits(expression: tuple[str, int]) -> None:
    value = evaluate(expression[0])
    assert type(value) is int
    assert value == expression[1]


@fuzz
@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 9)), min_size=1, max_size=12), st.integers(0, 9))
def test_precedence_is_that_of_arithmetic(steps: list[tuple[str, int]], first: int) -> None:
    source = str(first) + "".join(f" {symbol} {number}" for symbol, number in steps)
    assert evaluate(source) == eval(source)  # noqa: S307 - digits and three operators only


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)),
    max_leaves=15,
)


@fuzz
@given(json_values)
def test_json_reads_back(value: Any) -> None:
    for indent in (False, True):
        assert from_json(to_json(value, Budget(), indent=indent)) == value
    assert evaluate("value | toJSON() | fromJSON()", {"value": value}) == value
    assert evaluate("value == other", {"value": value, "other": from_json(to_json(value, Budget()))}) is True


# One line: block literals are in the tables of test_templates; their indentation hints, which are Go's, not all
# readers understand.
line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)
yaml_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), line),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(line, inner, max_size=3)),
    max_leaves=8,
)


@fuzz
@given(yaml_values)
def test_yaml_reads_back(value: Any) -> None:
    import yaml

    text = to_yaml(value, Budget())
    read = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with fewer types
    assert _comparable(read) == _comparable(value), text


def _comparable(value: Any) -> Any:
    """Numbers by value; PyYAML reads 1e+21 as a text, which Go does not."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, float | int) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else value
    return value


def _loader() -> Any:
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        """YAML 1.2's numbers, as Go's yaml.v3 reads them."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
        list("-+.0123456789"),
    )
    return Loader


_Loader = _loader()


@fuzz
@given(st.text())
def test_quoted_text_stays_text(text: str) -> None:
    environment = Environment({"text": text})
    value = evaluate_template("${{ quote(text) }}", environment)
    assert isinstance(value, str)
    if text.isprintable() and not set(text) & set('\\"'):
        assert value == text
    assert environment.warnings == []


@fuzz
@given(st.text())
def test_a_string_literal_stands_for_its_text(text: str) -> None:
    escaped = "".join(f"\\U{ord(character):08x}" for character in text)
    assert evaluate(f'"{escaped}"') == "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
    if "`" not in text:
        assert evaluate(f"`{text}`") == text


@fuzz
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_blanks_and_comments_between_words_change_nothing(words: list[str]) -> None:
    def tree(separator: str) -> object:
        try:
            return _shape(parse(separator.join(words)))
        except ExpressionError:
            return None

    if not set(words) & {"//", "/*", "*/", "#acc", "#index", "#"}:
        assert tree(" ") == tree("\n/* a */ ")


def _shape(node: Any) -> Any:
    """A tree without its offsets."""
    if isinstance(node, tuple):
        return tuple(_shape(part) for part in node if not _is_offset(part, node))
    if hasattr(node, "__dataclass_fields__"):
        names = [name for name in node.__dataclass_fields__ if name != "offset"]
        return (type(node).__name__, *(_shape(getattr(node, name)) for name in names))
    return node


def _is_offset(part: Any, whole: tuple[Any, ...]) -> bool:
    """The links of a comparison begin with an offset."""
    return isinstance(part, int) and len(whole) == 3 and isinstance(whole[1], str) and part is whole[0]
