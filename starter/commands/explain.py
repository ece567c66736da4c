"""`towpath explain`: why a Stage does what it does, and why it doesn't."""

from __future__ import annotations

import click

from model.base import format_time
from model.explanation import StageExplanation
from starter import options
from starter.output import Format, print_data
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Explain what goes on by itself, and what doesn't.

    \b
    Examples:
      towpath explain stage prod -p guestbook
      towpath explain stage prod -p guestbook --freight-alias frozen-fox
    """


@command.command("stage")
@click.argument("name", shell_complete=options.complete_names("stages"))
@options.project_option
@click.option("--freight", multiple=True, shell_complete=options.complete_names("freight"), help="Freight, by name.")
@click.option(
    "--freight-alias", multiple=True, shell_complete=options.complete_names("aliases"), help="Freight, by alias."
)
@options.report_option
@asynchronous
async def stage(
    session: Session,
    name: str,
    project: str,
    freight: tuple[str, ...],
    freight_alias: tuple[str, ...],
    output: Format,
) -> None:
    """Explain why a Stage promotes by itself or doesn't, and of Freight whether it may come there.

    \b
    Examples:
      towpath explain stage prod -p guestbook
      towpath explain stage prod -p guestbook --freight-alias frozen-fox
    """
    towpath = await session.connect()
    explanation = await towpath.explain_stage(project, name, freight, freight_alias)
    if not output.for_people:
        print_data(explanation.model_dump(mode="json", by_alias=True, exclude_none=True), output)
        return
    for line in sentences(explanation):
        click.echo(line)


def sentences(explanation: StageExplanation) -> list[str]:
    """The explanation, a line for each thing said."""
    lines = [f"a promotion to {explanation.stage} would wait: {explanation.waiting}"] if explanation.waiting else []
    lines += [f"{origin.origin}: {origin.reason}" for origin in explanation.origins]
    for piece in explanation.freight:
        available = "available" if piece.available else "not available"
        at = f"; will be at {format_time(piece.available_at)}" if piece.available_at and not piece.available else ""
        candidate = "the candidate" if piece.candidate else "not the candidate"
        lines.append(f"Freight {piece.alias or piece.freight} is {available}: {piece.reason}{at}")
        lines.append(f"Freight {piece.alias or piece.freight} is {candidate}: {piece.auto_promotion}")
    return lines
