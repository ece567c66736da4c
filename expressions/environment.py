"""What expressions see where they are used: steps, verification arguments, Freight creation, Git filters, HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from expressions.artifacts import FreightLookup, discovered_functions
from expressions.dates import from_datetime
from expressions.errors import ExpressionError, Fault
from expressions.evaluator import compile_expression
from expressions.functions.builtin import text_argument
from expressions.functions.conversions import shown
from expressions.limits import Budget
from expressions.numerals import parse_bool
from expressions.sources import DataSource, StatusSource, data_functions, status_functions
from expressions.templates import Environment, evaluate_template, evaluate_value
from expressions.values import Function, Record, Reference, Value, type_name
from expressions.versions import VERSION_FUNCTIONS
from model.base import Json
from model.references import ExpressionVariable, FreightCollection, RequestedOrigin
from model.resources.warehouse import DiscoveredArtifacts
from model.steps import PromotionContext, StepRequest

__all__ = [
    "DataSource",
    "Environment",
    "StatusSource",
    "StepEnvironment",
    "commit_environment",
    "creation_environment",
    "evaluate_condition",
    "evaluate_config",
    "evaluate_criterion",
    "evaluate_template",
    "evaluate_value",
    "evaluate_variables",
    "response_environment",
    "step_environment",
    "tag_environment",
    "verification_environment",
]

#: Between the alias of a task and that of its step: `task-1::commit`.
_SEPARATOR = "::"


def _namespace(alias: str) -> str:
    """The alias of the task that a step came from; empty for steps of the promotion itself."""
    parts = alias.split(_SEPARATOR)
    return parts[0] if len(parts) == 2 else ""


class StepEnvironment(Environment):
    """What the `if` and the `config` of one step see.

    Variables are evaluated by `prepare()`, not when this is made: they may read Secrets.
    """

    def __init__(
        self, request: StepRequest, functions: Mapping[str, Function], ui_base_url: str, now: datetime | None
    ) -> None:
        alias = request.step.alias
        super().__init__(
            variables={
                "ctx": _promotion_context(request.context, alias, ui_base_url),
                "vars": {},
                "outputs": request.outputs,
                "stepMetas": {
                    name: Record(
                        "StepExecutionMetadata",
                        {"Alias": name, "Status": str(status)},
                        {"alias": name, "status": str(status)},
                    )
                    for name, status in request.statuses.items()
                },
            },
            functions={**functions, **_progress_functions(request)},
            now=now,
        )
        namespace = _namespace(alias)
        if namespace:
            prefix = namespace + _SEPARATOR
            siblings = {
                name.removeprefix(prefix): output
                for name, output in request.outputs.items()
                if _namespace(name) == namespace
            }
            self.variables["task"] = {"outputs": siblings}
        self._request = request
        self._variable_functions = functions
        self._prepared = False

    def prepare(self) -> None:
        """Evaluate the variables, once. Raises ExpressionError that names the variable."""
        if self._prepared:
            return
        request = self._request
        early = Environment({"ctx": self.variables["ctx"], "vars": {}}, self._variable_functions, self.now)
        evaluate_variables(request.context.vars, early)
        late = Environment({**self.variables, "vars": early.variables["vars"]}, self._variable_functions, self.now)
        evaluate_variables(request.step.vars, late)
        self.variables["vars"] = late.variables["vars"]
        self.warnings += early.warnings + late.warnings
        self._prepared = True


def step_environment(
    request: StepRequest,
    data: DataSource,
    ui_base_url: str = "",
    *,
    status: StatusSource | None = None,
    now: datetime | None = None,
) -> StepEnvironment:
    """The environment of one step. Nothing is read or evaluated yet.

    `now()` is the moment at which the step started first, unless another is given: a rebuild makes the same.
    """
    functions = {
        **data_functions(data),
        **status_functions(status),
        **FreightLookup(request.context.collection, request.context.origins).functions(),
        **VERSION_FUNCTIONS,
    }
    return StepEnvironment(request, functions, ui_base_url, now or request.started_at)


def _promotion_context(context: PromotionContext, alias: str, ui_base_url: str) -> dict[str, Value]:
    return {
        "uiBaseUrl": ui_base_url,
        "project": context.project,
        "stage": context.stage,
        "promotion": context.promotion,
        "targetFreight": {
            "name": Reference(context.freight.name, "Freight name"),
            "alias": context.freight_alias,
            "origin": {"name": context.freight.origin.name},
        },
        "meta": {
            "promotion": {"actor": context.actor, "rollback": context.rollback},
            "step": {"alias": alias},
        },
    }


def _progress_functions(request: StepRequest) -> dict[str, Function]:
    """`success()`, `failure()`, `always()`, `status(alias)`, which looks among the step's siblings only; `aborted()`.

    The last is Towpath's own: a step whose `if` asks it is looked at after an abort too.
    """
    namespace = _namespace(request.step.alias)
    prefix = namespace + _SEPARATOR if namespace else ""

    def status(alias: Value) -> str:
        name = text_argument(alias, "status")
        if not name:
            raise Fault("status() needs the alias of a step, got an empty one")
        # A top-level step asking for `task-1::x` would leave its namespace.
        found = request.statuses.get(prefix + name)
        return "" if found is None or _namespace(prefix + name) != namespace else str(found)

    return {
        "success": Function("success", lambda: not request.failed),
        "failure": Function("failure", lambda: request.failed),
        "always": Function("always", lambda: True),
        "aborted": Function("aborted", lambda: request.aborted),
        "status": Function("status", status, 1, 1),
    }


class VerificationContext(Protocol):
    """What verification arguments may see."""

    @property
    def project(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def collection(self) -> FreightCollection: ...
    @property
    def origins(self) -> list[RequestedOrigin]: ...


def verification_environment(
    context: VerificationContext,
    data: DataSource,
    *,
    status: StatusSource | None = None,
    now: datetime | None = None,
) -> Environment:
    """The environment of a Stage's verification arguments; the Stage's variables are still to be evaluated into it."""
    return Environment(
        {"ctx": {"project": context.project, "stage": context.stage}, "vars": {}},
        {
            **data_functions(data),
            **status_functions(status),
            **FreightLookup(context.collection, context.origins).functions(),
            **VERSION_FUNCTIONS,
        },
        now,
    )


def creation_environment(found: DiscoveredArtifacts | None) -> Environment:
    """The environment of `freightCreationCriteria.expression`: the best candidates, and no ctx."""
    return Environment(functions=discovered_functions(found))


def commit_environment(
    *,
    commit: str,
    commit_date: datetime,
    author: str = "",
    committer: str = "",
    subject: str = "",
) -> Environment:
    """The environment of a Git subscription's `expressionFilter` for one commit of a branch."""
    return Environment(
        {
            "id": Reference(commit, "commit id"),
            "commitDate": from_datetime(commit_date),
            "author": author,
            "committer": committer,
            "subject": subject,
        }
    )


def tag_environment(
    *,
    tag: str,
    commit: str,
    creator_date: datetime,
    author: str = "",
    committer: str = "",
    subject: str = "",
    tagger: str = "",
    annotation: str = "",
) -> Environment:
    """The environment of a Git subscription's `expressionFilter` for one tag."""
    return Environment(
        {
            "tag": Reference(tag, "commit tag"),
            "id": Reference(commit, "commit id"),
            "creatorDate": from_datetime(creator_date),
            "author": author,
            "committer": committer,
            "subject": subject,
            "tagger": tagger,
            "annotation": annotation,
        }
    )


def response_environment(status: int, headers: Iterable[tuple[str, str]], body: Json) -> Environment:
    """The environment of the `http` step's expressions: `response.status`, `.header(name)`, `.headers`, `.body`."""
    values: dict[str, Value] = {}
    for name, value in headers:
        values.setdefault(_canonical(name), []).append(value)

    def header(name: Value) -> str:
        found = values.get(_canonical(text_argument(name, "header")), [])
        return str(found[0]) if found else ""

    return Environment(
        {
            "response": {
                "status": status,
                "header": Function("header", header, 1, 1),
                "headers": values,
                "body": body,
            }
        }
    )


def _canonical(name: str) -> str:
    """A header's name as Go spells it: `Content-Type`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def evaluate_variables(variables: Iterable[ExpressionVariable], environment: Environment) -> dict[str, Value]:
    """Evaluate variables in order into the environment: a later one sees the earlier, and wins over its namesake.

    Returns all variables that the environment then has. Raises ExpressionError that names the variable.
    """
    for variable in variables:
        value = evaluate_named(f"variable {variable.name}", variable.value, environment)
        environment.define(variable.name, value)
    found: dict[str, Value] = environment.variables.get("vars", {})
    return found


def evaluate_named(what: str, text: str, environment: Environment) -> Json:
    """The value of a template; errors and warnings are told with its name."""
    noticed = len(environment.warnings)
    try:
        value = evaluate_template(text, environment)
    except ExpressionError as error:
        raise error.within(what) from None
    environment.warnings[noticed:] = [f"{what}: {warning}" for warning in environment.warnings[noticed:]]
    return value


def evaluate_condition(text: str, environment: Environment) -> bool:
    """Whether a step's `if` holds. An empty one is not a condition: the caller knows what it means.

    Raises ExpressionError: also when the result is no bool, as that of a text without `${{ }}`.
    """
    environment.prepare()
    value = evaluate_template(text, environment)
    if isinstance(value, bool):
        return value
    hint = "" if text != value else ": put the expression between ${{ and }}"
    raise ExpressionError(f"expression must evaluate to a boolean, got {type_name(value)}{hint}")


def evaluate_config(config: Json, environment: Environment) -> tuple[Json, list[str]]:
    """A step's config with its templates evaluated, and the warnings of everything evaluated in the environment.

    Raises ExpressionError that names the place in the config, or the variable.
    """
    if config is None:
        return {}, []
    environment.prepare()
    value = evaluate_value(config, environment)
    return value, list(dict.fromkeys(environment.warnings))


def evaluate_criterion(expression: str, environment: Environment) -> bool:
    """Whether an expression without delimiters holds: a bool, or a text or number that Go's ParseBool takes for one.

    For `freightCreationCriteria.expression` and `expressionFilter`. Raises ExpressionError.
    """
    environment.prepare()
    value = compile_expression(expression).run(environment.variables, environment.functions, now=environment.now)
    if isinstance(value, bool):
        return value
    try:
        truth = parse_bool(shown(value, Budget()))
    except Fault:
        truth = None
    if truth is None:
        raise ExpressionError(f"the expression must give a bool, got {type_name(value)}", expression, 0)
    return truth
