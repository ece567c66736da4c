"""What a rule says of one resource, before it is known where the resource stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model.problems import Severity

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """A sentence about a field of a resource."""

    path: Path
    message: str
    severity: Severity = Severity.ERROR


Findings = Iterator[Finding]


def error(path: Path, message: str) -> Finding:
    return Finding(path, message)


def warning(path: Path, message: str) -> Finding:
    return Finding(path, message, Severity.WARNING)
