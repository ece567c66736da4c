"""Every `towpath …` in the documents is a command that exists, with options that it takes."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

import click
import pytest

from starter.main import cli
from tests.docs.pages import ROOT, blocks

_ASSIGNMENT = re.compile(r"[A-Z_]+=")


class Line(NamedTuple):
    """A command line in a page, its environment left out."""

    place: str
    words: list[str]


def lines() -> list[Line]:
    found = []
    for block in blocks("console", "sh"):
        path, _, first = block.place.rpartition(":")
        # In a transcript commands follow a `$`, and what they print does not.
        text = block.text.replace("\\\n", " ")
        for number, line in enumerate(text.splitlines(), int(first)):
            typed = line.strip()
            if block.language == "console":
                if not typed.startswith("$ "):
                    continue
                typed = typed[2:]
            found += [Line(f"{path}:{number}", part) for part in _parts(typed)]
    return found


def _parts(typed: str) -> list[list[str]]:
    """The commands of a shell line, cut at `|`, `&&`, `;` and redirections."""
    lexer = shlex.shlex(typed, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("|&;()"):
            commands.append([])
            redirected = False
        elif set(word) <= set("<>"):
            redirected = True
        elif not redirected and not (_ASSIGNMENT.match(word) and not commands[-1]):
            commands[-1].append(word)
    return [command for command in commands if command]


COMMANDS = [line for line in lines() if line.words[0] == "towpath"]
TARGETS = [line for line in lines() if line.words[0] == "make" and len(line.words) > 1]


@pytest.mark.parametrize("line", COMMANDS, ids=[f"{line.place} {' '.join(line.words)}" for line in COMMANDS])
def test_commands_in_documents_exist(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_PROJECT", "guestbook")
    command: click.Command = cli
    context: click.Context | None = None
    words = line.words
    while True:
        context = command.make_context(words[0], words[1:], parent=context)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        command, words = found, [name, *rest]


@pytest.mark.parametrize("line", TARGETS, ids=[f"{line.place} {' '.join(line.words)}" for line in TARGETS])
def test_make_targets_in_documents_exist(line: Line) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in line.words[1:]:
        assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_the_readme_shows_commands() -> None:
    assert any(line.place.startswith("README.md") for line in COMMANDS)
    assert any(line.place.startswith("README.md") for line in TARGETS)
