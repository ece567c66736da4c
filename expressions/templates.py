"""`${{ }}` and `${% %}` in texts: from a template to a value (Kargo: pkg/expressions/json_templates.go).

All expressions of a text are replaced by texts, and the whole result is then read as a number, a bool, JSON or a
string, in this order. Kargo does so silently; here an artifact's tag, digest or id that becomes something else leaves a
warning, and so does any text that would not come back the same: `1.10`, `0123`, `1e3`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from expressions.errors import ExpressionError, Fault
from expressions.evaluator import compile_expression
from expressions.json_text import from_json, number_text, to_json, whole
from expressions.limits import MAX_TEXT, MAX_VALUE_DEPTH, Budget
from expressions.numerals import parse_bool, parse_float
from expressions.quoting import go_quote
from expressions.values import Function, Reference, Value
from expressions.yaml_text import to_yaml
from model.base import Json

#: Start and end of an expression. The end is the first that is found: literals are not looked at.
_DELIMITERS: Final = (("${{", "}}"), ("${%", "%}"))


@dataclass
class Environment:
    """What the expressions of templates may see, and what was noticed while they were evaluated."""

    variables: dict[str, Value] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    #: What `now()` gives; None: the function is an error.
    now: datetime | None = None
    #: Sentences for the user, in the order in which they were noticed.
    warnings: list[str] = field(default_factory=list)

    def define(self, name: str, value: Value) -> None:
        """Set a variable, which expressions see as `vars.name`."""
        self.variables["vars"] = {**self.variables.get("vars", {}), name: value}

    def prepare(self) -> None:
        """Evaluate what the environment itself needs, before anything is evaluated in it. Raises ExpressionError."""


def has_template(text: str) -> bool:
    """Whether the text holds the start of an expression."""
    return any(start in text for start, _ in _DELIMITERS)


def _quoted(value: Value) -> str:
    return go_quote(str(value)) if isinstance(value, str) else _unsafely_quoted(value)


def _unsafely_quoted(value: Value) -> str:
    return f'"{to_json(value, Budget())}"'


def _as_yaml(value: Value) -> str:
    return f'"{to_yaml(value, Budget())}"'


def _as_json(value: Value) -> str:
    return f'"{to_json(value, Budget(), indent=True)}\n"'


#: Functions that every template has. Their names are reserved.
TEMPLATE_FUNCTIONS: Final[Mapping[str, Function]] = {
    "quote": Function("quote", _quoted, 1, 1),
    "unsafeQuote": Function("unsafeQuote", _unsafely_quoted, 1, 1),
    "asYAML": Function("asYAML", _as_yaml, 1, 1),
    "asJSON": Function("asJSON", _as_json, 1, 1),
}


@dataclass
class _Part:
    """One expression's result."""

    source: str
    text: str
    #: What artifact's text it is, such as `image tag`; empty for others.
    kind: str
    is_text: bool


def _next(template: str) -> tuple[str, str, str] | None:
    """Text before the next expression, the expression, and the text after it."""
    found = [(template.find(start), start, end) for start, end in _DELIMITERS if start in template]
    if not found:
        return None
    position, start, end = min(found)
    begin = position + len(start)
    stop = template.find(end, begin)
    if stop < 0:
        raise ExpressionError(f'unclosed expression: expected "{end}" but reached end of template', template, position)
    return template[:position], template[begin:stop], template[stop + len(end) :]


def check_template(text: str) -> None:
    """See to it that the expressions of a text can be read, whatever they come to. Raises ExpressionError."""
    rest = text
    while (found := _next(rest)) is not None:
        _, source, rest = found
        if not source:
            return
        compile_expression(source)


def evaluate_template(text: str, environment: Environment) -> Json:
    """The value of a template; a text without any expression stays what it is, `42` too.

    Coerced as Kargo does (see the module), so the result is any JSON value, or infinite for `inf`.
    Warnings go to the environment. Raises ExpressionError.
    """
    if not has_template(text):
        return text
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"the template is longer than {MAX_TEXT} characters")
    for reserved in TEMPLATE_FUNCTIONS:
        if reserved in environment.variables:
            raise ExpressionError(f"a variable can't be called {reserved}: the name is reserved")
    result, parts = _render(text, environment)
    return _coerce(result, parts, environment)


def _render(template: str, environment: Environment) -> tuple[str, list[_Part]]:
    functions = {**environment.functions, **TEMPLATE_FUNCTIONS}
    budget = Budget()
    out: list[str] = []
    parts: list[_Part] = []
    rest = template
    while (found := _next(rest)) is not None:
        before, source, after = found
        out.append(before)
        rest = after
        if not source:
            # Kargo stops at an empty expression, and what follows stays as it is.
            environment.warnings.append("an empty expression ends a template: what follows it was not evaluated")
            break
        value = compile_expression(source).run(environment.variables, functions, now=environment.now, budget=budget)
        is_text = isinstance(value, str)
        try:
            part = str(value) if is_text else to_json(value, budget)
        except Fault as fault:
            raise ExpressionError(str(fault), source, 0) from None
        parts.append(_Part(source.strip(), part, value.kind if isinstance(value, Reference) else "", is_text))
        out.append(part)
    out.append(rest)
    return "".join(out), parts


def _coerce(result: str, parts: list[_Part], environment: Environment) -> Json:
    newline = "\n" if result.endswith("\n") else ""
    text = result[:-1] if newline else result
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text[1:-1] + newline
    number = parse_float(text)
    if number is not None:
        value = whole(number) if math.isfinite(number) else number
        _warn(text, number_text(number) if math.isfinite(number) else str(number), "number", parts, environment)
        return value
    truth = parse_bool(text)
    if truth is not None:
        _warn(text, "true" if truth else "false", "bool", parts, environment)
        return truth
    try:
        value = from_json(text)
    except (ValueError, RecursionError):
        return text + newline
    if value is None or isinstance(value, int | float | bool):
        _warn(text, "null", "null", parts, environment)
    return value


def _warn(text: str, shown: str, what: str, parts: list[_Part], environment: Environment) -> None:
    """Note that a text has become something else. Texts of unknown origin may be secrets and are not shown."""
    for part in parts:
        if part.kind and part.text.strip() == text.strip():
            environment.warnings.append(
                f"{part.kind} {text} became the {what} {shown}: "
                f"write ${{{{ quote({part.source}) }}}} where the text is meant"
            )
            return
    if text != shown and any(part.is_text for part in parts):
        source = next(part.source for part in parts if part.is_text)
        environment.warnings.append(
            f"the text of ${{{{ {source} }}}} became a {what} and lost its spelling: "
            f"write ${{{{ quote({source}) }}}} where the text is meant"
        )


def evaluate_value(value: Json, environment: Environment, path: str = "") -> Json:
    """The value with all templates in it evaluated, at any depth; keys are left alone.

    `path` names the value in messages, such as `config.images[0].tag`. Raises ExpressionError with the path.
    """
    return _walk(value, environment, path, 0)


def _walk(value: Json, environment: Environment, path: str, depth: int) -> Json:
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError(f"{path}: nested deeper than {MAX_VALUE_DEPTH} levels")
    if isinstance(value, str):
        noticed = len(environment.warnings)
        try:
            result = evaluate_template(value, environment)
            if isinstance(result, float) and not math.isfinite(result):
                raise ExpressionError("the text stands for an infinite number or NaN, which JSON has not: use quote()")
        except ExpressionError as error:
            raise error.within(path) if path else error from None
        if path:
            environment.warnings[noticed:] = [f"{path}: {warning}" for warning in environment.warnings[noticed:]]
        return result
    if isinstance(value, dict):
        return {
            key: _walk(item, environment, f"{path}.{key}" if path else str(key), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_walk(item, environment, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return value
