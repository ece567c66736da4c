"""`towpath version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from starter import options
from starter.output import Format, print_data


@click.command()
@click.option("--client", is_flag=True, help="Accepted for Kargo's sake: there is no other version to show.")
@options.output_option(Format.TABLE, Format.JSON, Format.YAML)
def command(client: bool, output: Format) -> None:
    """Show the version.

    \b
    Examples:
      towpath version
      towpath version -o json
    """
    try:
        number = version("towpath")
    except PackageNotFoundError:
        number = "unknown (not installed)"
    if output is Format.TABLE:
        click.echo(f"towpath {number}")
    else:
        print_data({"version": number}, output)
