"""Records of what `towpath up` runs on this machine, by which other processes find it: Temporal's server, the web."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

_FILE = "server.json"
_WEB_FILE = "web.json"
_LOCK = "lock"
_MAX_FILE = 64 * 1024


class ServerRecord(BaseModel):
    """Where a server listens, and which processes are behind it."""

    #: `host:port` of its gRPC front end.
    address: str
    namespace: str = "default"
    #: URL of the Temporal UI, empty without one.
    ui: str = ""
    #: URL of the codec endpoint, empty without one.
    codec: str = ""
    #: The process that runs `towpath up`, and its Temporal server.
    pid: int
    server_pid: int


def lock_file(data_directory: Path) -> Path:
    """The file that `towpath up`, and its server, hold locked for as long as they run."""
    return data_directory / _LOCK


def write_record(data_directory: Path, record: ServerRecord) -> None:
    """Replace the record, in one step."""
    draft = data_directory / f"{_FILE}.new"
    draft.write_text(record.model_dump_json(indent=2) + "\n")
    draft.replace(data_directory / _FILE)


def remove_record(data_directory: Path) -> None:
    (data_directory / _FILE).unlink(missing_ok=True)


def read_record(data_directory: Path) -> ServerRecord | None:
    """The record as it stands, of a server that may be gone. None where there is none that can be read."""
    try:
        with (data_directory / _FILE).open("rb") as file:
            return ServerRecord.model_validate_json(file.read(_MAX_FILE))
    except (OSError, ValidationError):
        return None


def running_server(data_directory: Path) -> ServerRecord | None:
    """The record of a server that runs now: a record whose lock nobody holds is stale, and None."""
    try:
        descriptor = os.open(lock_file(data_directory), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock for an instant: `towpath up` tries for a moment before it gives up.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_record(data_directory)
    finally:
        os.close(descriptor)
    return None


class WebRecord(BaseModel):
    """Where the web was last reached, and what its receivers' URLs are made from."""

    #: Base URL of the receivers: each has `<type>/<hash>` below it.
    webhooks: str
    #: None: it has no secrets, so no receivers.
    credentials_directory: Path | None = None


def write_web_record(data_directory: Path, record: WebRecord) -> None:
    """Replace the record, in one step."""
    data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = data_directory / f"{_WEB_FILE}.new"
    draft.write_text(record.model_dump_json(indent=2) + "\n")
    draft.replace(data_directory / _WEB_FILE)


def read_web_record(data_directory: Path) -> WebRecord | None:
    """The record as it stands, of a web that may be gone. None where there is none that can be read."""
    try:
        with (data_directory / _WEB_FILE).open("rb") as file:
            return WebRecord.model_validate_json(file.read(_MAX_FILE))
    except (OSError, ValidationError):
        return None
