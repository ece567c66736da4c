"""Steps on files: `copy`, `delete`, `file-write` (Kargo: pkg/promotion/runner/builtin/file_*.go)."""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec
from pydantic import Field, field_validator, model_validator

from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, step
from activities.workspace import caged
from model.globs import BadPattern, glob
from model.steps import Effect

#: How many files one step may copy or look through.
MAX_FILES = 200_000


class CopyConfig(StepConfig):
    """Config of `copy`. `ignore` holds lines as in a .gitignore file."""

    #: File or directory to copy.
    in_path: str = Field(min_length=1)
    #: Where to; directories are made as needed.
    out_path: str = Field(min_length=1)
    #: What to leave out: lines as in a .gitignore file.
    ignore: str = ""


@step("copy", config=CopyConfig, effect=Effect.WORKSPACE)
async def copy(config: CopyConfig, context: StepContext) -> None:
    """Copy a file, or what is in a directory; symbolic links and `.git` are left out."""
    await asyncio.to_thread(_copy, config, context)


def _copy(config: CopyConfig, context: StepContext) -> None:
    source = Path(os.path.realpath(context.path(config.in_path)))
    target = context.path(config.out_path)
    lines = [line for line in config.ignore.splitlines() if line.strip() and not line.startswith("#")]
    try:
        ignored = GitIgnoreSpec.from_lines([".git", *lines])
    except ValueError as error:
        raise StepErrored(f"ignore can't be read: {error}", final=True) from error
    try:
        if source.is_dir():
            # The list first: the copy may lie below what is copied.
            below = os.path.realpath(target) + os.sep
            found = [path for path in _files(source, source, ignored) if not str(path).startswith(below)]
            if target.exists() and not target.is_dir():
                raise StepErrored(f"{config.out_path} is a file, and can't take the directory {config.in_path}")
            target.mkdir(parents=True, exist_ok=True)
            for path in found:
                _copy_one(path, target / path.relative_to(source), context)
        elif source.exists():
            if not ignored.match_file(source.name):
                _copy_one(source, target, context)
        else:
            raise StepErrored(f"{config.in_path} is not there")
    except OSError as error:
        raise StepErrored(f"{config.in_path} can't be copied to {config.out_path}: {error.strerror}") from error


def _files(directory: Path, top: Path, ignored: GitIgnoreSpec) -> Iterator[Path]:
    """Files and directories below `top`, without ignored ones and symbolic links, in a fixed order."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        path = Path(entry.path)
        name = path.relative_to(top).as_posix()
        if entry.is_symlink():
            continue
        if entry.is_dir(follow_symlinks=False):
            if not ignored.match_file(name + "/"):
                yield path
                yield from _files(path, top, ignored)
        elif entry.is_file(follow_symlinks=False) and not ignored.match_file(name):
            yield path


def _copy_one(source: Path, target: Path, context: StepContext) -> None:
    # What is there already may be hostile: a directory that is a link must not lead the copy out.
    root = os.path.realpath(context.workspace)
    parent = caged(context.workspace, os.path.relpath(target.parent, root))
    parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        caged(context.workspace, os.path.relpath(target, root)).mkdir(exist_ok=True)
        return
    if target.is_symlink():
        target.unlink()
    shutil.copyfile(source, target, follow_symlinks=False)
    os.chmod(target, stat.S_IMODE(source.stat().st_mode) & 0o777)


class DeleteConfig(StepConfig):
    """Config of `delete`: exactly one of path and paths."""

    #: What to remove; or several paths.
    path: str = ""
    #: What to remove; or a single path.
    paths: list[str] = Field(default_factory=list)
    #: The paths are doublestar patterns.
    paths_are_globs: bool = False
    #: A path that isn't there, or a pattern that fits nothing, is an error.
    strict: bool = False

    @model_validator(mode="after")
    def path_or_paths(self) -> DeleteConfig:
        if bool(self.path) == bool(self.paths) or "" in self.paths:
            raise ValueError("give exactly one of path and paths, and no empty one")
        return self


@step("delete", config=DeleteConfig, effect=Effect.WORKSPACE)
async def delete(config: DeleteConfig, context: StepContext) -> None:
    """Remove files and directories; of a symbolic link the link itself."""
    await asyncio.to_thread(_delete, config, context)


def _delete(config: DeleteConfig, context: StepContext) -> None:
    names = [config.path] if config.path else config.paths
    targets: dict[Path, str] = {}
    for name in names:
        found = _globbed(name, context) if config.paths_are_globs else _literal(name, context)
        if not found and config.strict:
            raise StepErrored(f"nothing fits {name!r}" if config.paths_are_globs else f"{name} is not there")
        targets.update(dict.fromkeys(found, name))
    for target, name in targets.items():
        try:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # it went with a directory removed before
        except OSError as error:
            raise StepErrored(f"{name} can't be deleted: {error.strerror}") from error


def _literal(name: str, context: StepContext) -> list[Path]:
    normal = posixpath.normpath(name.lstrip("/"))
    if normal in (".", "..") or normal.startswith("../"):
        raise StepErrored(f"{name!r} leads out of the workspace, or is the workspace itself", final=True)
    head, _, tail = normal.rpartition("/")
    target = context.path(head or ".") / tail
    return [target] if os.path.lexists(target) else []


def _globbed(pattern: str, context: StepContext) -> list[Path]:
    root = Path(os.path.realpath(context.workspace))
    try:
        matcher = glob(pattern.removeprefix("./"))
    except BadPattern as error:
        raise StepErrored(f"pattern {pattern!r}: {error}", final=True) from error
    found, seen = [], 0
    for directory, directories, files in os.walk(root):
        for name in sorted(directories + files):
            seen += 1
            if seen > MAX_FILES:
                raise StepErrored(f"the workspace holds more than {MAX_FILES} files", final=True)
            path = Path(directory, name)
            if matcher.fullmatch(path.relative_to(root).as_posix()):
                found.append(path)
    return found


class FileWriteConfig(StepConfig):
    """Config of `file-write`."""

    #: The file; a relative path.
    path: str = Field(min_length=1)
    #: What it shall hold.
    contents: str
    #: Its mode, octal: neither executable nor writable by everybody.
    permissions: str = "0600"
    #: Replace the file if it is there; otherwise that is Failed.
    overwrite: bool = False

    @field_validator("permissions")
    @classmethod
    def permissions_are_harmless(cls, value: str) -> str:
        if not re.fullmatch(r"0[0-7]{3}", value):
            raise ValueError("permissions are an octal file mode such as 0644")
        mode = int(value, 8)
        if mode & 0o111:
            raise ValueError(f"permissions {value} would make the file executable")
        if mode & 0o002:
            raise ValueError(f"permissions {value} would let everybody write the file")
        return value


@step("file-write", config=FileWriteConfig, effect=Effect.WORKSPACE)
async def file_write(config: FileWriteConfig, context: StepContext) -> None:
    """Write a text to a file, directories made as needed."""
    await asyncio.to_thread(_file_write, config, context)


def _file_write(config: FileWriteConfig, context: StepContext) -> None:
    # Stricter about paths than other steps, as in Kargo.
    normal = posixpath.normpath(config.path)
    if normal.startswith("/"):
        raise StepFailed(f"path {config.path!r} must be relative")
    if normal in (".", "..") or normal.startswith("../"):
        raise StepFailed(f"path {config.path!r} leads out of the workspace, or is the workspace itself")
    if any(part.lower() == ".git" for part in normal.split("/")):
        raise StepFailed(f"path {config.path!r}: nothing may be written to .git")
    root = os.path.realpath(context.workspace)
    target = Path(root, normal)
    if os.path.realpath(target) != str(target):
        raise StepFailed(f"path {config.path!r} leads across a symbolic link")
    if target.exists() and not config.overwrite:
        raise StepFailed(f"{config.path} is there already; set overwrite: true to replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(config.contents.encode())
        target.chmod(int(config.permissions, 8))
    except OSError as error:
        raise StepErrored(f"{config.path} can't be written: {error.strerror}") from error
