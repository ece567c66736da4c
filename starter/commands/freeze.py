"""`towpath freeze`: stop the line."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.command()
@options.freeze_options
@click.option("--reason", required=True, help="Why; shown wherever something waits for the thaw.")
@asynchronous
async def command(session: Session, project: str, stage: str, everything: bool, reason: str) -> None:
    """Let nothing new start: in a Stage, in a Project, or anywhere.

    Promotions that run go on to their ends; those asked for meanwhile wait, and show why.

    \b
    Examples:
      towpath freeze -p guestbook --stage prod --reason "the sale"
      towpath freeze -p guestbook --reason "the sale"
      towpath freeze --all --reason "the registry is down"
    """
    project = options.frozen_project(project, stage, everything)
    towpath = await session.connect()
    click.echo((await towpath.freeze(reason, project, stage)).message)
