"""`towpath delete`: end what manifests had begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from starter import kinds, options
from starter.applying import named_in
from starter.deleting import Reference
from starter.errors import NotFound
from starter.files import read_files
from starter.output import Format, print_data
from starter.session import Session, asynchronous

if TYPE_CHECKING:
    from starter.client import Towpath


def _complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    plural = {"project": "projects", "stage": "stages", "warehouse": "warehouses", "freight": "freight"}.get(
        (context.params.get("kind") or "").lower().rstrip("s")
    )
    return options.complete_names(plural)(context, parameter, incomplete) if plural else []


@click.command()
@click.argument("kind", metavar="[TYPE]", default="", shell_complete=options.complete_kinds)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_names)
@options.optional_project_option
@options.files_option
@options.recursive_option
@click.option("--force", is_flag=True, help="Also while a promotion runs: it is aborted.")
@click.option("--ignore-not-found", is_flag=True, help="What isn't there is no error.")
@options.report_option
@asynchronous
async def command(
    session: Session,
    kind: str,
    names: tuple[str, ...],
    project: str,
    filenames: tuple[str, ...],
    recursive: bool,
    force: bool,
    ignore_not_found: bool,
    output: Format,
) -> None:
    """Delete resources.

    Those in files, or those of a TYPE and NAME; Freight also by alias, if no Stage holds it. A Project goes with
    everything in it. While a promotion runs in one of the Stages, nothing is deleted, unless --force is given.

    \b
    Examples:
      towpath delete -f manifests/
      towpath delete stage dev -p guestbook
      towpath delete freight wonky-wombat -p guestbook
      towpath delete project guestbook --force
    """
    if bool(filenames) == bool(kind):
        raise click.UsageError("say either -f FILE, or a TYPE and the NAMEs of what to delete")
    if filenames:
        references = named_in(await asyncio.to_thread(read_files, filenames, recursive=recursive), project)
    else:
        kind, slash, name = kind.partition("/")
        found = kinds.find_kind(kind)
        names = ((name,) if slash else ()) + names
        if not names:
            raise click.UsageError(f"which {found.singular}? Say its NAME")
        if found.namespaced and not project:
            raise click.UsageError(
                "no project: say --project, set TOWPATH_PROJECT, or choose one with `towpath config set-project NAME`"
            )
        references = [Reference(found, name, project if found.namespaced else "") for name in names]
    towpath = await session.connect()
    if ignore_not_found:
        references = [reference for reference in references if await _is_there(towpath, reference)]
    deleted = await towpath.delete(references, force=force)
    if output in (Format.JSON, Format.YAML):
        print_data(
            [
                {"kind": item.reference.kind.name, "namespace": item.reference.project, "name": item.reference.name}
                for item in deleted
            ],
            output,
        )
        return
    for item in deleted:
        name = item.reference.kind.resource_name(item.reference.name)
        click.echo(name if output is Format.NAME else f"{name} deleted")


async def _is_there(towpath: Towpath, reference: Reference) -> bool:
    try:
        await towpath.check_there(reference)
    except NotFound:
        return False
    return True
