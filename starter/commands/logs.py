"""`towpath logs`: what happened in a promotion or a verification, step by step."""

from __future__ import annotations

import click

from model.base import Json, format_time
from model.promotions import PromotionView
from starter import options
from starter.errors import NotFound
from starter.output import Format, at, print_data
from starter.progress import duration, step_name
from starter.session import Session, asynchronous
from starter.shapes import Resource, promotion_resource
from starter.yaml_text import as_yaml


class _Logs(click.Group):
    """A bare name is a verification's, as in Kargo: `logs NAME`."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return "verification", self.commands["verification"], args
        return super().resolve_command(context, args)


@click.group(cls=_Logs)
def command() -> None:
    """Show what happened in a run, step by step.

    A bare NAME is a verification's: `towpath logs NAME`.

    \b
    Examples:
      towpath logs promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath logs verification staging.01jd2v8m3k.5b2e9d1 -p guestbook
    """


@command.command("promotion")
@click.argument("name", shell_complete=options.complete_names("promotions"))
@options.project_option
@options.output_option(Format.TABLE, Format.JSON, Format.YAML)
@asynchronous
async def promotion(session: Session, name: str, project: str, output: Format) -> None:
    """Show a promotion's steps: times, outcome, output, error.

    \b
    Examples:
      towpath logs promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath logs promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook -o yaml
    """
    towpath = await session.connect()
    view = await towpath.promotion_view(project, name)
    if output is Format.TABLE:
        for line in promotion_log(view):
            click.echo(line)
    else:
        print_data(promotion_resource(view), output)


@command.command("verification")
@click.argument("name", shell_complete=options.complete_names("verifications"))
@options.project_option
@click.option("--metric", default="", help="This metric alone.")
@options.output_option(Format.TABLE, Format.JSON, Format.YAML)
@asynchronous
async def verification(session: Session, name: str, project: str, metric: str, output: Format) -> None:
    """Show a verification's metrics: measurements, values, outcome, error.

    \b
    Examples:
      towpath logs verification staging.01jd2v8m3k.5b2e9d1 -p guestbook
      towpath logs staging.01jd2v8m3k.5b2e9d1 -p guestbook --metric status
    """
    towpath = await session.connect()
    run = await towpath.get_verification(project, name)
    if metric:
        results = run.get("status", {}).get("metricResults") or []
        chosen = [result for result in results if result.get("name") == metric]
        if not chosen:
            known = ", ".join(result.get("name", "") for result in results) or "none"
            raise NotFound(f"verification {name} has no metric {metric!r}; it has {known}")
        run = {**run, "status": {**run["status"], "metricResults": chosen}}
    if output is Format.TABLE:
        for line in verification_log(run):
            click.echo(line)
    else:
        print_data(run, output)


def promotion_log(view: PromotionView) -> list[str]:
    """A Promotion as text."""
    alias = f" ({view.freight_alias})" if view.freight_alias else ""
    lines = [
        f"promotion {view.name}",
        f"  stage    {view.stage}",
        f"  freight  {view.freight}{alias}",
        f"  phase    {view.phase.value if view.phase else 'refused'}",
    ]
    if view.actor:
        lines.append(f"  actor    {view.actor}")
    if view.override_window:
        lines += _indented("  override ", f"of a closed promotion window: {view.override_window}")
    if view.message or view.waiting:
        lines += _indented("  message  ", view.message or view.waiting)
    lines.append(f"  created  {format_time(view.created_at)}")
    if view.started_at:
        lines.append(f"  started  {format_time(view.started_at)}")
    if view.finished_at:
        took = duration(view.started_at, view.finished_at)
        lines.append(f"  finished {format_time(view.finished_at)}{f' (after {took})' if took else ''}")
    for step in view.steps:
        lines.append("")
        status = step.status.value if step.status else "not begun"
        lines.append(f"step {step_name(step)}: {status}")
        if step.started_at:
            took = duration(step.started_at, step.finished_at) if step.finished_at else "running"
            lines.append(f"  started  {format_time(step.started_at)} ({took})")
        if step.error_count:
            lines.append(f"  errors   {step.error_count}")
        if step.rebuilds:
            lines.append(f"  rebuilds {step.rebuilds}")
        if step.question is not None:
            asked_by = f" by {step.question.asked_by}" if step.question.asked_by else ""
            lines.append(f"  asked    {format_time(step.question.asked_at)}{asked_by}")
            if step.question.display:
                lines += _indented("  asks     ", step.question.display)
        if step.message:
            lines += _indented("  message  ", step.message)
        for warning in step.warnings:
            lines += _indented("  warning  ", warning)
        if step.output is not None:
            lines += _indented("  output   ", _yaml(step.output))
    return lines


def verification_log(run: Resource) -> list[str]:
    """An AnalysisRun as text."""
    lines = [f"verification {at(run, 'metadata', 'name')}", f"  phase    {at(run, 'status', 'phase')}"]
    if at(run, "status", "message"):
        lines += _indented("  message  ", at(run, "status", "message"))
    if at(run, "status", "startedAt"):
        lines.append(f"  started  {at(run, 'status', 'startedAt')}")
    for result in run.get("status", {}).get("metricResults") or []:
        lines.append("")
        lines.append(f"metric {at(result, 'name')}: {at(result, 'phase')}")
        counts = [
            f"{result[field]} {field.replace('consecutiveError', 'consecutive error')}"
            for field in ("successful", "failed", "error", "inconclusive", "consecutiveError")
            if result.get(field)
        ]
        if counts:
            lines.append(f"  counts   {', '.join(counts)}")
        if at(result, "message"):
            lines += _indented("  message  ", at(result, "message"))
        for measurement in result.get("measurements") or []:
            moment = at(measurement, "finishedAt") or at(measurement, "startedAt")
            line = f"  {moment}  {at(measurement, 'phase')}"
            if at(measurement, "value"):
                line += f"  value {at(measurement, 'value')}"
            if at(measurement, "message"):
                line += f"  {' '.join(at(measurement, 'message').split())}"
            lines.append(line)
            metadata = measurement.get("metadata") or {}
            if metadata.get("job-name"):
                lines.append(f"    job {metadata.get('job-namespace', '')}/{metadata['job-name']}")
            if metadata.get("logs"):
                lines += _indented("    ", metadata["logs"].rstrip())
    return lines


def _yaml(value: Json) -> str:
    return as_yaml(value).removesuffix("...\n").rstrip()


def _indented(label: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"{label}{first}", *(f"{' ' * len(label)}{line}" for line in rest)]
