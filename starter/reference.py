"""The command line's reference, written from its own help: `python -m starter.reference` rewrites docs/cli.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from starter.main import cli

#: Columns of the help texts, whatever terminal the program runs in.
WIDTH = 100

_HEAD = """\
# The command line

Written by `python -m starter.reference` from the commands' own help; a test fails when it is out of date.

What every command says and does:

- `--project` is taken from `-p`, else from `TOWPATH_PROJECT`, else from `towpath config set-project`.
- `-o json` and `-o yaml` print resources in Kubernetes' shape, lists as `List`s, in a stable order; tables are for
  people and may change. Colours appear on a terminal only, and never where `NO_COLOR` is set.
- Results go to standard output, errors and remarks to standard error. An error is one line that begins with `error:`;
  problems of manifests are one line each before it: `file:line: Kind/name: field: message`.
- Exit status: 0 done, 1 an error or a promotion that did not succeed, 2 a wrong usage, 130 after Ctrl-C.
- `TOWPATH_ACTOR` says who acts (`email:someone@example.com`); by default it is the user of the process.
  `TOWPATH_ACTOR_GROUPS` and `TOWPATH_ACTOR_ROLES` (separated by commas) say for whom, where a step asks some alone.
  `TOWPATH_DEBUG=1` shows the traceback of an error.
"""


def reference() -> str:
    """The whole page."""
    sections = [_HEAD]
    for path, command, context in _commands(cli, None, "towpath"):
        text = command.get_help(context).rstrip()
        sections.append(f"## {path}\n\n```\n{text}\n```\n")
    return "\n".join(sections)


def _commands(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[tuple[str, click.Command, click.Context]]:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from _commands(found, context, inner)


def main() -> None:
    """Rewrites the page, by default docs/cli.md."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md")
    path.write_text(reference())


if __name__ == "__main__":
    main()
