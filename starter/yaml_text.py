"""YAML for people: texts of several lines stand as they are, in block style."""

from __future__ import annotations

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes what a safe loader reads."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # Where a block can't hold it exactly, such as blanks at a line's end, PyYAML quotes it by itself.
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def as_yaml(value: object) -> str:
    """A value as YAML, keys in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
