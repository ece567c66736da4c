"""What a step asks people, as a form, and what they said in it as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model.base import Json
from model.questions import Question
from starter.errors import InvalidInput


@dataclass(frozen=True)
class Field:
    """One value that is asked for."""

    name: str
    #: `text`, `number`, `flag` or `choice`.
    kind: str
    title: str
    note: str = ""
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()


def fields(question: Question) -> list[Field]:
    """The fields of a question's JSON Schema."""
    schema = question.input_schema
    required = schema.get("required") or []
    found = []
    for name, entry in (schema.get("properties") or {}).items():
        entry = entry if isinstance(entry, dict) else {}
        choices = tuple(str(choice) for choice in entry.get("enum") or [])
        kinds = {"integer": "number", "number": "number", "boolean": "flag"}
        kind = "choice" if choices else kinds.get(str(entry.get("type")), "text")
        default = entry.get("default")
        found.append(
            Field(
                name,
                kind,
                str(entry.get("title") or name),
                str(entry.get("description") or ""),
                name in required,
                "" if default is None else str(default),
                choices,
            )
        )
    return found


def values(question: Question, form: Mapping[str, str]) -> dict[str, Json]:
    """What was filled in, of the types that are asked for. Raises InvalidInput."""
    found: dict[str, Json] = {}
    properties = question.input_schema.get("properties") or {}
    for field in fields(question):
        text = form.get(f"value-{field.name}", "")
        if field.kind == "flag":
            found[field.name] = text == "on"
        elif field.kind == "number" and text:
            try:
                found[field.name] = int(text) if properties[field.name].get("type") == "integer" else float(text)
            except ValueError:
                raise InvalidInput(f"{field.title}: {text!r} is not a number") from None
        elif field.kind == "choice" and text:
            typed = {str(choice): choice for choice in properties[field.name].get("enum") or []}
            found[field.name] = typed.get(text, text)
        elif text:
            found[field.name] = text
    return found
