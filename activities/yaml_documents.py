"""Reading YAML that somebody else wrote: bounded in size and depth, no repeated keys, plain data only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from model.base import Json

#: The largest YAML text that is read, in characters, where the caller names no other bound.
MAX_TEXT = 16 * 1024 * 1024
#: The deepest nesting.
MAX_DEPTH = 100
#: How many aliases (`*name`) one document may hold: enough for people, too few for a bomb.
MAX_ALIASES = 1000

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidYaml(ValueError):
    """The text isn't YAML, or beyond the bounds; the message says where."""


class _Loader(_Base):  # type: ignore[misc]  # the C loader where there is one
    """A safe loader that refuses repeated keys and leaves timestamps as text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise InvalidYaml(f"line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def documents(text: str, limit: int = MAX_TEXT) -> Iterator[Json]:
    """All documents of a YAML text, as plain data. Raises InvalidYaml."""
    if len(text) > limit:
        raise InvalidYaml(f"larger than {limit} characters")
    try:
        check_bounds(text)
        loader = _Loader(text)
        try:
            while loader.check_data():
                yield loader.get_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _invalid(error) from error


def composed(text: str, limit: int = MAX_TEXT) -> yaml.Node | None:
    """The first document of a YAML text as nodes, with their places in the text. Raises InvalidYaml."""
    if len(text) > limit:
        raise InvalidYaml(f"larger than {limit} characters")
    try:
        check_bounds(text)
        return next(iter(yaml.compose_all(text, Loader=_Base)), None)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> InvalidYaml:
    """What a parser complained of, and where."""
    if isinstance(error, InvalidYaml):
        return error
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return InvalidYaml(f"{where}{error.problem or error.context}")
    return InvalidYaml(str(error))


def check_bounds(text: str) -> None:
    """Raise InvalidYaml for what is nested too deeply or has too many aliases."""
    # Counted on events: the C loader builds its nodes out of reach.
    depth = aliases = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidYaml(f"nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > MAX_ALIASES:
                raise InvalidYaml(f"more than {MAX_ALIASES} aliases")


def document(text: str, limit: int = MAX_TEXT) -> Json:
    """The one document of a YAML text; None for an empty one. Raises InvalidYaml, also for several documents."""
    found = list(documents(text, limit))
    if len(found) > 1:
        raise InvalidYaml("there is more than one document; expected one")
    return found[0] if found else None


def with_string_keys(value: Json) -> Json:
    """YAML's keys as JSON has them: texts."""
    if isinstance(value, dict):
        return {_key(key): with_string_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_string_keys(item) for item in value]
    return value


def _key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


class _Dumper(yaml.SafeDumper):
    """Quotes every string that some YAML reader, such as Go's, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_AMBIGUOUS = re.compile(r"[-+.]?[0-9].*|[-+]?\.(?:inf|nan)|[yn]", re.IGNORECASE | re.DOTALL)
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9][A-Za-z0-9_.+-]*")


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _AMBIGUOUS.fullmatch(text) and not _VERSION.fullmatch(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(value: Json) -> str:
    """Plain data as YAML, keys in the order they have."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
