"""`towpath approve`: Freight may go to a Stage, whatever was verified upstream."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.command()
@options.project_option
@click.option("--freight", default="", shell_complete=options.complete_names("freight"), help="The Freight, by name.")
@click.option(
    "--freight-alias", default="", shell_complete=options.complete_names("aliases"), help="The Freight, by alias."
)
@click.option("--stage", required=True, shell_complete=options.complete_names("stages"), help="The Stage.")
@asynchronous
async def command(session: Session, project: str, freight: str, freight_alias: str, stage: str) -> None:
    """Approve Freight for a Stage.

    It may be promoted there then, whatever was verified upstream.

    \b
    Examples:
      towpath approve -p guestbook --freight-alias frozen-fox --stage prod
      towpath approve -p guestbook --freight 8a1f3c2 --stage prod
    """
    if bool(freight) == bool(freight_alias):
        raise click.UsageError("say exactly one of --freight and --freight-alias")
    towpath = await session.connect()
    await towpath.approve(project, stage, freight, freight_alias)
    click.echo(f"freight {freight or freight_alias} approved for stage {stage}")
