"""Arguments of an analysis: declared by templates, given by the Stage, put where metrics say `{{args.x}}`.

Sources: Kargo pkg/rollouts (merging), Argo Rollouts utils/template and docs/features/analysis.md (substitution).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field

from model.base import Json, Message
from model.metrics import InvalidAnalysis

#: Stands for a secret wherever people may look.
MASK = "*****"


class SecretKey(Message):
    """A key of a Secret in the Project's namespace."""

    name: str
    key: str


class Argument(Message):
    """One argument of a run. A secret is never in here: it is read just before each measurement."""

    name: str
    #: The value, when it is known and no secret.
    value: str | None = None
    #: Where to read the value.
    secret: SecretKey | None = None
    #: A `${{ }}` template of the Stage that reads a secret: evaluated again before each measurement.
    template: str | None = None

    @property
    def hidden(self) -> bool:
        return self.secret is not None or self.template is not None

    def shown(self) -> dict[str, Json]:
        """The argument as an AnalysisRun shows it."""
        if self.secret is not None:
            return {"name": self.name, "valueFrom": {"secretKeyRef": self.secret.model_dump()}}
        return {"name": self.name, "value": MASK if self.hidden else self.value}


class MergedTemplate(Message):
    """Several templates as one. Metrics are as written, `{{args.x}}` and all."""

    metrics: list[dict[str, Json]] = Field(default_factory=list)
    dry_run: list[dict[str, Json]] = Field(default_factory=list)
    measurement_retention: list[dict[str, Json]] = Field(default_factory=list)
    args: list[Argument] = Field(default_factory=list)


def _declared(declaration: dict[str, Json]) -> Argument:
    name = str(declaration.get("name") or "")
    value = declaration.get("value")
    if value is not None and not isinstance(value, str):
        raise InvalidAnalysis(f"argument {name!r}: value must be a string, not {value!r}")
    source = declaration.get("valueFrom") or {}
    if source.get("fieldRef"):
        raise InvalidAnalysis(f"argument {name!r}: valueFrom.fieldRef is not supported, there being no Rollout")
    reference = source.get("secretKeyRef")
    secret = None
    if reference:
        secret = SecretKey(name=str(reference.get("name") or ""), key=str(reference.get("key") or ""))
    return Argument(name=name, value=value, secret=secret)


def _unique(rules: list[dict[str, Json]], field: str) -> None:
    seen: set[str] = set()
    for rule in rules:
        name = str(rule.get("metricName") or "")
        if name in seen:
            raise InvalidAnalysis(f"{field} names metric {name!r} twice")
        seen.add(name)


def merge_templates(specs: list[dict[str, Json]]) -> MergedTemplate:
    """Merge the specs of AnalysisTemplates, in order, by Kargo's rules. Raises InvalidAnalysis on a conflict."""
    merged = MergedTemplate()
    names: set[str] = set()
    declared: dict[str, Argument] = {}
    for spec in specs:
        if spec.get("templates"):
            raise InvalidAnalysis("spec.templates is not supported: list every template in the Stage")
        for metric in spec.get("metrics") or []:
            name = str(metric.get("name") or "")
            if name in names:
                raise InvalidAnalysis(f"duplicate metric name {name!r}: each metric of a verification has its own")
            names.add(name)
            merged.metrics.append(metric)
        merged.dry_run += spec.get("dryRun") or []
        merged.measurement_retention += spec.get("measurementRetention") or []
        for declaration in spec.get("args") or []:
            argument = _declared(declaration)
            known = declared.setdefault(argument.name, argument)
            if known.value is not None and argument.value is not None and known.value != argument.value:
                raise InvalidAnalysis(
                    f"conflicting values for argument {argument.name!r}: {known.value!r} and {argument.value!r}"
                )
            known.value = known.value if known.value is not None else argument.value
            known.secret = known.secret or argument.secret
    _unique(merged.dry_run, "dryRun")
    _unique(merged.measurement_retention, "measurementRetention")
    merged.args = list(declared.values())
    return merged


def give_arguments(declared: list[Argument], given: list[Argument]) -> tuple[list[Argument], list[str]]:
    """The arguments of a run: what templates declare with what the Stage gives, and the names given in vain.

    Where a template reads an argument from a Secret, the Secret wins, as in Rollouts.
    Raises InvalidAnalysis for an argument without any value.
    """
    arguments = {argument.name: argument.model_copy() for argument in declared}
    ignored: list[str] = []
    for argument in given:
        target = arguments.get(argument.name)
        if target is None:
            ignored.append(argument.name)
        elif argument.value is not None or argument.template is not None:
            target.value, target.template = argument.value, argument.template
    for argument in arguments.values():
        if argument.value is None and not argument.hidden:
            raise InvalidAnalysis(
                f"argument {argument.name!r} has no value: give it one in the Stage's spec.verification.args "
                "or a default in the template"
            )
    return list(arguments.values()), ignored


_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        tag = match[1].strip()
        if not tag.startswith("args.") or tag[5:] not in values:
            raise InvalidAnalysis(f"failed to resolve {{{{{match[1]}}}}}: no argument of that name is declared")
        return values[tag[5:]]

    return _TAG.sub(value, text)


def arguments_named(text: str) -> set[str]:
    """Names of the arguments that a text refers to."""
    return {tag[5:] for tag in (match[1].strip() for match in _TAG.finditer(text)) if tag.startswith("args.")}


def fill_arguments(value: Json, values: Mapping[str, str]) -> Json:
    """Replace `{{args.NAME}}` in all texts of a metric, keys too. Raises InvalidAnalysis for what stays unresolved."""
    if isinstance(value, str):
        return _filled(value, values) if "{{" in value else value
    if isinstance(value, dict):
        return {_filled(key, values): fill_arguments(entry, values) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill_arguments(entry, values) for entry in value]
    return value
