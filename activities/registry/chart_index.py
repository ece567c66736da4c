"""The index of an HTTP chart repository: which versions of a chart it names (Helm: "The Chart Repository Guide").

An index may name thousands of charts. Where it is written as Helm writes it, the part about one chart is found by its
indentation, and only that is parsed; else all of it is, event by event. Only that chart's versions are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

#: Largest index that is read, in bytes. The large public ones have about 20 million.
MAX_INDEX = 32 * 1024 * 1024
#: Versions of one chart, and how deep an index may nest.
MAX_VERSIONS = 20_000
MAX_DEPTH = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class BadIndex(ValueError):
    """The text is no index of charts; the message says what is wrong, for the end of a sentence."""


def versions_of(index: bytes, chart: str) -> list[str]:
    """The versions of a chart in an index, as they are written there; none where it doesn't name the chart.

    Blocks, for some seconds where the index is large and not written as Helm does. Raises BadIndex.
    """
    index = _part_about(index, chart)
    versions: list[str] = []
    found_entries = False
    # What leads to the value at hand: mapping keys as text, None for a place in a list.
    trail: list[str | None] = []
    try:
        for path, value in _scalars(index, trail):
            if path[:1] != ["entries"]:
                continue
            found_entries = True
            if len(path) == 4 and path[1] == chart and path[2:] == [None, "version"]:
                versions.append(value)
                if len(versions) > MAX_VERSIONS:
                    raise BadIndex(f"names more than {MAX_VERSIONS} versions of {chart}")
    except yaml.YAMLError as error:
        raise BadIndex(f"is no YAML: {getattr(error, 'problem', None) or 'it holds unreadable characters'}") from error
    except UnicodeDecodeError as error:
        raise BadIndex("is no YAML: it is not UTF-8") from error
    if not found_entries and not _names_entries(index):
        raise BadIndex("has no entries: is there a chart repository at that address?")
    return versions


def _part_about(index: bytes, chart: str) -> bytes:
    """An index of this chart alone, where the index is in block style; else all of it."""
    entries = re.search(rb"^entries:[ \t]*\r?\n", index, re.MULTILINE)
    if entries is None:
        return index
    end = _next(rb"^[^\s#-]", index, entries.end())
    child = re.compile(rb"^( +)[^\s#-]", re.MULTILINE).search(index, entries.end(), end)
    if child is None:
        return index
    indent, name = child.group(1), re.escape(chart.encode())
    key = re.compile(rb"^" + indent + rb"([\"']?)" + name + rb"\1:[ \t]*\r?\n", re.MULTILINE)
    start = key.search(index, entries.end(), end)
    if start is None:
        return b"entries: {}"
    # A list may stand as deep as its key.
    after = _next(rb"^ {0,%d}[^\s#-]" % len(indent), index, start.end())
    return b"entries:\n" + index[start.start() : min(after, end)]


def _next(pattern: bytes, index: bytes, start: int) -> int:
    found = re.compile(pattern, re.MULTILINE).search(index, start)
    return found.start() if found else len(index)


def _names_entries(index: bytes) -> bool:
    return any(line.startswith((b"entries:", b'"entries":', b"{")) for line in index.splitlines())


def _scalars(index: bytes, trail: list[str | None]) -> Iterator[tuple[list[str | None], str]]:
    """Every plain value of the first document, with the path to it. Aliases are not followed."""
    # For each open collection: whether it is a mapping, and the key that waits for its value there.
    open_mappings: list[bool] = []
    awaits_value: list[bool] = []
    loader = _Loader(index)
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, _OPENING):
                if len(open_mappings) >= MAX_DEPTH:
                    raise BadIndex(f"is nested deeper than {MAX_DEPTH} levels")
                if open_mappings and open_mappings[-1] and not awaits_value[-1]:
                    raise BadIndex("has a key that is no text")
                is_mapping = isinstance(event, yaml.MappingStartEvent)
                open_mappings.append(is_mapping)
                awaits_value.append(False)
                trail.append(None)
            elif isinstance(event, _CLOSING):
                open_mappings.pop()
                awaits_value.pop()
                trail.pop()
                if awaits_value:
                    awaits_value[-1] = False
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) and open_mappings:
                if open_mappings[-1] and not awaits_value[-1]:
                    trail[-1] = event.value if isinstance(event, yaml.ScalarEvent) else None
                    awaits_value[-1] = True
                else:
                    if isinstance(event, yaml.ScalarEvent):
                        yield trail, event.value
                    awaits_value[-1] = False
            elif isinstance(event, yaml.DocumentEndEvent):
                return
    finally:
        loader.dispose()
