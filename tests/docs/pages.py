"""The project's documents, and what can be checked of them: blocks, commands, links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page. `place` is `file:line` of its first line."""

    place: str
    language: str
    text: str


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that belongs to the project; without Git all that is there is taken for it."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return tuple(path for path in sorted(ROOT.rglob("*")) if path.is_file())
    return tuple(path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def pages() -> list[Path]:
    """Every Markdown page of the project."""
    return [path for path in tracked() if path.suffix == ".md"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in these languages."""
    return [block for page in pages() for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 2
        indent = len(found[1])
        yield Block(f"{name(page)}:{line}", found[2], "".join(part[indent:] for part in found[3].splitlines(True)))


def prose(page: Path) -> str:
    """A page without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
