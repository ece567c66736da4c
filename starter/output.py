"""What is printed: tables for people, JSON, YAML and names for scripts, always in the same order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from starter.kinds import find_kind
from starter.shapes import Resource, resource_list
from starter.yaml_text import as_yaml


class Format(StrEnum):
    """What `-o` may say."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"

    @property
    def for_people(self) -> bool:
        return self in (Format.TABLE, Format.WIDE)


@dataclass(frozen=True)
class Column:
    """One column of a table: its title, and how a resource's cell is made."""

    title: str
    cell: Callable[[Resource], str]
    #: Shown with `-o wide` alone.
    wide: bool = False


#: Colours of the words that tell how something is.
COLOURS = {
    "Succeeded": "green",
    "Successful": "green",
    "Healthy": "green",
    "True": "green",
    "Running": "cyan",
    "Pending": "yellow",
    "Progressing": "cyan",
    "Skipped": "dim",
    "NotApplicable": "dim",
    "Unknown": "yellow",
    "Inconclusive": "yellow",
    "Failed": "red",
    "Errored": "red",
    "Error": "red",
    "Unhealthy": "red",
    "Aborted": "magenta",
}


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks on."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console(stream: TextIO | None = None) -> Console:
    """A console that writes colours only to a terminal, and none where NO_COLOR is set."""
    return Console(file=stream or sys.stdout, highlight=False, soft_wrap=True, emoji=False, markup=False)


def coloured(word: str) -> Text:
    """A word, in the colour of what it tells."""
    return Text(word, style=COLOURS.get(word, ""))


def print_resources(
    items: Sequence[Resource],
    columns: Sequence[Column],
    output: Format,
    *,
    single: bool = False,
    headers: bool = True,
    nothing: str = "No resources found.",
) -> None:
    """Prints resources. `single`: one was asked for by name, so JSON and YAML show it alone and not in a List."""
    if output is Format.NAME:
        for item in items:
            click.echo(name_of(item))
    elif output in (Format.JSON, Format.YAML):
        print_data(items[0] if single and len(items) == 1 else resource_list(items), output)
    elif not items:
        click.echo(nothing, err=True)
    else:
        shown = [column for column in columns if output is Format.WIDE or not column.wide]
        rows = [[column.cell(item) for column in shown] for item in items]
        print_table([column.title for column in shown], rows, headers=headers)


def print_data(data: object, output: Format) -> None:
    """Prints JSON or YAML."""
    if output is Format.YAML:
        click.echo(as_yaml(data), nl=False)
    else:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, headers: bool = True) -> None:
    """Prints a table: on a terminal with colours, elsewhere in plain columns as kubectl does."""
    if is_terminal(sys.stdout):
        table = Table(box=None, pad_edge=False, show_header=headers, header_style="bold", padding=(0, 3, 0, 0))
        for title in titles:
            table.add_column(title, no_wrap=True, overflow="fold")
        for row in rows:
            table.add_row(*(coloured(cell) for cell in row))
        console().print(table, soft_wrap=True)
        return
    lines = [list(titles), *map(list, rows)] if headers else [list(row) for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(titles))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("   ".join(cells).rstrip())


def name_of(item: Resource) -> str:
    """As kubectl names a resource: `stage.kargo.akuity.io/dev`."""
    return find_kind(item["kind"]).resource_name(item["metadata"]["name"])


def at(item: Resource, *path: str) -> str:
    """What stands at this path of a resource, as text; empty where nothing does."""
    value: object = item
    for key in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(key)
    return "" if value is None else str(value)


def age(moment: str) -> str:
    """How long ago a moment (RFC 3339) was, as kubectl says it: `45s`, `5m`, `3h`, `12d`."""
    if not moment:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    return span(max(seconds, 0))


def span(seconds: int) -> str:
    """A length of time in its largest units: `45s`, `5m10s`, `3h5m`, `12d`."""
    if seconds < 120:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{hours // 24}d"
