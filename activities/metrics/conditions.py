"""What a metric's `successCondition` and `failureCondition` say of a result (Argo Rollouts: utils/evaluate)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from activities.metrics.registry import MetricError
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import compile_expression, evaluate
from expressions.values import Function, Value, is_number, type_name
from model.analysis import assess_measurement
from model.base import Json
from model.references import VerificationPhase


def judge(metric: Mapping[str, Json], result: Json) -> VerificationPhase:
    """The phase that the metric's conditions give this result. Raises MetricError where one can't be evaluated."""
    return assess_measurement(_holds(metric, "successCondition", result), _holds(metric, "failureCondition", result))


def check_syntax(field: str, condition: str) -> None:
    """Raises MetricError where a condition can't be read. What it names and compares, only a result can tell."""
    if not condition:
        return
    try:
        compile_expression(condition)
    except ExpressionError as error:
        raise MetricError(f'could not read {field} "{condition}": {error}') from None


def _holds(metric: Mapping[str, Json], field: str, result: Json) -> bool | None:
    condition = metric.get(field)
    if not condition:
        return None
    try:
        value = evaluate(str(condition), _environment(result))
        if not isinstance(value, bool):
            raise Fault(f"expected bool, but got {type_name(value)}")
    except (ExpressionError, Fault) as error:
        reason = str(error)
        if result is None or result == []:
            reason = "metric result is nil or empty: no data returned from the metric provider"
        raise MetricError(f'could not evaluate {field} "{condition}": {reason}') from None
    return value


class _Names(dict[str, Value]):
    """What a condition may name. Anything else is an error, as where Go's expr compiles with an environment."""

    def get(self, key: str, default: Value = None, /) -> Value:
        if key not in self:
            raise Fault(f"unknown name {key}")
        return self[key]


def _environment(result: Json) -> _Names:
    def default(_: Value, otherwise: Value) -> Value:
        return otherwise if result is None else result

    names: dict[str, Value] = {
        "result": result,
        "asInt": Function("asInt", _as_int, 1, 1),
        "asFloat": Function("asFloat", _as_float, 1, 1),
        "isNaN": Function("isNaN", lambda value: math.isnan(_number("isNaN", value)), 1, 1),
        "isInf": Function("isInf", lambda value: math.isinf(_number("isInf", value)), 1, 1),
        "isNil": Function("isNil", lambda _: result is None, 1, 1),
        "default": Function("default", default, 2, 2),
    }
    return _Names(names)


def _number(function: str, value: Value) -> float:
    if not is_number(value):
        raise Fault(f"{function}() needs a number, not {type_name(value)}")
    return float(value)


def _as_int(value: Value) -> int:
    if is_number(value) and math.isfinite(value):
        return int(value)
    # Python reads more than Go's ParseInt: blanks and underscores.
    if isinstance(value, str) and value.lstrip("+-").isdigit() and value.isascii() and len(value) < 40:
        try:
            return int(value)
        except ValueError:
            pass
    raise Fault(f"asInt() can't make an integer of this {type_name(value)}")


def _as_float(value: Value) -> float:
    if is_number(value):
        return float(value)
    if isinstance(value, str) and value == value.strip() and "_" not in value:
        try:
            return float(value)
        except ValueError:
            pass
    raise Fault(f"asFloat() can't make a number of this {type_name(value)}")
