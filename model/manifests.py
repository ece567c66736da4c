"""From the text of a file to resources, with a problem for everything in it that can't be understood."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from model.base import Json
from model.findings import Path
from model.problems import Problem, Severity, field_path
from model.resources import KINDS, Resource, Secret
from model.yaml_source import Node, SourceError, read_documents

#: Kinds of Kargo and Argo Rollouts that people have beside those of KINDS, and what to say of them.
_OTHER_KINDS = {
    "PromotionRequest": "PromotionRequests belong to a paid feature of Kargo and are not supported",
    "Target": "Targets belong to a paid feature of Kargo and are not supported",
    "AnalysisRun": "AnalysisRuns are made by Stages and can't be applied; ask for one with `towpath verify stage`",
}


@dataclass
class Document:
    """One manifest of a file, and what was found wrong with it so far."""

    source: str
    #: Place in the file, from 1.
    index: int
    #: None: the file could not be read.
    node: Node | None
    problems: list[Problem] = field(default_factory=list)

    @property
    def api_version(self) -> str:
        return self._text("apiVersion")

    @property
    def kind(self) -> str:
        return self._text("kind")

    @property
    def name(self) -> str:
        return self._text("metadata", "name")

    @property
    def line(self) -> int:
        return self.node.line if self.node else 0

    def line_of(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it that is there."""
        return self.node.at(path).line if self.node else 0

    def problem(self, message: str, path: Path = (), severity: Severity = Severity.ERROR) -> Problem:
        """A problem in this document. It is not added to `problems`."""
        return Problem(
            message=message,
            severity=severity,
            field=field_path(path),
            kind=self.kind,
            name=self.name,
            source=self.source,
            document=self.index,
            line=self.line_of(path),
        )

    def _text(self, *path: str) -> str:
        node = self.node
        for part in path:
            node = node.value.get(part) if node and isinstance(node.value, dict) else None
        return node.value if node and isinstance(node.value, str) else ""


@dataclass(frozen=True)
class Located:
    """A resource and the document it was read from; None: it did not come from a file."""

    resource: Resource
    document: Document | None = None

    def problem(self, message: str, path: Path = (), severity: Severity = Severity.ERROR) -> Problem:
        """A problem in this resource."""
        if self.document:
            return self.document.problem(message, path, severity)
        return Problem(
            message=message,
            severity=severity,
            field=field_path(path),
            kind=self.resource.kind,
            name=self.resource.name,
        )


def read_manifests(text: str, source: str) -> list[Document]:
    """All manifests of a YAML or JSON text; lists are taken apart. `source` names the file in problems.

    A text that can't be read gives one document without content, whose problem says why.
    """
    try:
        nodes = read_documents(text)
    except SourceError as error:
        problem = Problem(message=str(error), source=source, line=error.line)
        return [Document(source, 0, None, [problem])]
    return [document for index, node in enumerate(nodes, 1) for document in _unpacked(Document(source, index, node))]


def load(text: str, source: str) -> tuple[list[Located], list[Problem]]:
    """All resources of a text, and all problems found in reading it."""
    documents = read_manifests(text, source)
    located = [Located(resource, document) for document in documents if (resource := parse(document))]
    return located, [problem for document in documents for problem in document.problems]


def parse(document: Document) -> Resource | None:
    """The resource a document holds; None where it has errors or needs no applying. Adds to its problems."""
    node = document.node
    if node is None:
        return None
    if not isinstance(node.value, dict):
        document.problems.append(document.problem("a manifest is a mapping with apiVersion, kind and metadata"))
        return None
    model = _model(document)
    if model is None:
        return None
    data = node.plain()
    if data.get("status"):
        document.problems.append(
            document.problem("status is observed, not applied: it is left out", ("status",), Severity.WARNING)
        )
    data.pop("status", None)
    try:
        return _validated(model, data)
    except ValidationError as error:
        document.problems.extend(_problems(document, model, error))
        return None


def _unpacked(document: Document) -> Iterator[Document]:
    node = document.node
    items = node.value.get("items") if node and isinstance(node.value, dict) else None
    if not document.kind.endswith("List") or items is None or not isinstance(items.value, list):
        yield document
        return
    for item in items.value:
        yield from _unpacked(Document(document.source, document.index, item))


def _model(document: Document) -> type[Resource] | None:
    """The model of a document's kind; without one, a problem is added."""
    version, kind = document.api_version, document.kind
    if model := KINDS.get((version, kind)):
        return model
    if (version, kind) == ("v1", "Namespace"):
        message = "Namespaces are not needed: a Project is one, and this is left out"
        document.problems.append(document.problem(message, (), Severity.WARNING))
        return None
    for name, value in (("apiVersion", version), ("kind", kind)):
        if not value:
            document.problems.append(document.problem(f"a manifest needs {name}, as text", (name,)))
            return None
    versions = [known for known, known_kind in KINDS if known_kind == kind]
    if versions:
        message = f"{kind} is known in {versions[0]}, not in {version}"
        document.problems.append(document.problem(message, ("apiVersion",)))
        return None
    if kind in _OTHER_KINDS and version in {known for known, _ in KINDS}:
        message = _OTHER_KINDS[kind]
    else:
        message = f"the kind {kind} of {version} is not known; {_nearest(kind, [name for _, name in KINDS], 'kinds')}"
    document.problems.append(document.problem(message, ("kind",)))
    return None


def _validated(model: type[Resource], data: dict[str, Json]) -> Resource:
    """Strict: `"5"` is no number. As in Kubernetes, null counts as unset where a value can't be null."""
    while True:
        try:
            return model.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            nulls = {_existing(data, detail["loc"]) for detail in details if detail["input"] is None}
            if not any(_drop(data, path) for path in nulls):
                raise


def _drop(data: Json, path: Path) -> bool:
    """Remove a key whose value is null. False: there is nothing to remove."""
    if not path:
        return False
    for part in path[:-1]:
        data = data[part]
    if not isinstance(data, dict) or data.get(str(path[-1]), ...) is not None:
        return False
    del data[path[-1]]
    return True


def _existing(data: Json, path: Path) -> Path:
    """As much of a path as is there: pydantic's names the alternatives of unions too."""
    found: list[str | int] = []
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        found.append(part)
    return tuple(found)


def _problems(document: Document, model: type[Resource], error: ValidationError) -> Iterator[Problem]:
    data = document.node.plain() if document.node else {}
    seen: set[Path] = set()
    for detail in error.errors(include_url=False):
        path = _as_written(data, detail["loc"])
        alternative = detail["loc"][-1] in ("int", "str") and len(_existing(data, path)) < len(path)
        if alternative:
            path = path[:-1]
        if path in seen:
            continue
        seen.add(path)
        message = "must be a number or text" if alternative else _sentence(model, path, detail)
        if issubclass(model, Secret) and detail["type"] not in ("missing", "extra_forbidden", "value_error"):
            message = "has the wrong type: the values of a Secret are text"
        yield document.problem(message, path)


def _as_written(data: Json, path: Path) -> Path:
    """The path with the user's key in place of `subscription`, our name for subscriptions of other types."""
    for place, part in enumerate(path):
        if part == "subscription" and place > 1 and path[place - 2] == "subscriptions":
            entry = data
            for step in path[:place]:
                entry = entry[step]
            if part not in entry:
                key = next((key for key in entry if key != "name"), part)
                return (*path[:place], key, *path[place + 1 :])
    return path


def _sentence(model: type[Resource], path: Path, detail: ErrorDetails) -> str:
    kind, given = detail["type"], _given(detail["input"])
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"there is no such field; {_nearest(str(path[-1]), _fields(model, detail['loc'][:-1]), 'fields')}"
    if kind in ("literal_error", "enum"):
        return f"must be {detail.get('ctx', {}).get('expected', 'something else')}, not {given}"
    if kind == "string_type":
        quotes = "; put it in quotes" if isinstance(detail["input"], (bool, int, float)) else ""
        return f"must be text, not {given}{quotes}"
    if kind in ("int_type", "int_from_float", "float_type"):
        return f"must be a whole number, not {given}"
    if kind == "bool_type":
        return f"must be true or false, not {given}"
    if kind == "list_type":
        return f"must be a list, not {given}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be a mapping, not {given}"
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _given(value: Json) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return (text if len(text) <= 60 else f"{text[:60]}…") or "nothing"


def _nearest(name: str, known: list[str], what: str) -> str:
    lower = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"did you mean {lower[near[0]]}?" if near else f"known {what}: {', '.join(known) or 'none'}"


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """The names of the fields that may stand at a path."""
    types: list[Any] = [model]
    for part in path:
        types = [inner for outer in types for inner in _inside(outer, part)]
    models = [found for found in types if isinstance(found, type) and issubclass(found, BaseModel)]
    return [info.alias or name for found in models for name, info in found.model_fields.items()]


def _inside(outer: Any, part: str | int) -> list[Any]:
    """The types that may stand in `outer` under a key or at a place."""
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        inner = [info.annotation for name, info in outer.model_fields.items() if part in (info.alias, name)]
    elif get_origin(outer) is list and isinstance(part, int):
        inner = list(get_args(outer))
    elif get_origin(outer) is dict and isinstance(part, str):
        inner = [get_args(outer)[1]]
    else:
        inner = []
    return [alternative for found in inner for alternative in _alternatives(found)]


def _alternatives(found: Any) -> list[Any]:
    if get_origin(found) is Annotated:
        return _alternatives(get_args(found)[0])
    if get_origin(found) in (Union, UnionType):
        return [alternative for argument in get_args(found) for alternative in _alternatives(argument)]
    return [found]
