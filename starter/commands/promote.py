"""`towpath promote`: ask for a promotion, and see it through if wanted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from model.promotions import Admission, PromotionView
from model.resources.promotion import PromotionPhase
from starter import kinds, options
from starter.errors import Refused, TowpathError
from starter.output import Format, print_data
from starter.previewing import show_preview
from starter.progress import Lines, LiveTable, progress_on, verdict
from starter.session import Session, asynchronous
from starter.shapes import promotion_resource, resource_list

if TYPE_CHECKING:
    from starter.client import Towpath


@click.command()
@options.project_option
@click.option("--freight", default="", shell_complete=options.complete_names("freight"), help="The Freight, by name.")
@click.option(
    "--freight-alias", default="", shell_complete=options.complete_names("aliases"), help="The Freight, by alias."
)
@click.option(
    "--warehouse",
    default="",
    shell_complete=options.complete_names("warehouses"),
    help="Of this Warehouse, the Stage's candidate; auto-promotion resumes where it was held.",
)
@click.option("--stage", default="", shell_complete=options.complete_names("stages"), help="The Stage to promote to.")
@click.option("--downstream", is_flag=True, help="Promote to all Stages immediately downstream of --stage instead.")
@click.option(
    "--downstream-from",
    default="",
    shell_complete=options.complete_names("stages"),
    help="Promote to all Stages immediately downstream of this one.",
)
@click.option("--override-window", default="", metavar="REASON", help="Start even in a closed promotion window.")
@click.option(
    "--rerun",
    default="",
    metavar="PROMOTION",
    shell_complete=options.complete_names("promotions"),
    help="Repeat a promotion with its own plan and Freight.",
)
@click.option("--from-failed-step", is_flag=True, help="With --rerun: what had succeeded is not done again.")
@click.option("--name", default="", shell_complete=options.complete_names("promotions"), help="A promotion to abort.")
@click.option("--abort", is_flag=True, help="Abort the promotion named with --name.")
@click.option("--preview", is_flag=True, help="Show the diff that the promotion would commit, and promote nothing.")
@click.option("--wait", is_flag=True, help="Show the steps as they go; exit 1 unless the promotion Succeeded.")
@options.report_option
@asynchronous
async def command(
    session: Session,
    project: str,
    freight: str,
    freight_alias: str,
    warehouse: str,
    stage: str,
    downstream: bool,
    downstream_from: str,
    override_window: str,
    rerun: str,
    from_failed_step: bool,
    name: str,
    abort: bool,
    preview: bool,
    wait: bool,
    output: Format,
) -> None:
    """Promote Freight to a Stage, or downstream of one.

    Downstream means all Stages immediately downstream. Ctrl-C ends the waiting of --wait, not the promotion.

    \b
    Examples:
      towpath promote -p guestbook --stage dev --freight-alias frozen-fox --wait
      towpath promote -p guestbook --stage dev --freight 8a1f3c2
      towpath promote -p guestbook --stage dev --warehouse guestbook
      towpath promote -p guestbook --stage prod --freight-alias frozen-fox --preview
      towpath promote -p guestbook --downstream-from staging --freight-alias frozen-fox --wait
      towpath promote -p guestbook --rerun dev.01jd2v8m3k.8a1f3c2 --from-failed-step --wait
      towpath promote -p guestbook --name dev.01jd2v8m3k.8a1f3c2 --abort
    """
    if abort or name:
        if not (abort and name) or freight or freight_alias or warehouse or stage or downstream_from or rerun:
            raise click.UsageError("--name and --abort go together, and with nothing else")
        towpath = await session.connect()
        click.echo((await towpath.abort_promotion(project, name)).message)
        return
    if preview:
        if (
            not stage
            or downstream
            or warehouse
            or rerun
            or wait
            or override_window
            or bool(freight) == bool(freight_alias)
        ):
            raise click.UsageError("--preview goes with --stage, and with one of --freight and --freight-alias")
        if output is Format.NAME:
            raise click.UsageError("--preview has nothing to name: say -o yaml, -o json, or nothing")
        towpath = await session.connect()
        show_preview(await towpath.preview(project, stage, freight=freight, alias=freight_alias), output)
        return
    if from_failed_step and not rerun:
        raise click.UsageError("--from-failed-step goes with --rerun")
    if rerun and (freight or freight_alias or warehouse or stage or downstream or downstream_from):
        raise click.UsageError("--rerun names a promotion: its Stage and Freight are meant, say neither")
    if not rerun and sum(map(bool, (freight, freight_alias, warehouse))) != 1:
        raise click.UsageError("say exactly one of --freight, --freight-alias and --warehouse")
    if not rerun and bool(stage) == bool(downstream_from):
        raise click.UsageError("say exactly one of --stage and --downstream-from")
    if downstream and not stage:
        raise click.UsageError("--downstream goes with --stage")
    upstream = downstream_from or (stage if downstream else "")
    if upstream and warehouse:
        raise click.UsageError("--warehouse does not go with downstream: say --freight or --freight-alias")
    if upstream and override_window:
        raise click.UsageError("--override-window goes with --stage only")
    towpath = await session.connect()
    if rerun:
        admission = await towpath.promote_again(
            project, rerun, from_failed_step=from_failed_step, override_window=override_window
        )
        promotions = [admission.name]
    elif upstream:
        admission = await towpath.promote_downstream(project, upstream, freight=freight, alias=freight_alias)
        promotions = admission.promotions
    else:
        admission = await towpath.promote(
            project,
            stage,
            freight=freight,
            alias=freight_alias,
            warehouse=warehouse,
            override_window=override_window,
        )
        promotions = [admission.name]
    if not admission.accepted:
        raise Refused(f"refused: {admission.reason}")
    _announce(admission, promotions, output)
    views: list[PromotionView] = []
    if wait:
        views = await _wait(towpath, project, promotions, output)
    if output in (Format.JSON, Format.YAML):
        if not wait:
            views = [await towpath.promotion_view(project, promotion) for promotion in promotions]
        shown = [promotion_resource(view) for view in views]
        print_data(shown[0] if not upstream else resource_list(shown), output)
    elif output is Format.NAME:
        for promotion in promotions:
            click.echo(kinds.PROMOTION.resource_name(promotion))
    # Who does not wait is told of what was asked for, not of how it ends.
    failures = [verdict(view) for view in views if wait and view.phase is not PromotionPhase.SUCCEEDED]
    if failures:
        for failure in failures[:-1]:
            click.echo(f"error: {' '.join(failure.split())}", err=True)
        raise TowpathError(failures[-1])


def _announce(admission: Admission, promotions: Sequence[str], output: Format) -> None:
    for note in admission.notes:
        click.echo(note, err=True)
    if output.for_people:
        for promotion in promotions:
            click.echo(f"{kinds.PROMOTION.resource_name(promotion)} created")


async def _wait(towpath: Towpath, project: str, promotions: Sequence[str], output: Format) -> list[PromotionView]:
    """Follows all promotions to their ends, and returns how they ended, in the order given."""
    with progress_on(sys.stdout if output.for_people else sys.stderr) as progress:
        try:
            return list(await asyncio.gather(*(_follow(towpath, project, name, progress) for name in promotions)))
        except asyncio.CancelledError:
            named = promotions[0] if len(promotions) == 1 else f"{len(promotions)} promotions"
            goes = "goes" if len(promotions) == 1 else "go"
            shown = f"`towpath logs promotion {promotions[0]} -p {project}` shows it"
            progress.say(f"no longer waiting; {named} {goes} on. {shown}")
            raise


async def _follow(towpath: Towpath, project: str, name: str, progress: Lines | LiveTable) -> PromotionView:
    last: PromotionView | None = None
    async for view in towpath.follow(project, name, lambda silence: progress.say(str(silence))):
        progress.show(view)
        last = view
    if last is None:
        raise TowpathError(f"promotion {name} ended before it could be seen")
    return last
