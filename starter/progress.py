"""Promotions as they go, for people: a live table on a terminal, elsewhere one line for each change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from model.promotions import PromotionView, StepRecord
from model.resources.promotion import PromotionPhase
from model.steps import StepStatus
from starter.output import COLOURS, coloured, console, is_terminal


def duration(started: datetime | None, finished: datetime | None) -> str:
    """How long something took, or has taken so far: `0.4s`, `1m5s`."""
    if started is None:
        return ""
    seconds = ((finished or datetime.now(UTC)) - started).total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def step_name(step: StepRecord) -> str:
    """`push (git-push)`; the kind alone where the alias says nothing more."""
    return f"{step.alias} ({step.uses})" if step.uses and step.uses != step.alias else step.alias


def failing_step(view: PromotionView) -> StepRecord | None:
    """The step whose message is the Promotion's: the worst one that does not continue on error."""
    failures = [step for step in view.steps if step.status and step.status.failure and not step.continue_on_error]
    said = [step for step in failures if step.message == view.message]
    return next(iter(said or failures), None)


def verdict(view: PromotionView) -> str:
    """Why a Promotion did not succeed, in one line."""
    phase = view.phase.value if view.phase else "was refused"
    step = failing_step(view)
    if step is None:
        return f"promotion {view.name} {phase}: {view.message or 'no reason was given'}"
    return f"promotion {view.name} {phase}: step {step_name(step)}: {step.message or view.message}"


class Lines:
    """Tells every change in a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, view: PromotionView) -> None:
        for number, step in enumerate(view.steps):
            if step.status is not None:
                self._say(f"{view.name}/{number}", f"{view.stage}: {_step_line(step)}")
        phase = view.phase.value if view.phase else "Asked for"
        if view.phase is PromotionPhase.PENDING and view.waiting:
            self._say(view.name, f"{view.stage}: Pending: {view.waiting}")
        elif view.phase is not None and view.phase.terminal:
            took = duration(view.started_at, view.finished_at)
            self._say(view.name, f"{view.stage}: {phase}{f' after {took}' if took else ''}")
        else:
            self._say(view.name, f"{view.stage}: {phase}")

    def say(self, text: str) -> None:
        """A remark that belongs to no promotion."""
        click.echo(text, file=self._stream)

    def _say(self, about: str, line: str) -> None:
        if self._told.get(about) != line:
            self._told[about] = line
            click.echo(line, file=self._stream)


class LiveTable:
    """Draws all steps anew at each change, and while time passes."""

    def __init__(self, stream: TextIO) -> None:
        self._views: dict[str, PromotionView] = {}
        self._remarks: list[str] = []
        self._live = Live(
            console=console(stream), get_renderable=self._draw, refresh_per_second=4, vertical_overflow="visible"
        )

    def __enter__(self) -> LiveTable:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, view: PromotionView) -> None:
        self._views[view.name] = view
        self._live.refresh()

    def say(self, text: str) -> None:
        """A remark that belongs to no promotion."""
        self._remarks.append(text)
        self._live.refresh()

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        for name in sorted(self._views):
            parts += _drawn(self._views[name])
        return Group(*parts, *(Text(remark, style="yellow") for remark in self._remarks))


def progress_on(stream: TextIO) -> Lines | LiveTable:
    """What suits the stream."""
    return LiveTable(stream) if is_terminal(stream) else Lines(stream)


def _drawn(view: PromotionView) -> Iterable[RenderableType]:
    title = Text.assemble((view.stage, "bold"), "  ")
    title.append(view.phase.value if view.phase else "asked for", COLOURS.get(view.phase or "", ""))
    if view.waiting:
        title.append(f"  {view.waiting}", "dim")
    took = duration(view.started_at, view.finished_at)
    if took:
        title.append(f"  {took}", "dim")
    title.append(f"  {view.name}", "dim")
    yield title
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for step in view.steps:
        status = step.status.value if step.status else ""
        message = " ".join([step.message, *step.warnings]).strip()
        table.add_row(
            f"  {step_name(step)}", coloured(status), duration(step.started_at, step.finished_at), Text(message, "dim")
        )
    yield table


def _step_line(step: StepRecord) -> str:
    status = step.status.value if step.status else ""
    if step.status is StepStatus.RUNNING:
        return f"{step_name(step)}: {status}{f': {step.message}' if step.message else ''}"
    took = duration(step.started_at, step.finished_at) if step.started_at and step.finished_at else ""
    line = f"{step_name(step)}: {status}{f' after {took}' if took else ''}"
    remarks = "; ".join(" ".join(text.split()) for text in [step.message, *step.warnings] if text)
    return f"{line}: {remarks}" if remarks else line
