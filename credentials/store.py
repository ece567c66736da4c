"""Writes Secrets and ConfigMaps into the credentials directory, one file each, where this process may write.

Files of others, such as those that an operator wrote by hand, are read but never changed.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from pydantic import ValidationError

from credentials.directory import CLUSTER, MAX_FILE
from model.admission.names import is_label, is_name
from model.resources.config_map import ConfigMap
from model.resources.secret import Secret

Kept = TypeVar("Kept", Secret, ConfigMap)

#: Of all values of one object together, in bytes; Kubernetes' bound.
LARGEST = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


class StoreUnwritable(Exception):
    """Nothing can be stored here: there is no directory, or this process may not write to it."""


class AlreadyThere(Exception):
    """There is one of that name."""


class NotThere(Exception):
    """There is none of that name."""


class NotOurs(Exception):
    """It stands in a file that was written by hand."""


class Unfit(ValueError):
    """It can't be stored as it is; the message says why, without a value."""


@dataclass(frozen=True)
class Entry(Generic[Kept]):
    """One object, and the file it stands in."""

    manifest: Kept
    file: str
    changed_at: datetime


class Shelf(Generic[Kept]):
    """All objects of one kind in one directory: a Project's, the shared one, or the system's.

    Methods touch the disk: call them in a thread.
    """

    def __init__(self, root: Path | None, directory: str, kind: type[Kept]) -> None:
        if directory != CLUSTER and not is_label(directory):
            raise Unfit(f"{directory!r} is no name of a Project")
        self._root, self._name = root, directory
        self._kind: type[Kept] = kind
        self._prefix = "secret" if kind is Secret else "configmap"

    def list(self) -> list[Entry[Kept]]:
        """All of them, by name; of two with one name, the first file's, as workers read them."""
        try:
            with self._opened(create=False) as descriptor:
                return sorted(self._read(descriptor).values(), key=lambda entry: entry.manifest.name)
        except (NotThere, StoreUnwritable):
            return []

    def get(self, name: str) -> Entry[Kept]:
        """Raises NotThere."""
        for entry in self.list():
            if entry.manifest.name == name:
                return entry
        raise NotThere(f"{self._kind.__name__} {name} not found")

    def create(self, manifest: Kept) -> Entry[Kept]:
        """Raises AlreadyThere, Unfit, StoreUnwritable."""
        self._check(manifest)
        with self._opened(create=True) as descriptor:
            if manifest.name in self._read(descriptor):
                raise AlreadyThere(f"{self._kind.__name__} {manifest.name} exists already")
            self._write(descriptor, manifest)
        return self.get(manifest.name)

    def change(self, name: str, change: Callable[[Kept], Kept]) -> Entry[Kept]:
        """What `change` makes of it takes its place. Raises NotThere, NotOurs, Unfit, StoreUnwritable, as it does."""
        with self._opened(create=True) as descriptor:
            entry = self._own(descriptor, name)
            manifest = change(entry.manifest.model_copy(deep=True))
            self._check(manifest)
            self._write(descriptor, manifest)
        return self.get(name)

    def delete(self, name: str, allowed: Callable[[Kept], None]) -> None:
        """`allowed` may raise. Raises NotThere, NotOurs, StoreUnwritable."""
        with self._opened(create=True) as descriptor:
            entry = self._own(descriptor, name)
            allowed(entry.manifest)
            os.unlink(entry.file, dir_fd=descriptor)
            os.fsync(descriptor)

    def _own(self, descriptor: int, name: str) -> Entry[Kept]:
        entry = self._read(descriptor).get(name)
        if entry is None:
            raise NotThere(f"{self._kind.__name__} {name} not found")
        if entry.file != self._file(name):
            raise NotOurs(
                f"{self._kind.__name__} {name} stands in {self._name}/{entry.file}, which was written by hand"
            )
        return entry

    def _file(self, name: str) -> str:
        return f"{self._prefix}.{name}.yaml"

    @contextmanager
    def _opened(self, *, create: bool) -> Iterator[int]:
        """The directory, locked: what is done by its descriptor stays in it, whatever becomes of the path."""
        if self._root is None or not self._root.is_dir():
            raise StoreUnwritable("there is no credentials directory")
        path = self._root / self._name
        try:
            if create:
                if not os.access(self._root, os.W_OK):
                    raise StoreUnwritable("the credentials directory can't be written")
                path.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotThere("there is nothing") from None
        except OSError as error:
            raise StoreUnwritable(f"the credentials directory can't be used: {error.strerror}") from error
        try:
            if create and not os.access(path, os.W_OK):
                raise StoreUnwritable("the credentials directory can't be written")
            fcntl.flock(descriptor, fcntl.LOCK_EX if create else fcntl.LOCK_SH)
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> dict[str, Entry[Kept]]:
        found: dict[str, Entry[Kept]] = {}
        for file in sorted(os.listdir(descriptor)):
            if Path(file).suffix not in (".yaml", ".yml"):
                continue
            for entry in self._entries(descriptor, file):
                found.setdefault(entry.manifest.name, entry)
        return found

    def _entries(self, descriptor: int, file: str) -> Iterator[Entry[Kept]]:
        """What one file holds of this kind; a file that can't be read is reported by those who use its secrets."""
        try:
            opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError:
            return
        with os.fdopen(opened, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                return
            text = stream.read(MAX_FILE)
        try:
            documents = list(yaml.safe_load_all(text.decode()))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
            return
        changed = datetime.fromtimestamp(int(status.st_mtime), UTC)
        for document in documents:
            if isinstance(document, dict) and document.get("kind") == self._kind.__name__:
                try:
                    manifest = self._kind.model_validate(document)
                except ValidationError:
                    continue
                if manifest.name:
                    yield Entry(manifest, file, changed)

    def _write(self, descriptor: int, manifest: Kept) -> None:
        """Puts the file in its place in one step, readable by its owner alone."""
        file = self._file(manifest.name)
        draft = f".{secrets.token_hex(8)}.draft"
        text = yaml.safe_dump(manifest.shown(), sort_keys=False, allow_unicode=True)
        try:
            opened = os.open(
                draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=descriptor
            )
            try:
                with os.fdopen(opened, "w", encoding="utf-8") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(draft, file, src_dir_fd=descriptor, dst_dir_fd=descriptor)
            except BaseException:
                os.unlink(draft, dir_fd=descriptor)
                raise
            os.fsync(descriptor)
        except OSError as error:
            raise StoreUnwritable(f"the credentials directory can't be written: {error.strerror}") from error

    def _check(self, manifest: Kept) -> None:
        if not is_name(manifest.name) or len(manifest.name) > 200:
            raise Unfit("the name must be of lower-case letters, digits, - and ., at most 200")
        values = manifest.values() if isinstance(manifest, Secret) else manifest.data
        for key in values:
            if not _KEY.fullmatch(key):
                raise Unfit("a key must be of letters, digits, -, _ and ., at most 253")
        if sum(len(value) for value in values.values()) > LARGEST:
            raise Unfit(f"all values together are larger than {LARGEST} bytes")
