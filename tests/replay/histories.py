"""Recorded histories: where they lie, and how they are written and read. One directory for each release."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from workflows.converter import data_converter

HISTORIES = Path(__file__).parents[1] / "histories"
#: Fields of events that name the machine or process that was at work; they mean nothing to a replay.
_IDENTITIES = frozenset({"identity", "workerIdentity", "binaryChecksum"})


def write_history(directory: Path, name: str, history: WorkflowHistory) -> Path:
    """Write a history without what tells where it was recorded; the same history gives the same bytes."""
    document = _anonymous(json.loads(history.to_json()))
    document = {"workflowId": history.workflow_id, **document}
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json.gz"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


def read_history(path: Path) -> WorkflowHistory:
    """A history as it was written."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    return WorkflowHistory.from_json(document.pop("workflowId"), document)


def recorded() -> list[Path]:
    """All histories of all releases."""
    return sorted(HISTORIES.glob("*/*.json.gz"))


def texts(path: Path) -> list[str]:
    """Every text in a history, those within payloads too."""
    found: list[str] = []
    payloads: list[Payload] = []
    _gather(json.loads(gzip.decompress(path.read_bytes())), found, payloads)
    codec = data_converter().payload_codec
    assert codec is not None
    return found + [payload.data.decode(errors="replace") for payload in asyncio.run(codec.decode(payloads))]


def _anonymous(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _anonymous(item) for name, item in value.items()}
        for name in _IDENTITIES & kept.keys():
            kept[name] = "recorder"
        if kept.get("kind") == "TASK_QUEUE_KIND_STICKY":
            kept["name"] = "recorder"
        if "stackTrace" in kept:
            kept["stackTrace"] = ""
        return kept
    if isinstance(value, list):
        return [_anonymous(item) for item in value]
    return value


def _gather(value: Any, found: list[str], payloads: list[Payload]) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("metadata"), dict) and "encoding" in value["metadata"]:
            metadata = {name: base64.b64decode(item) for name, item in value["metadata"].items()}
            payloads.append(Payload(metadata=metadata, data=base64.b64decode(value.get("data", ""))))
            return
        for item in value.values():
            _gather(item, found, payloads)
    elif isinstance(value, list):
        for item in value:
            _gather(item, found, payloads)
    elif isinstance(value, str):
        found.append(value)
