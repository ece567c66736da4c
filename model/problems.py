"""What is wrong with a manifest, and where."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from model.base import Message


class Severity(StrEnum):
    """An error refuses the whole set; a warning is shown, and the set is applied."""

    ERROR = "error"
    WARNING = "warning"


class Problem(Message):
    """One thing that is wrong: where it stands, and a sentence that says what was expected."""

    message: str
    severity: Severity = Severity.ERROR
    #: Path of the field, `spec.steps[0].uses`; empty: the whole resource.
    field: str = ""
    kind: str = ""
    name: str = ""
    #: Name of the file; empty where the resource did not come from one.
    source: str = ""
    #: Place of the document in its file, from 1; 0: unknown.
    document: int = 0
    #: From 1; 0: unknown.
    line: int = 0

    def __str__(self) -> str:
        file = f"{self.source}:{self.line}" if self.source and self.line else self.source
        resource = f"{self.kind}/{self.name}" if self.name else self.kind
        return ": ".join(part for part in (file, resource, self.field, self.message) if part)


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """The problems that refuse the set."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def field_path(parts: Iterable[str | int]) -> str:
    """A path as people write it: `spec.steps[0].uses`; a key with dots in brackets."""
    text = ""
    for part in parts:
        if isinstance(part, int) or "." in part or "/" in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
