"""`tar` and `untar` (Kargo: pkg/promotion/runner/builtin/tar_{creator,extractor}.go)."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from pathspec import GitIgnoreSpec
from pydantic import Field

from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, step
from model.steps import Effect

#: Bounds of what goes in or comes out, in bytes (Kargo: 100 MiB and 50 MiB), and how many entries.
MAX_TOTAL = 100 * 1024 * 1024
MAX_FILE = 50 * 1024 * 1024
MAX_ENTRIES = 100_000


class TarConfig(StepConfig):
    """Kargo: schemas/tar-config.json."""

    in_path: str = Field(min_length=1, description="File or directory to pack.")
    out_path: str = Field(min_length=1, description="Archive to write; one that is there is replaced.")
    ignore: str | None = Field(
        default=None, min_length=1, description="What to leave out, in lines as in .gitignore. .git always is."
    )
    gzip: bool = Field(default=False, description="Compress the archive.")


class UntarConfig(StepConfig):
    """Kargo: schemas/untar-config.json."""

    in_path: str = Field(min_length=1, description="Archive to unpack, compressed by gzip or not.")
    out_path: str = Field(min_length=1, description="Directory to unpack to; what it holds is replaced.")
    strip_components: int = Field(default=0, ge=0, description="Leading directories to drop from the names.")
    ignore: str | None = Field(
        default=None, min_length=1, description="What to leave out, in lines as in .gitignore. .git always is."
    )


@step("tar", config=TarConfig, effect=Effect.WORKSPACE)
async def tar(config: TarConfig, context: StepContext) -> None:
    """Pack a file or directory. The same content gives the same archive, byte for byte, in a rebuild too."""
    await asyncio.to_thread(_pack, config, context)


@step("untar", config=UntarConfig, effect=Effect.WORKSPACE)
async def untar(config: UntarConfig, context: StepContext) -> None:
    """Unpack an archive. One that would write or link outside of outPath, or holds devices, is Failed."""
    await asyncio.to_thread(_unpack, config, context)


def _ignored(lines: str | None) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines([".git", *(line.strip() for line in (lines or "").splitlines())])
    except ValueError as error:
        raise StepErrored(f"ignore can't be read: {error}", final=True) from None


def _pack(config: TarConfig, context: StepContext) -> None:
    source, target = context.path(config.in_path), context.path(config.out_path)
    ignored = _ignored(config.ignore)
    if not source.exists():
        raise StepErrored(f"{config.in_path} is not there")
    if target.is_dir():
        raise StepErrored(f"{config.out_path} is a directory, not a file to write", final=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            # Neither name nor time in gzip's header: they would differ from run to run.
            packed = cast(IO[bytes], gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if config.gzip else raw)
            with packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
                _add_all(archive, source, {target, Path(name)}, ignored, config, int(context.started_at.timestamp()))
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _add_all(
    archive: tarfile.TarFile, source: Path, own: set[Path], ignored: GitIgnoreSpec, config: TarConfig, time: int
) -> None:
    total = entries = 0
    for path, name in _listed(source, ignored):
        if path in own:
            continue
        status = path.lstat()
        entry = tarfile.TarInfo(name)
        entry.mode, entry.mtime = stat.S_IMODE(status.st_mode) & 0o777, time
        entries += 1
        if entries > MAX_ENTRIES:
            raise StepErrored(f"{config.in_path} holds more than {MAX_ENTRIES} files", final=True)
        if stat.S_ISLNK(status.st_mode):
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
            archive.addfile(entry)
        elif stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        elif stat.S_ISREG(status.st_mode):
            entry.size = status.st_size
            total += entry.size
            if entry.size > MAX_FILE or total > MAX_TOTAL:
                raise StepErrored(
                    f"{config.in_path} is too large to pack: at most {MAX_FILE} bytes per file ({name} has "
                    f"{entry.size}) and {MAX_TOTAL} in all",
                    final=True,
                )
            with path.open("rb") as file:
                archive.addfile(entry, file)


def _listed(source: Path, ignored: GitIgnoreSpec) -> Iterator[tuple[Path, str]]:
    """What to pack, and its name in the archive, in an order that is always the same."""
    if not source.is_dir():
        if not ignored.match_file(source.name):
            yield source, source.name
        return

    def below(directory: Path) -> Iterator[tuple[Path, str]]:
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            path = Path(entry.path)
            name = path.relative_to(source).as_posix()
            inner = entry.is_dir(follow_symlinks=False)
            if ignored.match_file(f"{name}/" if inner else name):
                continue
            yield path, name
            if inner:
                yield from below(path)

    yield from below(source)


def _unpack(config: UntarConfig, context: StepContext) -> None:
    source, target = context.path(config.in_path), context.path(config.out_path)
    ignored = _ignored(config.ignore)
    workspace = Path(os.path.realpath(context.workspace))
    if target == workspace:
        raise StepErrored("outPath is the workspace itself: name a directory in it", final=True)
    if not source.is_file():
        raise StepErrored(f"{config.in_path} is not there, or no file")
    fresh = Path(tempfile.mkdtemp(prefix=".untar-", dir=workspace))
    content = fresh / "content"
    content.mkdir(mode=0o750)
    try:
        try:
            with source.open("rb") as raw:
                compressed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                packed = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if compressed else raw)
                # A stream, read once from front to end: the bounds hold for compressed data that isn't files, too.
                with tarfile.open(fileobj=_Bounded(packed, config.in_path), mode="r|") as archive:
                    _extract_all(archive, content, ignored, config)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError) as error:
            raise StepErrored(f"{config.in_path} is no tar archive, or is damaged: {error}", final=True) from None
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        os.replace(content, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


class _Bounded(io.RawIOBase):
    """A stream that ends in an error when more comes out of it than any archive within the bounds holds."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self._left = MAX_TOTAL + MAX_ENTRIES * 1024

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise StepFailed(f"{self._name} unpacks to more than {MAX_TOTAL} bytes")
        return data


def _extract_all(archive: tarfile.TarFile, root: Path, ignored: GitIgnoreSpec, config: UntarConfig) -> None:
    total = entries = 0
    links: list[tuple[Path, str, str]] = []
    for entry in archive:
        entries += 1
        if entries > MAX_ENTRIES:
            raise StepFailed(f"{config.in_path} holds more than {MAX_ENTRIES} entries")
        parts = _parts(entry.name, config)
        if len(parts) <= config.strip_components:
            continue
        name = "/".join(parts[config.strip_components :])
        if ignored.match_file(f"{name}/" if entry.isdir() else name):
            continue
        path = root / name
        if entry.isdir():
            _made(path)
        elif entry.isreg():
            total += entry.size
            if entry.size > MAX_FILE or total > MAX_TOTAL:
                raise StepFailed(
                    f"{config.in_path} is too large to unpack: at most {MAX_FILE} bytes per file ({name} has "
                    f"{entry.size}) and {MAX_TOTAL} in all"
                )
            _made(path.parent)
            _cleared(path, name, config)
            content = archive.extractfile(entry)
            with path.open("wb") as file:
                if content is not None:
                    shutil.copyfileobj(content, file)
            os.chmod(path, (entry.mode & 0o777) | 0o600)
        elif entry.issym():
            links.append((path, name, entry.linkname))
        elif entry.islnk():
            total += _copied(entry, path, name, root, config)
            if total > MAX_TOTAL:
                raise StepFailed(f"{config.in_path} unpacks to more than {MAX_TOTAL} bytes")
        else:
            raise StepFailed(f"{config.in_path} holds {name}, which is a device, pipe or socket")
    # Last, when nothing is written through them any more.
    top = os.path.realpath(root)
    for path, name, destination in links:
        if not _within(os.path.realpath(path.parent), top):
            raise StepFailed(f"{config.in_path} would write outside of outPath: {name} stands below a link")
        _made(path.parent)
        if posixpath.isabs(destination) or "\0" in destination:
            raise StepFailed(f"{config.in_path}: the link {name} leads out, to {destination}")
        _cleared(path, name, config)
        path.symlink_to(destination)
    # All are there: a chain of harmless links may lead out only as a whole.
    for path, name, destination in links:
        if not _within(os.path.realpath(path), top):
            raise StepFailed(f"{config.in_path}: the link {name} leads out, to {destination}")


def _within(place: str, top: str) -> bool:
    return place == top or place.startswith(top + os.sep)


def _parts(name: str, config: UntarConfig) -> list[str]:
    """The parts of an entry's name. Raises StepFailed where it leads out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise StepFailed(f"{config.in_path} would write outside of outPath: it holds {name[:200]!r}")
    return parts


def _made(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    except (FileExistsError, NotADirectoryError):
        raise StepFailed(f"the archive has {directory.name} both as a file and as a directory") from None


def _cleared(path: Path, name: str, config: UntarConfig) -> None:
    """Make way for an entry that comes twice: the later one counts."""
    if path.is_dir() and not path.is_symlink():
        raise StepFailed(f"{config.in_path} has {name} both as a file and as a directory")
    path.unlink(missing_ok=True)


def _copied(entry: tarfile.TarInfo, path: Path, name: str, root: Path, config: UntarConfig) -> int:
    """A hard link, as a copy of the file it names. Returns its size."""
    original = root / "/".join(_parts(entry.linkname, config)[config.strip_components :])
    if not original.is_file():
        raise StepFailed(
            f"{config.in_path}: the hard link {name} names {entry.linkname}, which does not come before it"
        )
    _made(path.parent)
    if path != original:
        _cleared(path, name, config)
        shutil.copy(original, path)
    return original.stat().st_size
