"""tar and untar: what goes in comes out, and nothing gets out."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activities.steps import archives
from activities.steps.registry import StepErrored, StepFailed
from tests.steps.contexts import run_step, step_context

TREE = {"a.yaml": "a: 1\n", "b/c.yaml": "c: 1\n", "b/skip.log": "log", ".git/config": "secret", "b/.git": "gitdir: x"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / "ws" / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "ws"


async def run(workspace: Path, name: str, **config: Any) -> dict[str, Any]:
    return await run_step(name, config, step_context(workspace))


def archive(path: Path, *entries: tuple[str, bytes | None, dict[str, Any]]) -> None:
    """Write a tar of entries: name, content, and further fields of the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content, fields in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content) if content is not None else None)


def files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("compressed", [False, True])
async def test_what_goes_in_comes_out(workspace: Path, compressed: bool) -> None:
    (workspace / "src/run.sh").write_text("echo")
    (workspace / "src/run.sh").chmod(0o755)
    (workspace / "src/link").symlink_to("b/c.yaml")
    await run(workspace, "tar", inPath="src", outPath="out/a.tar", gzip=compressed, ignore="# logs\n*.log\n")
    assert (workspace / "out/a.tar").read_bytes().startswith(b"\x1f\x8b") == compressed
    await run(workspace, "untar", inPath="out/a.tar", outPath="back")
    assert files(workspace / "back") == {"a.yaml": "a: 1\n", "b/c.yaml": "c: 1\n", "link": "c: 1\n", "run.sh": "echo"}
    assert os.readlink(workspace / "back/link") == "b/c.yaml"
    assert os.access(workspace / "back/run.sh", os.X_OK)


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_rebuild_makes_the_same_bytes(workspace: Path, compressed: bool) -> None:
    digests = set()
    for time in (1, 2_000_000_000):
        os.utime(workspace / "src/a.yaml", (time, time))
        await run(workspace, "tar", inPath="src", outPath="a.tar", gzip=compressed)
        digests.add(hashlib.sha256((workspace / "a.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


async def test_an_archive_in_what_it_packs_is_left_out(workspace: Path) -> None:
    for _ in range(2):
        await run(workspace, "tar", inPath=".", outPath="src/all.tar")
    with tarfile.open(workspace / "src/all.tar") as tar:
        assert sorted(tar.getnames()) == ["src", "src/a.yaml", "src/b", "src/b/c.yaml", "src/b/skip.log"]


async def test_a_single_file(workspace: Path) -> None:
    await run(workspace, "tar", inPath="src/a.yaml", outPath="a.tar")
    await run(workspace, "untar", inPath="a.tar", outPath="back")
    assert files(workspace / "back") == {"a.yaml": "a: 1\n"}


async def test_strip_and_ignore(workspace: Path) -> None:
    top = ("./pkg-1.0/", None, {"type": tarfile.DIRTYPE})
    files_in_it = {"./pkg-1.0/a": b"1", "./pkg-1.0/d/b.log": b"2", "top": b"3", "./pkg-1.0/d/c": b"4"}
    archive(workspace / "a.tar", top, *((name, content, {}) for name, content in files_in_it.items()))
    await run(workspace, "untar", inPath="a.tar", outPath="back", stripComponents=1, ignore="*.log")
    assert files(workspace / "back") == {"a": "1", "d/c": "4"}


async def test_what_the_directory_held_is_replaced(workspace: Path) -> None:
    archive(workspace / "a.tar", ("new", b"1", {}))
    for _ in range(2):
        await run(workspace, "untar", inPath="a.tar", outPath="src")
        assert files(workspace / "src") == {"new": "1"}


LINK = {"type": tarfile.SYMTYPE}
ESCAPES: dict[str, tuple[list[tuple[str, bytes | None, dict[str, Any]]], str]] = {
    "a name that climbs": ([("../../evil", b"x", {})], "would write outside"),
    "in the middle": ([("a/../../evil", b"x", {})], "would write outside"),
    "an absolute name": ([("/tmp/evil", b"x", {})], "would write outside"),
    "an absolute link": ([("l", None, {**LINK, "linkname": "/etc"})], "the link l leads out"),
    "a link that climbs": ([("a/l", None, {**LINK, "linkname": "../../x"})], "leads out"),
    "links that climb together": (
        [("d/a", None, {**LINK, "linkname": ".."}), ("l", None, {**LINK, "linkname": "d/a/../../x"})], "leads out"),
    "a file below a link": ([("l", None, {**LINK, "linkname": ".."}), ("l/evil", b"x", {})], "leads out|both as"),
    "a link below a link": (
        [("l", None, {**LINK, "linkname": "../"}), ("l/m", None, {**LINK, "linkname": "x"})], "outside|leads out"),
    "a hard link that climbs": ([("h", None, {"type": tarfile.LNKTYPE, "linkname": "../../s"})], "would write outside"),
    "a hard link to nothing": ([("h", None, {"type": tarfile.LNKTYPE, "linkname": "s"})], "does not come before it"),
    "a device": ([("null", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})], "device"),
    "a pipe": ([("p", None, {"type": tarfile.FIFOTYPE})], "device"),
    "a file that is a directory": ([("a", b"x", {}), ("a/b", b"x", {})], "both as a file and as a directory"),
}  # fmt: skip


@pytest.mark.parametrize("case", ESCAPES)
async def test_what_leads_out_is_a_clear_no(workspace: Path, case: str) -> None:
    entries, says = ESCAPES[case]
    archive(workspace / "a.tar", *entries)
    before = set(workspace.parent.rglob("*"))
    with pytest.raises(StepFailed, match=says):
        await run(workspace, "untar", inPath="a.tar", outPath="back")
    assert set(workspace.parent.rglob("*")) == before


async def test_a_later_file_never_goes_through_a_link(workspace: Path) -> None:
    archive(workspace / "a.tar", ("x", None, {**LINK, "linkname": "y"}), ("y", b"1", {}), ("x", b"2", {}))
    await run(workspace, "untar", inPath="a.tar", outPath="back")
    assert (workspace / "back/y").read_text() == "1"


async def test_a_hard_link_is_a_copy(workspace: Path) -> None:
    hard = {"type": tarfile.LNKTYPE, "linkname": "top/a"}
    archive(workspace / "a.tar", ("top/a", b"1", {}), ("top/b", None, hard))
    await run(workspace, "untar", inPath="a.tar", outPath="back", stripComponents=1)
    assert files(workspace / "back") == {"a": "1", "b": "1"}
    assert (workspace / "back/a").stat().st_nlink == 1


def many(path: Path) -> None:
    archive(path, *((f"f{index}", b"", {}) for index in range(12)))


def large(path: Path) -> None:
    archive(path, ("f", b"x" * 2000, {}))


def all_together(path: Path) -> None:
    archive(path, *((f"f{index}", b"x" * 900, {}) for index in range(5)))


def copies(path: Path) -> None:
    hard = {"type": tarfile.LNKTYPE, "linkname": "f"}
    archive(path, ("f", b"x" * 900, {}), *((f"f{index}", None, hard) for index in range(5)))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (many, "more than 10 entries"),
        (large, "at most 1000 bytes per file"),
        (all_together, "3000 in all"),
        (copies, "unpacks to more than 3000"),
    ],
)
async def test_bombs(workspace: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], says: str) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    monkeypatch.setattr(archives, "MAX_FILE", 1000)
    monkeypatch.setattr(archives, "MAX_TOTAL", 3000)
    make(workspace / "a.tar")
    with pytest.raises(StepFailed, match=says):
        await run(workspace, "untar", inPath="a.tar", outPath="back")
    assert not (workspace / "back").exists()


async def test_a_stream_without_end_is_cut_off(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL", 100_000)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 100)
    body = tarfile.TarInfo("pax")
    body.type, body.size = tarfile.XHDTYPE, 50_000_000
    (workspace / "a.tgz").write_bytes(gzip.compress(body.tobuf() + b"\0" * 5_000_000))
    with pytest.raises((StepFailed, StepErrored)):
        await run(workspace, "untar", inPath="a.tgz", outPath="back")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"hello", "no tar archive"), (b"\x1f\x8bxx", "no tar archive"), (b"", "no tar archive")],
)
async def test_what_is_no_archive(workspace: Path, content: bytes, says: str) -> None:
    (workspace / "a.tar").write_bytes(content)
    with pytest.raises(StepErrored, match=says):
        await run(workspace, "untar", inPath="a.tar", outPath="back")


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("tar", {"inPath": "nope", "outPath": "a.tar"}, "nope is not there"),
        ("tar", {"inPath": "src", "outPath": "src/b"}, "is a directory"),
        ("untar", {"inPath": "nope", "outPath": "a"}, "nope is not there"),
        ("untar", {"inPath": "src/a.yaml", "outPath": "."}, "the workspace itself"),
    ],
)
async def test_what_can_not_be(workspace: Path, name: str, config: dict[str, str], says: str) -> None:
    with pytest.raises(StepErrored, match=says):
        await run(workspace, name, **config)


async def test_too_much_to_pack(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE", 3)
    with pytest.raises(StepErrored, match="too large to pack"):
        await run(workspace, "tar", inPath="src", outPath="a.tar")
    assert not (workspace / "a.tar").exists()
