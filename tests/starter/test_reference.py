"""The page about the command line says what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from starter.main import COMMANDS, cli
from starter.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def commands() -> list[str]:
    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append(name)
        if isinstance(command, click.Group):
            found += [f"{name} {inner}" for inner in command.list_commands(context)]
    return found


def test_the_page_is_what_the_program_writes() -> None:
    assert PAGE.read_text() == reference(), "run `python -m starter.reference`"


@pytest.mark.parametrize("path", commands())
def test_every_help_has_examples_of_that_command(path: str) -> None:
    command: click.Command = cli
    for name in path.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    text = command.help or ""
    assert "Examples:" in text
    assert path.split()[0] in text.partition("Examples:")[2]


def test_every_module_of_commands_is_listed() -> None:
    modules = {path.stem for path in (PAGE.parents[1] / "starter" / "commands").glob("[a-z]*.py")}
    assert modules <= set(COMMANDS)
