"""What is remembered on the disk: bounded, deletable while it is used, shared by several workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from activities.discovery.memory import Memory


class Note(BaseModel):
    text: str


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("bound", [{"max_entries": 20}, {"max_total": 20 * 1000}])
async def test_longest_unused_go_first(tmp_path: Path, bound: dict[str, int]) -> None:
    memory = Memory(tmp_path, **bound)
    for number in range(100):
        await memory.keep("note", number, Note(text=str(number) + "." * 985))
        for path in files(tmp_path):
            # As if each had been written a second after the one before.
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 1))

    kept = [number for number in range(100) if await memory.recall("note", number, Note)]

    assert 10 <= len(kept) <= 23
    assert kept == list(range(100 - len(kept), 100))


async def test_too_large_a_record_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.discovery.memory.MAX_SIZE", 100)
    memory = Memory(tmp_path)
    await memory.keep("note", 1, Note(text="." * 100))
    assert await memory.recall("note", 1, Note) is None
    assert files(tmp_path) == []


async def test_directory_may_be_deleted_while_it_is_used(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory", max_entries=10)
    deleted = 0

    async def write(key: int) -> None:
        for number in range(40):
            await memory.keep("note", key, Note(text=str(number)))
            await memory.recall("note", key, Note)

    async def delete() -> None:
        nonlocal deleted
        while not writers.done():
            await asyncio.to_thread(shutil.rmtree, memory.directory, True)
            deleted += 1

    writers = asyncio.gather(*(write(key) for key in range(8)))
    await asyncio.gather(writers, delete())
    await memory.keep("note", "last", Note(text="there"))

    assert deleted > 1
    assert await memory.recall("note", "last", Note) == Note(text="there")


_WRITER = """
import asyncio, sys
from pathlib import Path
from pydantic import BaseModel
from activities.discovery.memory import Memory

class Note(BaseModel):
    text: str

async def main():
    memory = Memory(Path(sys.argv[1]), max_entries=5)
    for number in range(100):
        await memory.keep("note", number % 10, Note(text=sys.argv[2] * 5000))
        found = await memory.recall("note", (number + 5) % 10, Note)
        assert found is None or found.text in ("a" * 5000, "b" * 5000), "half a record"

asyncio.run(main())
"""


def test_workers_share_a_directory(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), letter], stderr=subprocess.PIPE, text=True)
        for letter in "ab"
    ]
    told = [writer.communicate(timeout=60)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    assert told == ["", ""]
    assert len(files(tmp_path)) <= 10
