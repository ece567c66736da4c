"""Reading what `-f` names: files, directories, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starter.errors import InvalidInput

SUFFIXES = (".yaml", ".yml", ".json")
#: The largest file that is read, in bytes.
MAX_FILE = 16 * 1024 * 1024
#: The most files that one directory may hold.
MAX_FILES = 10_000


@dataclass(frozen=True)
class ManifestFile:
    """The text of one file of manifests, under the name by which errors speak of it."""

    name: str
    text: str


def read_files(names: Sequence[str], *, recursive: bool = False) -> list[ManifestFile]:
    """The files that `-f` names, in order: a directory means its .yaml, .yml and .json files by name; `-` is stdin.

    Raises InvalidInput for what can't be read.
    """
    files: dict[str, ManifestFile] = {}
    for name in names:
        if name == "-":
            files[name] = ManifestFile("(stdin)", _decode("(stdin)", sys.stdin.buffer.read(MAX_FILE + 1)))
            continue
        for path in _paths(Path(name), recursive):
            files.setdefault(str(path), ManifestFile(str(path), _read(path)))
    return list(files.values())


def _paths(path: Path, recursive: bool) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(
        entry
        for entry in (path.rglob("*") if recursive else path.iterdir())
        if entry.suffix in SUFFIXES and entry.is_file()
    )
    if len(found) > MAX_FILES:
        raise InvalidInput(f"{path} holds {len(found)} files; at most {MAX_FILES} are read at once")
    if not found:
        hint = "" if recursive else "; -R looks into the directories below it too"
        raise InvalidInput(f"{path} holds no {', '.join(SUFFIXES)} file{hint}")
    yield from found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _decode(str(path), file.read(MAX_FILE + 1))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error


def _decode(name: str, data: bytes) -> str:
    if len(data) > MAX_FILE:
        raise InvalidInput(f"{name} is larger than {MAX_FILE} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text") from error
