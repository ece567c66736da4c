"""copy, delete, file-write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import activities.steps.files  # noqa: F401 (registers the steps)
from activities.steps.registry import STEPS, StepErrored, StepFailed
from model.globs import BadPattern, glob
from tests.steps.contexts import run_step, step_context


def fill(directory: Path, *names: str) -> Path:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return directory


def names(directory: Path) -> list[str]:
    found = [path for path in directory.rglob("*") if path.is_file() or path.is_symlink()]
    return sorted(path.relative_to(directory).as_posix() for path in found)


# what is in the workspace, inPath, outPath, ignore, what is in the workspace afterwards besides
COPIES: dict[str, tuple[list[str], str, str, str, list[str]]] = {
    "a file": (["a"], "a", "b/c", "", ["b/c"]),
    "a directory's content": (["d/a", "d/e/b"], "./d", "o", "", ["o/a", "o/e/b"]),
    "into what is there": (["d/a", "o/x"], "d", "o", "", ["o/a"]),
    "without .git": (["d/a", "d/.git/config", "d/e/.git"], "d", "o", "", ["o/a"]),
    "without what is ignored": (
        ["d/a.md", "d/b", "d/t/c", "d/keep.md"],
        "d",
        "o",
        "# c\n*.md\n!keep.md\nt/\n",
        ["o/b", "o/keep.md"],
    ),
    "into itself": (["a", "b/c"], ".", "o", "", ["o/a", "o/b/c"]),
    "paths are re-rooted": (["a"], "../a", "/b", "", ["b"]),
}


@pytest.mark.parametrize("case", COPIES)
async def test_copy(tmp_path: Path, case: str) -> None:
    present, source, target, ignore, new = COPIES[case]
    fill(tmp_path, *present)
    config = {"inPath": source, "outPath": target} | ({"ignore": ignore} if ignore else {})
    await run_step("copy", config, step_context(tmp_path))
    assert names(tmp_path) == sorted(present + new)


async def test_copy_keeps_modes_and_leaves_links_out(tmp_path: Path) -> None:
    fill(tmp_path, "d/run", "secret")
    (tmp_path / "d/run").chmod(0o755)
    (tmp_path / "d/link").symlink_to(tmp_path / "secret")
    await run_step("copy", {"inPath": "d", "outPath": "o"}, step_context(tmp_path))
    assert names(tmp_path / "o") == ["run"]
    assert (tmp_path / "o/run").stat().st_mode & 0o777 == 0o755


async def test_copy_does_not_follow_links_in_the_target(tmp_path: Path) -> None:
    fill(tmp_path, "w/d/a", "w/d/e/b", "outside/a", "outside/b")
    (tmp_path / "w/o").mkdir()
    (tmp_path / "w/o/a").symlink_to(tmp_path / "outside/a")
    context = step_context(tmp_path / "w")
    await run_step("copy", {"inPath": "d", "outPath": "o"}, context)
    assert (tmp_path / "outside/a").read_text() == "outside/a"
    assert (tmp_path / "w/o/a").read_text() == "w/d/a"
    (tmp_path / "w/p").mkdir()
    (tmp_path / "w/p/e").symlink_to(tmp_path / "outside")
    with pytest.raises(StepFailed, match="leads out"):
        await run_step("copy", {"inPath": "d", "outPath": "p"}, context)
    assert (tmp_path / "outside/b").read_text() == "outside/b"


async def test_copy_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StepErrored, match="a is not there"):
        await run_step("copy", {"inPath": "a", "outPath": "b"}, step_context(tmp_path))


@pytest.mark.parametrize(
    ("config", "left"),
    [
        ({"path": "a"}, ["d/b", "d/c.txt"]),
        ({"path": "./d"}, ["a"]),
        ({"paths": ["d/b", "none", "a"]}, ["d/c.txt"]),
        ({"paths": ["d", "d/b"]}, ["a"]),
        ({"path": "**/*.txt", "pathsAreGlobs": True}, ["a", "d/b"]),
        ({"path": "*", "pathsAreGlobs": True}, []),
        ({"paths": ["./d/{b,x}"], "pathsAreGlobs": True}, ["a", "d/c.txt"]),
        ({"path": "[ab]"}, ["a", "d/b", "d/c.txt"]),
    ],
)
async def test_delete(tmp_path: Path, config: dict[str, Any], left: list[str]) -> None:
    fill(tmp_path, "a", "d/b", "d/c.txt")
    await run_step("delete", config, step_context(tmp_path))
    assert names(tmp_path) == left


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"path": "none", "strict": True}, "none is not there"),
        ({"path": "*.md", "pathsAreGlobs": True, "strict": True}, "nothing fits"),
        ({"path": "[a", "pathsAreGlobs": True}, "bracket is not closed"),
        ({"path": "."}, "the workspace itself"),
        ({"path": "../w"}, "leads out"),
        ({"path": "d/../.."}, "leads out"),
    ],
)
async def test_delete_refuses(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    fill(tmp_path / "w", "a")
    with pytest.raises(StepErrored, match=words):
        await run_step("delete", config, step_context(tmp_path / "w"))
    assert names(tmp_path / "w") == ["a"]


async def test_delete_removes_a_link_not_what_it_leads_to(tmp_path: Path) -> None:
    fill(tmp_path, "outside/a", "w/b")
    (tmp_path / "w/link").symlink_to(tmp_path / "outside")
    context = step_context(tmp_path / "w")
    with pytest.raises(StepFailed, match="leads out"):
        await run_step("delete", {"path": "link/a"}, context)
    await run_step("delete", {"path": "**", "pathsAreGlobs": True}, context)
    assert names(tmp_path) == ["outside/a"]


async def test_file_write(tmp_path: Path) -> None:
    context = step_context(tmp_path)
    await run_step("file-write", {"path": "./a/b.txt", "contents": "é\r\n"}, context)
    assert (tmp_path / "a/b.txt").read_bytes() == "é\r\n".encode()
    assert (tmp_path / "a/b.txt").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StepFailed, match=r"a/b\.txt is there already; set overwrite"):
        await run_step("file-write", {"path": "a/b.txt", "contents": ""}, context)
    config = {"path": "a/b.txt", "contents": "", "overwrite": True, "permissions": "0640"}
    await run_step("file-write", config, context)
    assert (tmp_path / "a/b.txt").read_text() == ""
    assert (tmp_path / "a/b.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/a", "must be relative"),
        ("../a", "leads out"),
        (".", "the workspace itself"),
        (".git/config", "nothing may be written to .git"),
        ("out/.GIT", "nothing may be written to .git"),
        ("link/a", "across a symbolic link"),
        ("link", "across a symbolic link"),
    ],
)
async def test_file_write_refuses(tmp_path: Path, path: str, words: str) -> None:
    fill(tmp_path, "outside/a", "w/b")
    (tmp_path / "w/link").symlink_to(tmp_path / "outside")
    config = {"path": path, "contents": "x", "overwrite": True}
    with pytest.raises(StepFailed, match=words):
        await run_step("file-write", config, step_context(tmp_path / "w"))
    assert names(tmp_path) == ["outside/a", "w/b", "w/link"]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("copy", {"inPath": "a"}),
        ("copy", {"inPath": "a", "outPath": ""}),
        ("delete", {}),
        ("delete", {"path": "a", "paths": ["b"]}),
        ("delete", {"paths": [""]}),
        ("file-write", {"path": "a"}),
        ("file-write", {"path": "a", "contents": "", "permissions": "644"}),
        ("file-write", {"path": "a", "contents": "", "permissions": "0755"}),
        ("file-write", {"path": "a", "contents": "", "permissions": "0646"}),
        ("file-write", {"path": "a", "contents": 1}),
    ],
)
def test_bad_configs_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEPS[name].config.model_validate(config)


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*.md", ["a.md"], ["d/a.md", "a.mdx"]),
        ("**/*.md", ["a.md", "d/e/a.md"], ["a.txt"]),
        ("d/**", ["d", "d/a", "d/e/f"], ["e/a", "da"]),
        ("d/**/x", ["d/x", "d/e/f/x"], ["dx"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[a-c]x", ["bx"], ["dx"]),
        ("[!a-c]x", ["dx"], ["bx", "/x"]),
        ("{a,b/*}.y", ["a.y", "b/c.y"], ["c.y"]),
        (r"\*", ["*"], ["a"]),
        ("a.b+", ["a.b+"], ["axbb"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    assert [path for path in fits + fits_not if glob(pattern).fullmatch(path)] == fits


@pytest.mark.parametrize("pattern", ["{a", "[a", "a\\", "x" * 2000, "{" * 11 + "}" * 11])
def test_bad_patterns(pattern: str) -> None:
    with pytest.raises(BadPattern):
        glob(pattern)
