"""`towpath thaw`: end a freeze."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.command()
@options.freeze_options
@asynchronous
async def command(session: Session, project: str, stage: str, everything: bool) -> None:
    """End a freeze of a Stage, of a Project, or of everything; one of another scope stays.

    \b
    Examples:
      towpath thaw -p guestbook --stage prod
      towpath thaw -p guestbook
      towpath thaw --all
    """
    project = options.frozen_project(project, stage, everything)
    towpath = await session.connect()
    click.echo((await towpath.thaw(project, stage)).message)
