"""`towpath verify`: verify what a Stage holds again, or abort its verification."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Verify a Stage again, or abort that.

    \b
    Examples:
      towpath verify stage staging -p guestbook
      towpath verify stage staging -p guestbook --abort
    """


@command.command("stage")
@click.argument("name", shell_complete=options.complete_names("stages"))
@options.project_option
@click.option("--abort", is_flag=True, help="Abort the verification that runs.")
@asynchronous
async def stage(session: Session, name: str, project: str, abort: bool) -> None:
    """Verify a Stage's current Freight again; with --abort, abort the verification that runs.

    \b
    Examples:
      towpath verify stage staging -p guestbook
      towpath verify stage staging -p guestbook --abort
    """
    towpath = await session.connect()
    if abort:
        outcome = await towpath.abort_verification(project, name)
        click.echo(outcome.message or f"verification of stage {name} is being aborted")
        return
    outcome = await towpath.verify(project, name)
    click.echo(outcome.message or f"verification of stage {name} requested")
