"""The directory in which the steps of one Promotion work, and the cage around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from activities.steps.registry import StepFailed
from model.names import TASK_QUEUE

#: Name of a workspace: a Promotion's name, or its workflow id with other separators. Never a path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")

_HOST_ID = ".host-id"


def caged(root: Path, name: str) -> Path:
    """The path `name` of a step's config, re-rooted in `root`: `/x` and `../x` are `<root>/x`, as in Kargo.

    Raises StepFailed where a symbolic link on the way, or at its end, leads out of `root`, or a loop of links is met.
    """
    if "\0" in name:
        raise StepFailed("a path can't hold a NUL character")
    root = Path(os.path.realpath(root))
    parts = [part for part in posixpath.normpath("/" + name).split("/") if part]
    current = root
    for index, part in enumerate(parts):
        current = current / part
        if not current.is_symlink():
            continue
        try:
            target = Path(os.path.realpath(current, strict=False))
            current.stat()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StepFailed(
                f"path {name!r}: {'/'.join(parts[: index + 1])} can't be followed: {error.strerror}"
            ) from None
        if target != root and root not in target.parents:
            raise StepFailed(
                f"path {name!r} leads out of the promotion's workspace: "
                f"{'/'.join(parts[: index + 1])} is a symbolic link"
            )
    return root.joinpath(*parts)


class Workspaces:
    """The workspaces of this host, one directory per Promotion.

    Below `<root>/<promotion>/`, `files` is what steps see; `git` beside it holds the repositories behind their
    worktrees, out of reach of steps' paths, so that no step can plant Git configuration.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def host_id(self) -> str:
        """The id of this host, from a file in the workspace directory: a restarted worker finds its workspaces again.

        Created on first use; raises OSError where the directory can't be written.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.root / _HOST_ID
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text().strip():
                return text
        # Two workers may start at once: the one whose link comes first has named the host.
        fresh = self.root / f"{_HOST_ID}.{uuid.uuid4().hex}"
        fresh.write_text(uuid.uuid4().hex[:12] + "\n")
        try:
            os.link(fresh, path)
        except FileExistsError:
            if not path.read_text().strip():
                os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        return path.read_text().strip()

    def queue(self, task_queue: str = TASK_QUEUE) -> str:
        """The task queue of steps that need a workspace on this host."""
        return f"{task_queue}-host-{self.host_id()}"

    def claim(self, name: str) -> Path:
        """A fresh, empty workspace. What an earlier, lost attempt left there is removed."""
        self.remove(name)
        files = self._directory(name) / "files"
        files.mkdir(parents=True, mode=0o700)
        return files

    def locate(self, name: str) -> Path | None:
        """The workspace of that name, None where this host has none."""
        files = self._directory(name) / "files"
        return files if files.is_dir() else None

    def remove(self, name: str) -> None:
        """Remove a workspace, if there is one."""
        directory = self._directory(name)
        if not directory.exists():
            return
        # Renamed first: a half-removed workspace must not look like one.
        doomed = self.root / f".removed-{uuid.uuid4().hex}"
        os.rename(directory, doomed)
        _remove_tree(doomed)

    def names(self) -> list[str]:
        """The workspaces that exist on this host."""
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))

    def _directory(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't name a workspace")
        return self.root / name

    def sweep(self) -> None:
        """Remove what an interrupted removal left behind."""
        if self.root.is_dir():
            for entry in self.root.glob(".removed-*"):
                _remove_tree(entry)


async def collect_workspaces(
    workspaces: Workspaces, closed: Callable[[list[str]], Awaitable[Iterable[str]]]
) -> list[str]:
    """Remove the workspaces of closed promotions, and return their names.

    `closed` is asked with the names of all workspaces of this host and answers with those whose Promotion is over.
    """
    names = await asyncio.to_thread(workspaces.names)
    over = sorted(set(await closed(names)) & set(names)) if names else []
    for name in over:
        await asyncio.to_thread(workspaces.remove, name)
    await asyncio.to_thread(workspaces.sweep)
    return over


def _remove_tree(path: Path) -> None:
    """Remove a tree that steps filled: directories without write permission in it don't stop it."""

    def unlock(_function: object, failed: str, _error: object) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(os.path.dirname(failed), 0o700)
            if os.path.isdir(failed) and not os.path.islink(failed):
                os.chmod(failed, 0o700)
                shutil.rmtree(failed)
            else:
                os.unlink(failed)

    shutil.rmtree(path, onerror=unlock)
