"""The audit log: a line of JSON for every change, login and refusal. Never a secret, a body, or a query string."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from model.base import Json, format_time
from workflows.settings import SettingsInvalid

logger = logging.getLogger("towpath.access")

#: The longest text of one field.
_LONGEST = 500


class Outcome(StrEnum):
    """How what somebody wanted ended."""

    DONE = "done"
    #: Who they are is not known, or they may not.
    DENIED = "denied"
    #: It was allowed, and came to nothing: it made no sense, the owner refused, something broke.
    FAILED = "failed"


class AuditLog:
    """Adds lines to a file. The file may be moved away or emptied at any time: the next line begins another."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises SettingsInvalid where the file can't be written."""
        if self._file in ("", "-"):
            return
        try:
            os.close(self._open())
        except OSError as error:
            raise SettingsInvalid(f"TOWPATH_AUDIT_FILE: {self._file} can't be written: {error.strerror}") from error

    def write(
        self,
        *,
        actor: str,
        address: str,
        verb: str,
        outcome: Outcome,
        project: str = "",
        stage: str = "",
        **more: Json,
    ) -> None:
        """Adds a line. A line that can't be written is in the process's log instead, with an error."""
        if not self._file:
            return
        entry: dict[str, Json] = {
            "time": format_time(datetime.now(UTC)),
            "actor": actor,
            "address": address,
            "verb": verb,
            "outcome": outcome.value,
            "project": project,
            "stage": stage,
            **more,
        }
        line = _line(entry)
        if self._file == "-":
            sys.stderr.write(line)
            return
        try:
            with self._lock:
                descriptor = self._open()
                try:
                    # One write to a file opened for appending: lines of several processes don't mix.
                    os.write(descriptor, line.encode())
                finally:
                    os.close(descriptor)
        except OSError as error:
            logger.error("the audit log %s can't be written (%s): %s", self._file, error.strerror, line.rstrip())

    def _open(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _line(entry: Mapping[str, Json]) -> str:
    kept = {
        key: value[:_LONGEST] if isinstance(value, str) else value
        for key, value in entry.items()
        if value not in ("", None, [])
    }
    # ASCII: no control character, no separator of lines, can begin a line of its own.
    return json.dumps(kept, ensure_ascii=True) + "\n"
