"""`towpath update`: give Freight another alias."""

from __future__ import annotations

import click

from starter import options
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Change the alias of Freight.

    \b
    Examples:
      towpath update freight -p guestbook --old-alias wonky-wombat --new-alias frozen-fox
    """


@command.command("freight")
@click.argument("argument", metavar="[NAME]", default="", shell_complete=options.complete_names("freight"))
@options.project_option
@click.option("--name", default="", shell_complete=options.complete_names("freight"), help="The Freight, by name.")
@click.option(
    "--old-alias", default="", shell_complete=options.complete_names("aliases"), help="The Freight, by alias."
)
@click.option("--new-alias", required=True, help="Its new alias, unique in the Project.")
@asynchronous
async def freight(session: Session, argument: str, project: str, name: str, old_alias: str, new_alias: str) -> None:
    """Give Freight another alias.

    \b
    Examples:
      towpath update freight -p guestbook --name 8a1f3c2 --new-alias frozen-fox
      towpath update freight -p guestbook --old-alias wonky-wombat --new-alias frozen-fox
    """
    given = [text for text in (argument, name, old_alias) if text]
    if len(given) != 1:
        raise click.UsageError("say exactly one of --name and --old-alias")
    towpath = await session.connect()
    await towpath.set_alias(project, new_alias, argument or name, old_alias)
    click.echo(f"freight {given[0]} has the alias {new_alias}")
