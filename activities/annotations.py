"""What a model's fields mean to those who read about them: type, default and description, for the references."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from model.base import format_duration

_WORDS: Mapping[Any, str] = {
    str: "text",
    SecretStr: "text, secret",
    bool: "true or false",
    int: "whole number",
    float: "number",
    timedelta: "duration",
    Path: "path",
    Any: "any value",
}
_FIELD = re.compile(r"    (\w+)\s*:")


def type_words(annotation: Any) -> str:
    """A type as a person calls it; `None` beside another type isn't said."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_words(part) for part in arguments if part is not NoneType))
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in arguments if value != "")
    if origin in (list, tuple):
        return "list" if arguments and models_in(arguments[0]) else f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"mapping to {type_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return _WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type holds, itself or in lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list."""
    arguments = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return bool(arguments) and is_list(arguments[0])
    return get_origin(annotation) is list


def value_words(value: Any) -> str:
    """A default as it is written in YAML; empty where nothing is meant by it."""
    if value is None or value == "" or value == [] or value == {} or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"`{entry}`" for entry in value)
    return f"`{value}`"


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What is said about each field of a model: its `description`, the `#:` comment before it, or of what it holds."""
    said: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if (held := models_in(field.annotation)) and (text := inspect.getdoc(held[0])):
            said[name] = text.partition("\n\n")[0]
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            said |= _comments(base)
    given = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in {**said, **given}.items() if name in model.model_fields}


def _comments(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    pending: list[str] = []
    for line in inspect.getsource(model).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            pending.append(text[2:].strip())
            continue
        if pending and (field := _FIELD.match(line)):
            found[field[1]] = " ".join(pending)
        pending = []
    return found


def name_of(name: str, field: FieldInfo) -> str:
    """How a field is called in manifests."""
    return field.alias or name


def cell(text: str) -> str:
    """A text as it may stand in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
