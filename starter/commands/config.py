"""`towpath config`: what the command line remembers."""

from __future__ import annotations

import asyncio

import click

from starter import options
from starter.configuration import configuration_path, load_configuration, save_configuration
from starter.errors import TowpathError
from starter.output import Format, print_data
from starter.session import Session, asynchronous

#: Seconds that a look at what Projects there are may take.
LONGEST_LOOK = 5


@click.group()
def command() -> None:
    """Choose the default Project, and see what is configured.

    \b
    Examples:
      towpath config set-project guestbook
      towpath config get-project
      towpath config view
    """


@command.command("set-project")
@click.argument("name", shell_complete=options.complete_names("projects"))
@asynchronous
async def set_project(session: Session, name: str) -> None:
    """Choose the Project that is meant where --project isn't given; "" chooses none.

    \b
    Examples:
      towpath config set-project guestbook
      towpath config set-project ""
    """
    name = name.strip().lower()
    save_configuration(load_configuration().model_copy(update={"project": name}))
    click.echo(f"default project: {name}" if name else "no default project")
    if name and not await _may_exist(session, name):
        click.echo(f"warning: there is no Project {name} so far; `towpath get projects` lists what there is", err=True)


async def _may_exist(session: Session, project: str) -> bool:
    """Whether there is such a Project, as far as can be said: choosing needs no server."""
    try:
        async with asyncio.timeout(LONGEST_LOOK):
            return project in await (await session.connect()).project_names()
    except (TowpathError, TimeoutError):
        return True


@command.command("get-project")
def get_project() -> None:
    """Show the default Project.

    \b
    Examples:
      towpath config get-project
    """
    project = load_configuration().project
    if not project:
        raise click.ClickException("no default project; choose one with `towpath config set-project NAME`")
    click.echo(project)


@command.command("view")
@options.output_option(Format.YAML, Format.JSON)
def view(output: Format) -> None:
    """Show what is configured, and where that stands.

    \b
    Examples:
      towpath config view
      towpath config view -o json
    """
    print_data({"path": str(configuration_path()), **load_configuration().model_dump()}, output)
