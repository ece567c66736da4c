"""A workspace is a cage, belongs to one host, and goes when its promotion is over."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from activities.steps.registry import StepFailed
from activities.workspace import Workspaces, caged, collect_workspaces


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work" / "files"
    (root / "real" / "deep").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "inner").symlink_to("real")
    (root / "absolute").symlink_to(root / "real")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("../..")
    (root / "dangling").symlink_to(tmp_path / "outside" / "new")
    (root / "loop").symlink_to("loop")
    (root / "real" / "slash").symlink_to("/")
    (tmp_path / "work" / "files-beside").mkdir()
    (root / "beside").symlink_to("../files-beside")
    return root


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("a", "a"),
        ("./a", "a"),
        ("/a/b", "a/b"),
        ("../a", "a"),
        ("../../../../etc/passwd", "etc/passwd"),
        ("real/../../x", "x"),
        ("", "."),
        (".", "."),
        ("/", "."),
        ("..", "."),
        ("real/deep/new", "real/deep/new"),
        ("inner/deep", "inner/deep"),
        ("absolute/deep", "absolute/deep"),
    ],
)
def test_paths_are_rerooted(root: Path, name: str, inside: str) -> None:
    assert caged(root, name) == (root / inside).absolute()


@pytest.mark.parametrize(
    "name", ["out", "out/x", "up", "up/outside", "dangling", "loop", "real/slash/etc", "inner/slash", "beside", "a\0b"]
)
def test_links_that_lead_out_are_refused(root: Path, name: str) -> None:
    with pytest.raises(StepFailed):
        caged(root, name)


def test_host_keeps_its_id(tmp_path: Path) -> None:
    first = Workspaces(tmp_path / "a")
    assert first.host_id() == Workspaces(tmp_path / "a").host_id() != Workspaces(tmp_path / "b").host_id()
    assert first.queue("towpath") == f"towpath-host-{first.host_id()}"


def test_claimed_workspace_is_found_until_removed(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    assert workspaces.locate("p.1") is None
    files = workspaces.claim("p.1")
    (files / "left").write_text("x")
    (files / "locked").mkdir(mode=0o500)
    assert workspaces.locate("p.1") == files
    assert list(workspaces.claim("p.1").iterdir()) == []
    workspaces.remove("p.1")
    workspaces.remove("p.1")
    assert workspaces.locate("p.1") is None
    assert workspaces.names() == []


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "-x"])
def test_names_are_not_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can't name a workspace"):
        Workspaces(tmp_path).claim(name)


async def test_workspaces_of_closed_promotions_are_removed(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    workspaces.host_id()
    for name in ("a.1", "b.1", "c.1"):
        workspaces.claim(name)
    (tmp_path / ".removed-x").mkdir()
    asked: list[list[str]] = []

    async def closed(names: list[str]) -> Iterable[str]:
        asked.append(names)
        return {"b.1", "unknown"}

    assert await collect_workspaces(workspaces, closed) == ["b.1"]
    assert asked == [["a.1", "b.1", "c.1"]]
    assert sorted(os.listdir(tmp_path)) == [".host-id", "a.1", "c.1"]
