"""`towpath get`: what there is, as tables for people and as JSON or YAML for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from starter import kinds, options, tables
from starter.errors import InvalidInput, NotFound, TowpathError
from starter.kinds import Kind
from starter.output import Format, print_resources
from starter.session import Session, asynchronous
from starter.shapes import Resource

if TYPE_CHECKING:
    from starter.client import Towpath

_PROJECTLESS = (
    kinds.PROJECT,
    kinds.CLUSTER_PROMOTION_TASK,
    kinds.CLUSTER_ANALYSIS_TEMPLATE,
    kinds.CLUSTER_CONFIG,
    kinds.CLUSTER_MESSAGE_CHANNEL,
)
#: Listed from memos.
_GLANCED = (kinds.PROJECT, kinds.WAREHOUSE, kinds.STAGE)


def _complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    try:
        plural = kinds.find_kind(context.params.get("kind") or "").plural
    except TowpathError:
        return []
    plural = "verifications" if plural == kinds.VERIFICATION.plural else plural
    return options.complete_names(plural)(context, parameter, incomplete)


@click.command()
@click.argument("kind", metavar="TYPE", shell_complete=options.complete_kinds)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_names)
@options.optional_project_option
@click.option(
    "--stage",
    default="",
    shell_complete=options.complete_names("stages"),
    help="Promotions, verifications: of this Stage alone.",
)
@click.option(
    "--warehouse",
    "--origin",
    "warehouses",
    multiple=True,
    shell_complete=options.complete_names("warehouses"),
    help="Freight: of this Warehouse alone. May be given many times.",
)
@click.option("--name", "more_names", multiple=True, help="Freight: of this name. May be given many times.")
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    shell_complete=options.complete_names("aliases"),
    help="Freight: with this alias. May be given many times.",
)
@click.option("--no-headers", is_flag=True, help="Tables without their first line.")
@options.output_option()
@asynchronous
async def command(
    session: Session,
    kind: str,
    names: tuple[str, ...],
    project: str,
    stage: str,
    warehouses: tuple[str, ...],
    more_names: tuple[str, ...],
    aliases: tuple[str, ...],
    no_headers: bool,
    output: Format,
) -> None:
    """Show one or many resources.

    TYPE is projects, projectconfigs, warehouses, freight, stages, promotions (promo), verifications (analysisruns),
    promotiontasks, clusterpromotiontasks, analysistemplates, clusteranalysistemplates, messagechannels or
    clustermessagechannels, in singular or plural; TYPE/NAME works too.

    \b
    Examples:
      towpath get projects
      towpath get stages -p guestbook
      towpath get stage dev -p guestbook -o yaml
      towpath get freight -p guestbook --alias frozen-fox
      towpath get promotions -p guestbook --stage dev -o json
      towpath get freight -p guestbook -o wide
    """
    kind, slash, name = kind.partition("/")
    found_kind = kinds.find_kind(kind)
    names = tuple(dict.fromkeys([*([name] if slash else []), *names, *more_names]))
    if (warehouses or aliases or more_names) and found_kind is not kinds.FREIGHT:
        raise click.UsageError("--warehouse, --alias and --name go with freight")
    if stage and found_kind not in (kinds.PROMOTION, kinds.VERIFICATION):
        raise click.UsageError("--stage goes with promotions and verifications")
    if warehouses and (names or aliases):
        raise click.UsageError("--warehouse does not go together with names or aliases")
    if not project and found_kind not in _PROJECTLESS:
        raise click.UsageError(
            "no project: say --project, set TOWPATH_PROJECT, or choose one with `towpath config set-project NAME`"
        )
    towpath = await session.connect()
    missing: list[NotFound] = []
    if names or aliases:
        items = []
        wanted = [(name, "") for name in names] + [("", alias) for alias in aliases]
        # A table of some shows what a table of all does, aliases of Freight among it, and that stands in the memos.
        glanced = output.for_people and found_kind in _GLANCED
        rows = await _list(towpath, found_kind, project, "", (), whole=False) if glanced else []
        known = {row["metadata"]["name"]: row for row in rows}
        for name, alias in wanted:
            try:
                items.append(known.get(name) or await _get(towpath, found_kind, project, name, alias))
            except NotFound as error:
                missing.append(error)
    else:
        whole = not output.for_people and output is not Format.NAME
        items = await _list(towpath, found_kind, project, stage, warehouses, whole=whole)
    if items or not missing:
        # Who asked for verifications, and not by Argo Rollouts' word for them, hears of verifications.
        called = "verifications" if kind.lower().startswith("verification") else found_kind.plural
        where = f" in Project {project}" if found_kind.namespaced else ""
        print_resources(
            items,
            tables.COLUMNS[found_kind],
            output,
            single=len(names) + len(aliases) == 1,
            headers=not no_headers,
            nothing=f"No {called} found{where}.",
        )
    if missing:
        for lacking in missing[:-1]:
            click.echo(f"error: {lacking}", err=True)
        raise missing[-1]


async def _list(
    towpath: Towpath, kind: Kind, project: str, stage: str, warehouses: Sequence[str], *, whole: bool
) -> list[Resource]:
    """Resources for a table from lists and memos; `whole`, with all there is to know, from their owners."""
    if kind is kinds.PROJECT:
        if whole:
            return await towpath.list_projects()
        return [tables.project_row(line) for line in await towpath.project_lines()]
    if kind is kinds.PROJECT_CONFIG:
        view = await towpath.project_view(project)
        return [] if view.config is None else [await towpath.get_project_config(project)]
    if kind is kinds.WAREHOUSE:
        if whole:
            return await towpath.list_warehouses(project)
        return [tables.warehouse_row(line) for line in await towpath.warehouse_lines(project)]
    if kind is kinds.FREIGHT:
        return await towpath.list_freight(project, warehouses)
    if kind is kinds.STAGE:
        if whole:
            return await towpath.list_stages(project)
        return [tables.stage_row(line) for line in await towpath.stage_lines(project)]
    if kind is kinds.PROMOTION:
        return await towpath.list_promotions(project, stage, whole=whole)
    if kind is kinds.VERIFICATION:
        return await towpath.list_verifications(project, stage, whole=whole)
    if kind is kinds.PROMOTION_TASK:
        return await towpath.list_promotion_tasks(project)
    if kind is kinds.ANALYSIS_TEMPLATE:
        return await towpath.list_analysis_templates(project)
    if kind is kinds.MESSAGE_CHANNEL:
        return await towpath.list_message_channels(project)
    if kind is kinds.CLUSTER_MESSAGE_CHANNEL:
        return await towpath.list_cluster_message_channels()
    if kind is kinds.CLUSTER_PROMOTION_TASK:
        return await towpath.list_cluster_promotion_tasks()
    if kind is kinds.CLUSTER_ANALYSIS_TEMPLATE:
        return await towpath.list_cluster_analysis_templates()
    config = await towpath.find_cluster_config()
    return [] if config is None else [config]


async def _get(towpath: Towpath, kind: Kind, project: str, name: str, alias: str) -> Resource:
    if kind is kinds.PROJECT:
        return await towpath.get_project(name)
    if kind is kinds.PROJECT_CONFIG:
        return await towpath.get_project_config(name)
    if kind is kinds.WAREHOUSE:
        return await towpath.get_warehouse(project, name)
    if kind is kinds.FREIGHT:
        return await towpath.get_freight(project, name, alias)
    if kind is kinds.STAGE:
        return await towpath.get_stage(project, name)
    if kind is kinds.PROMOTION:
        return await towpath.get_promotion(project, name)
    if kind is kinds.VERIFICATION:
        return await towpath.get_verification(project, name)
    if kind is kinds.PROMOTION_TASK:
        return await towpath.get_promotion_task(project, name)
    if kind is kinds.ANALYSIS_TEMPLATE:
        return await towpath.get_analysis_template(project, name)
    if kind is kinds.MESSAGE_CHANNEL:
        return await towpath.get_message_channel(project, name)
    if kind is kinds.CLUSTER_MESSAGE_CHANNEL:
        return await towpath.get_cluster_message_channel(name)
    if kind is kinds.CLUSTER_PROMOTION_TASK:
        return await towpath.get_cluster_promotion_task(name)
    if kind is kinds.CLUSTER_ANALYSIS_TEMPLATE:
        return await towpath.get_cluster_analysis_template(name)
    config = await towpath.find_cluster_config()
    if config is None:
        raise InvalidInput("there is no ClusterConfig")
    return config
