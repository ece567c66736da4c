"""What manifests may say that is known, but not done here yet: one row each, to be deleted when it is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from model.base import Json
from model.findings import Finding, Path
from model.problems import Severity
from model.resources import Resource


def _given(value: Json) -> bool:
    return bool(value)


def _other_than(*supported: str) -> Callable[[Json], bool]:
    return lambda value: value not in supported


@dataclass(frozen=True)
class Row:
    """One thing that a kind's manifests may say: where, when it counts, and the sentence about it.

    The path is that of a manifest; `[*]` stands for every entry of a list. The value it leads to is as JSON,
    without empty fields (`Resource.shown`).
    """

    kind: str
    path: str
    sentence: str
    when: Callable[[Json], bool] = _given
    severity: Severity = Severity.ERROR


_OLD_ALLOW = "allowTags is gone since Kargo 1.11 and still read here; write allowTagsRegexes: [<the same text>]"
_OLD_IGNORE = "ignoreTags is gone since Kargo 1.11 and still read here; write ignoreTagsRegexes: [^<tag>$]"
_PAID = "a paid feature of Kargo and are not supported yet"

ROWS: tuple[Row, ...] = (
    Row("Project", "spec.promotionPolicies", "promotion policies belong in the ProjectConfig of the same name"),
    Row("ProjectConfig", "spec.freightLinks", "links are not supported yet"),
    Row("ProjectConfig", "spec.stageLinks", "links are not supported yet"),
    Row("ClusterConfig", "spec.gitClient", "an author of commits for all Projects is not supported yet"),
    Row("ClusterConfig", "spec.freightLinks", "links are not supported yet"),
    Row("ClusterConfig", "spec.stageLinks", "links are not supported yet"),
    Row("Warehouse", "spec.subscriptions[*].git.allowTags", _OLD_ALLOW, severity=Severity.WARNING),
    Row("Warehouse", "spec.subscriptions[*].git.ignoreTags", _OLD_IGNORE, severity=Severity.WARNING),
    Row("Warehouse", "spec.subscriptions[*].image.allowTags", _OLD_ALLOW, severity=Severity.WARNING),
    Row("Warehouse", "spec.subscriptions[*].image.ignoreTags", _OLD_IGNORE, severity=Severity.WARNING),
    Row("Stage", "spec.targets", f"targets are {_PAID}"),
    Row("Freight", "origin", "applying Freight is not supported yet; make it with `towpath create freight`"),
    Row(
        "Promotion",
        "spec",
        "applying Promotions is not supported yet; ask for one with `towpath promote --stage S --freight F`",
    ),
    *(
        row
        for kind in ("AnalysisTemplate", "ClusterAnalysisTemplate")
        for row in (
            Row(
                kind,
                "spec.metrics[*].provider.web.authentication.sigv4",
                "the web provider does not sign requests, in Argo Rollouts neither; only oauth2 is supported",
            ),
            Row(
                kind,
                "spec.metrics[*].provider.web.authentication.basicAuth",
                "the web provider has no basic authentication, in Argo Rollouts neither; "
                "give an Authorization header, with its value from an argument",
            ),
            Row(kind, "spec.templates", "taking in other templates is not supported: Kargo doesn't read them either"),
            Row(
                kind,
                "spec.args[*].valueFrom.fieldRef",
                "fields of a Rollout have no meaning here; give the value in the Stage's verification args",
            ),
        )
    ),
)


def unsupported(resource: Resource) -> list[Finding]:
    """All that a resource says and that isn't done here yet."""
    shown = resource.shown()
    return [
        Finding(path, row.sentence, row.severity)
        for row in ROWS
        if row.kind == resource.kind
        for path, value in _values(shown, _parts(row.path))
        if row.when(value)
    ]


def _parts(path: str) -> list[str]:
    return re.findall(r"\[\*\]|[^.\[\]]+", path)


def _values(value: Json, parts: list[str], path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Every value that a path leads to, and its own path."""
    if not parts:
        yield path, value
    elif parts[0] == "[*]" and isinstance(value, list):
        for place, entry in enumerate(value):
            yield from _values(entry, parts[1:], (*path, place))
    elif isinstance(value, dict) and parts[0] in value:
        yield from _values(value[parts[0]], parts[1:], (*path, parts[0]))
