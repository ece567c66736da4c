"""What `towpath promote --preview` prints."""

from __future__ import annotations

from collections.abc import Iterator

import click

from model.previews import PreviewOutcome, PreviewResult, WorktreeChange
from starter.errors import TowpathError
from starter.output import Format, print_data


def show_preview(result: PreviewResult, output: Format) -> None:
    """Print the diffs, and what no preview can tell. Raises TowpathError where a step would fail."""
    if output in (Format.JSON, Format.YAML):
        print_data(result.model_dump(mode="json", by_alias=True), output)
    else:
        for line in _lines(result):
            click.echo(line)
    failure = result.failure
    if failure is not None:
        raise TowpathError(f"the promotion would fail: step {failure.alias} ({failure.uses}): {failure.message}")


def _lines(result: PreviewResult) -> Iterator[str]:
    freight = result.freight_alias or result.freight[:7]
    yield f"Freight {freight} would change Stage {result.stage} so; nothing was changed."
    if result.unavailable:
        yield f"It would be refused now: {result.unavailable}"
    if not result.changes:
        yield "No commit would be made."
    for change in result.changes:
        yield ""
        yield _heading(change)
        yield from (f"  {subject}" for subject in change.commits)
        yield ""
        yield change.diff.rstrip("\n")
        if change.truncated:
            yield "… the diff is longer than what is shown"
    remarks = [step for step in result.steps if step.outcome is not PreviewOutcome.DONE]
    if remarks:
        yield ""
    words = {PreviewOutcome.LEFT_OUT: "left out", PreviewOutcome.UNKNOWN: "not known", PreviewOutcome.FAILED: "fails"}
    for step in remarks:
        yield f"{words.get(step.outcome, 'skipped')}: {step.alias} ({step.uses}), {step.message}"
    for step in result.steps:
        yield from (f"warning: {step.alias}: {warning}" for warning in step.warnings)


def _heading(change: WorktreeChange) -> str:
    count = len(change.files)
    branch = f" branch {change.branch}" if change.branch else ""
    return f"{change.repo_url}{branch}: {count} file{'s' if count != 1 else ''} in {len(change.commits)} commit(s)"
