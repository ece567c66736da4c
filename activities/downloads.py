"""Files that come over the network: written as they stream in, bounded, and there at once or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


class TooLargeDownload(Exception):
    """There is more than the limit."""


#: Bytes read from a file at a time.
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Saved:
    """What was written."""

    sha256: str
    size: int


async def save(chunks: AsyncIterator[bytes], path: Path, *, limit: int) -> Saved:
    """Write what streams in to `path`, which appears, mode 0600, when all of it is there.

    Raises TooLargeDownload, OSError.
    """
    digest, size = hashlib.sha256(), 0
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    descriptor, name = await asyncio.to_thread(tempfile.mkstemp, prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise TooLargeDownload(f"more than {limit} bytes")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(os.replace, name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    return Saved(digest.hexdigest(), size)


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """A file in pieces, to be sent."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
