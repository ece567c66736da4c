"""The lock that makes one `towpath up` at most use a data directory."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from pathlib import Path

from workflows.record import lock_file, read_record, remove_record

#: How long a lock that is held is tried again, in seconds: a killed server needs a moment to be gone.
PATIENCE = 5.0


class DirectoryTaken(Exception):
    """Another `towpath up` uses this data directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"another `towpath up`{who} runs on {directory}. Stop it, or give this one a directory of its own: "
            "TOWPATH_DATA_DIRECTORY."
        )
        self.directory = directory
        self.pid = pid


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class DirectoryLock:
    """A lock on a data directory, held until every process that inherited `descriptor` is gone.

    The Temporal server inherits it: so nobody opens a database that a server still writes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.descriptor = -1

    async def acquire(self) -> None:
        """Raises DirectoryTaken, or OSError where the directory can't be made or written."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(lock_file(self.directory), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + PATIENCE
        while not _try(descriptor):
            record = read_record(self.directory)
            if record and _alive(record.pid):
                holder: int | None = record.pid
            else:
                holder = None
                if record and _alive(record.server_pid):
                    # Its `towpath up` is gone, the lock is held: only the orphaned server can hold it.
                    os.kill(record.server_pid, signal.SIGKILL)
            # A client that looks whether a server runs holds the lock for an instant: hence a few tries at least.
            if time.monotonic() > until or (holder and time.monotonic() > until - PATIENCE + 0.5):
                os.close(descriptor)
                raise DirectoryTaken(self.directory, holder)
            await asyncio.sleep(0.05)
        self.descriptor = descriptor
        remove_record(self.directory)

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
