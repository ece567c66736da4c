"""`towpath apply`: make things as manifests say, all of them or none."""

from __future__ import annotations

import asyncio

import click

from starter import kinds, options
from starter.errors import InvalidInput
from starter.files import read_files
from starter.output import Format, print_data
from starter.session import Session, asynchronous


@click.command()
@options.files_option
@options.recursive_option
@options.optional_project_option
@click.option("--dry-run", is_flag=True, help="Validate, and say what would be applied; change nothing.")
@options.report_option
@asynchronous
async def command(
    session: Session, filenames: tuple[str, ...], recursive: bool, project: str, dry_run: bool, output: Format
) -> None:
    """Apply manifests, all of them or none.

    Projects, ProjectConfigs, Warehouses, Stages, PromotionTasks, AnalysisTemplates and their Cluster kinds. The
    whole set is validated first, and a set with one problem changes nothing. Manifests without a namespace belong to
    the Project of --project. Applying the same set again changes nothing.

    \b
    Examples:
      towpath apply -f manifests/
      towpath apply -f project.yaml -f stages/ -R
      cat stage.yaml | towpath apply -p guestbook -f -
      towpath apply -f manifests/ --dry-run
    """
    if not filenames:
        raise click.UsageError("say what to apply: -f FILE, -f DIR, or -f - for standard input")
    files = await asyncio.to_thread(read_files, filenames, recursive=recursive)
    towpath = await session.connect()
    applied = await towpath.apply(files, project=project, dry_run=dry_run)
    if not applied.changes:
        raise InvalidInput(f"there is no manifest in {', '.join(file.name for file in files)}")
    for warning in applied.warnings:
        click.echo(f"warning: {' '.join(warning.split())}", err=True)
    if output in (Format.JSON, Format.YAML):
        print_data(applied.model_dump(mode="json", by_alias=True), output)
        return
    for change in applied.changes:
        name = kinds.find_kind(change.kind).resource_name(change.name)
        click.echo(name if output is Format.NAME else f"{name} {change.action}{' (dry run)' if dry_run else ''}")
