"""The file diff that a promotion would commit, for the dialog that asks whether to promote. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from model.previews import PreviewOutcome, PreviewResult

#: Lines of one diff that are shown.
_LINES = 2000


@dataclass(frozen=True)
class Line:
    """One line of a diff; `kind`: `add`, `del`, `hunk`, `file` or nothing."""

    kind: str
    text: str


def lines(diff: str) -> list[Line]:
    """The lines of a unified diff, as far as they are shown."""
    shown = []
    inside = False
    for text in diff.splitlines()[:_LINES]:
        if text.startswith("diff --git"):
            inside = False
        if text.startswith("@@"):
            inside = True
            shown.append(Line("hunk", text))
        elif not inside:
            shown.append(Line("file", text))
        else:
            shown.append(Line({"+": "add", "-": "del"}.get(text[:1], ""), text))
    return shown


def remarks(result: PreviewResult) -> list[str]:
    """What no preview can tell, in sentences."""
    words = {PreviewOutcome.LEFT_OUT: "left out", PreviewOutcome.UNKNOWN: "not known", PreviewOutcome.FAILED: "fails"}
    found = [
        f"{step.alias} ({step.uses}): {words.get(step.outcome, 'skipped')}{f', {step.message}' if step.message else ''}"
        for step in result.steps
        if step.outcome is not PreviewOutcome.DONE
    ]
    return found + [f"{step.alias}: {warning}" for step in result.steps for warning in step.warnings]
