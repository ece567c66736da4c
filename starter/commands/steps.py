"""`towpath steps`: the steps that the workers know, custom ones too."""

from __future__ import annotations

import click

from starter import options
from starter.errors import NotFound
from starter.output import Format, print_data, print_table
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """See which steps promotions may have, as the workers that run now know them.

    \b
    Examples:
      towpath steps list
      towpath steps show git-clone
    """


@command.command("list")
@options.output_option(Format.TABLE, Format.JSON, Format.YAML, Format.NAME)
@asynchronous
async def list_steps(session: Session, output: Format) -> None:
    """List all steps: what each touches, and what it does.

    \b
    Examples:
      towpath steps list
      towpath steps list -o name
    """
    towpath = await session.connect()
    found = (await towpath.describe_steps()).steps
    if output is Format.NAME:
        for step in found:
            click.echo(step.kind.name)
    elif output is Format.TABLE:
        rows = [[step.kind.name, step.kind.effect.value, " ".join(step.description.split())] for step in found]
        print_table(["NAME", "EFFECT", "DESCRIPTION"], rows)
    else:
        shown = [
            {"name": step.kind.name, "effect": step.kind.effect.value, "description": step.description}
            for step in found
        ]
        print_data(shown, output)


@command.command("show")
@click.argument("name")
@options.output_option(Format.YAML, Format.JSON)
@asynchronous
async def show(session: Session, name: str, output: Format) -> None:
    """Show one step: what it does, and the JSON Schemas of its config and output.

    \b
    Examples:
      towpath steps show git-clone
      towpath steps show git-clone -o json
    """
    towpath = await session.connect()
    answer = await towpath.describe_steps(name)
    if not answer.steps:
        raise NotFound(f"{answer.message}; `towpath steps list` shows what there is")
    step = answer.steps[0]
    shown = {"name": step.kind.name, "effect": step.kind.effect.value, "description": step.description}
    schemas = {"config": step.config_schema, "output": step.output_schema}
    print_data({**shown, **{key: value for key, value in schemas.items() if value}}, output)
