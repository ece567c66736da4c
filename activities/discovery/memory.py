"""What was seen at the last look, on the worker's disk: so that a look at something unchanged costs one request.

Everything here may be deleted at any time; the next look then costs as much as the first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

logger = logging.getLogger(__name__)

#: Entries kept, bytes of all of them, and of one. More are not remembered.
MAX_ENTRIES = 20_000
MAX_TOTAL = 512 * 1024 * 1024
MAX_SIZE = 4 * 1024 * 1024

#: An entry's age is refreshed when it is read, but not more often than this, in seconds.
_REFRESH = 3600.0
_SUFFIX = ".json"

_Model = TypeVar("_Model", bound=BaseModel)


class Memory:
    """Records of pydantic models, found by kind and key. The longest unused go first when there are too many.

    Several workers may share the directory: a record is put in its place whole, or not at all.
    """

    def __init__(self, directory: Path, *, max_entries: int = MAX_ENTRIES, max_total: int = MAX_TOTAL) -> None:
        self.directory = directory
        self._max_entries = max_entries
        self._max_total = max_total
        #: Entries and bytes that may be written until all are counted.
        self._entries_left = self._bytes_left = 0

    async def recall(self, kind: str, key: object, model: type[_Model]) -> _Model | None:
        """The record last kept under this key; None where there is none that can be read."""
        return await asyncio.to_thread(self._read, self._path(kind, key), model)

    async def keep(self, kind: str, key: object, record: BaseModel) -> None:
        """Keep a record in place of the one before. What can't be written is not remembered, and logged."""
        await asyncio.to_thread(self._write, self._path(kind, key), record.model_dump_json(by_alias=True).encode())

    def _path(self, kind: str, key: object) -> Path:
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.directory / kind / name[:2] / f"{name}{_SUFFIX}"

    def _read(self, path: Path, model: type[_Model]) -> _Model | None:
        try:
            status = path.stat()
            if status.st_size > MAX_SIZE:
                return None
            record = model.model_validate_json(path.read_bytes())
            if time.time() - status.st_mtime > _REFRESH:
                os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            logger.warning("what was remembered of an earlier look can't be read, so it is not used: %s", type(error))
            return None
        return record

    def _write(self, path: Path, content: bytes) -> None:
        if len(content) > MAX_SIZE:
            logger.warning("the result of a look is too large to be remembered: %d bytes", len(content))
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._entries_left -= 1
            self._bytes_left -= len(content)
            if self._entries_left < 0 or self._bytes_left < 0:
                self._collect()
        except OSError as error:
            logger.warning("the result of a look can't be remembered, so the next one costs more: %s", error.strerror)

    def _collect(self) -> None:
        """Delete the longest unused entries where they are too many or too large. Rare: it reads every directory."""
        self._entries_left = self._max_entries // 10
        self._bytes_left = self._max_total // 10
        entries = []
        for path in self.directory.glob("*/*/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            entries.append((status.st_mtime, status.st_size, path))
        entries.sort(reverse=True)
        total = 0
        for place, (age, size, path) in enumerate(entries):
            total += size
            if place >= self._max_entries or total > self._max_total:
                path.unlink(missing_ok=True)
                logger.debug("forgot %s, unused for %.0f s", path.name, time.time() - age)
