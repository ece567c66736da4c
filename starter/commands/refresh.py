"""`towpath refresh`: look now, not at the next interval."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Look for artifacts, or at health, now.

    \b
    Examples:
      towpath refresh warehouse guestbook -p guestbook --wait
      towpath refresh stage dev -p guestbook
    """


@command.command("warehouse")
@click.argument("name", shell_complete=options.complete_names("warehouses"))
@options.project_option
@click.option("--wait", is_flag=True, help="Wait until the look is over.")
@asynchronous
async def warehouse(session: Session, name: str, project: str, wait: bool) -> None:
    """Look for new artifacts now.

    \b
    Examples:
      towpath refresh warehouse guestbook -p guestbook
      towpath refresh warehouse guestbook -p guestbook --wait
    """
    towpath = await session.connect()
    outcome = await towpath.refresh_warehouse(project, name, wait=wait)
    click.echo(outcome.message or f"warehouse {name} refreshed")


@command.command("stage")
@click.argument("name", shell_complete=options.complete_names("stages"))
@options.project_option
@click.option("--wait", is_flag=True, help="Wait until the look is over.")
@asynchronous
async def stage(session: Session, name: str, project: str, wait: bool) -> None:
    """Look at a Stage's health now.

    \b
    Examples:
      towpath refresh stage dev -p guestbook
      towpath refresh stage dev -p guestbook --wait
    """
    towpath = await session.connect()
    outcome = await towpath.refresh_stage(project, name, wait=wait)
    click.echo(outcome.message or f"stage {name} refreshed")
