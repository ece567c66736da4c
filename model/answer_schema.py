"""The schema of what a person is asked for (JSON Schema, draft 4, 6 or 7): is it one, and does an answer fit?

Patterns are matched in linear time and nothing is ever fetched, so that neither a schema nor an answer can hold up who
checks them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

import jsonschema_rs
import re2

from model.base import Json

#: The largest schema, in bytes of JSON; it stands in the Promotion's history.
MAX_SCHEMA = 32 * 1024
#: So many schemas within the schema, each `$ref` counted with all that it stands for.
MAX_PARTS = 5_000
#: Problems that are told of one answer.
MAX_PROBLEMS = 5

_DRAFTS: Final = {
    "http://json-schema.org/draft-04/schema": jsonschema_rs.Draft4Validator,
    "http://json-schema.org/draft-06/schema": jsonschema_rs.Draft6Validator,
    "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
}
#: Spellings of true and false on a command line.
_BOOLEANS: Final = {"true": True, "false": False}


class SchemaInvalid(ValueError):
    """This can't be the schema of an answer; the message says why."""


def check_schema(schema: Mapping[str, Json]) -> None:
    """Whether the schema can be asked with: an object of fields, self-contained, of bounded size.

    Raises SchemaInvalid.
    """
    if schema.get("type") != "object":
        raise SchemaInvalid("its root must have `type: object`: an answer is a set of named fields")
    size = len(json.dumps(schema))
    if size > MAX_SCHEMA:
        raise SchemaInvalid(f"it has {size} bytes of JSON; at most {MAX_SCHEMA} are allowed")
    _count(schema, schema, ())
    for pattern in _patterns(schema):
        try:
            re2.compile(pattern)
        except re2.error as error:
            raise SchemaInvalid(f"the pattern {pattern!r} can't be used: {error} (RE2's syntax is read)") from None
    try:
        _validator(schema)
    except ValueError as error:
        raise SchemaInvalid(str(error).partition("\n")[0]) from None


def problems_of(schema: Mapping[str, Json], values: Mapping[str, Json]) -> list[str]:
    """What is wrong with an answer, a sentence each: `version: "x" does not match "^v"`."""
    found = []
    for error in _validator(schema).iter_errors(dict(values)):
        path = ".".join(str(part) for part in error.instance_path)
        found.append(f"{path}: {error.message}" if path else str(error.message))
        if len(found) == MAX_PROBLEMS:
            break
    return sorted(found)


def with_defaults(schema: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    """The answer, and of the fields it leaves out those that have a default."""
    filled = dict(values)
    for name, field in _properties(schema).items():
        if name not in filled and "default" in field:
            filled[name] = field["default"]
        elif isinstance(filled.get(name), Mapping):
            filled[name] = with_defaults(field, filled[name])
    return filled


def typed(schema: Mapping[str, Json], name: str, text: str) -> Json:
    """What a person typed for a field, as the type that the schema has for it; anything else stays a text."""
    field = _properties(schema).get(name, {})
    kinds = field.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds or not kinds:
        return text
    if "boolean" in kinds and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def fields_of(schema: Mapping[str, Json]) -> list[str]:
    """The fields in words, for people: `version (string, required)`."""
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    shown = []
    for name, field in _properties(schema).items():
        kind = field.get("type", "any")
        words = ["/".join(kind) if isinstance(kind, list) else str(kind)]
        if isinstance(field.get("enum"), list):
            words = ["one of " + ", ".join(str(value) for value in field["enum"])]
        if name in needed:
            words.append("required")
        if "default" in field:
            words.append(f"default {json.dumps(field['default'])}")
        shown.append(f"{name} ({', '.join(words)})")
    return shown


def _properties(schema: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: field for name, field in properties.items() if isinstance(field, dict)}


def _validator(schema: Mapping[str, Json]) -> jsonschema_rs.Validator:
    draft = str(schema.get("$schema") or "").rstrip("#")
    if draft and draft not in _DRAFTS:
        raise SchemaInvalid(f"$schema {draft} is not draft-04, draft-06 or draft-07")
    kind = _DRAFTS.get(draft, jsonschema_rs.Draft7Validator)
    return kind(dict(schema), retriever=_never, pattern_options=jsonschema_rs.RegexOptions())


def _never(address: str) -> NoReturn:
    raise ValueError(f"{address}: only what stands in the schema itself can be referred to")


def _patterns(value: Json) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        if isinstance(value.get("patternProperties"), Mapping):
            yield from value["patternProperties"]
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _patterns(inner)


def _count(root: Mapping[str, Json], value: Json, within: tuple[str, ...], so_far: int = 0) -> int:
    """How many parts the schema has once references are followed. Raises SchemaInvalid where it has too many."""
    so_far += 1
    if so_far > MAX_PARTS:
        raise SchemaInvalid(f"with its references it has more than {MAX_PARTS} parts")
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                raise SchemaInvalid(f"$ref {reference} refers to itself: an answer can't be endless")
            so_far = _count(root, _referred(root, reference), (*within, reference), so_far)
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            so_far = _count(root, inner, within, so_far)
    return so_far


def _referred(root: Mapping[str, Json], reference: str) -> Json:
    if not reference.startswith("#/"):
        raise SchemaInvalid(f"$ref {reference}: only `#/…`, what stands in the schema itself, can be referred to")
    found: Json = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise SchemaInvalid(f"$ref {reference}: there is no such part of the schema")
        found = found[key]
    return found
