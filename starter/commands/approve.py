"""`towpath approve`: Freight may go to a Stage, whatever was verified upstream; or a promotion may go on."""

from __future__ import annotations

import click

from model.questions import Action
from starter import options
from starter.answering import answer, step_option
from starter.session import Session, asynchronous


@click.group(invoke_without_command=True)
@options.optional_project_option
@click.option("--freight", default="", shell_complete=options.complete_names("freight"), help="The Freight, by name.")
@click.option(
    "--freight-alias", default="", shell_complete=options.complete_names("aliases"), help="The Freight, by alias."
)
@click.option("--stage", default="", shell_complete=options.complete_names("stages"), help="The Stage.")
@click.pass_context
def command(context: click.Context, project: str, freight: str, freight_alias: str, stage: str) -> None:
    """Approve Freight for a Stage, or a promotion that waits for approval.

    Freight may be promoted there then, whatever was verified upstream.

    \b
    Examples:
      towpath approve -p guestbook --freight-alias frozen-fox --stage prod
      towpath approve -p guestbook --freight 8a1f3c2 --stage prod
      towpath approve promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook
    """
    if context.invoked_subcommand is not None:
        if freight or freight_alias or stage:
            raise click.UsageError(f"--freight and --stage don't go with {context.invoked_subcommand}")
        return
    if not stage:
        raise click.UsageError("say for which --stage, or which `promotion`")
    if bool(freight) == bool(freight_alias):
        raise click.UsageError("say exactly one of --freight and --freight-alias")
    if not project:
        raise click.UsageError(options.NO_PROJECT)
    _approve_freight(project, freight, freight_alias, stage)


@asynchronous
async def _approve_freight(session: Session, project: str, freight: str, freight_alias: str, stage: str) -> None:
    towpath = await session.connect()
    await towpath.approve(project, stage, freight, freight_alias)
    click.echo(f"freight {freight or freight_alias} approved for stage {stage}")


@command.command("promotion")
@click.argument("name", shell_complete=options.complete_names("promotions"))
@options.project_option
@step_option
@click.option("--reason", default="", help="Why; it is recorded with who approved.")
@asynchronous
async def promotion(session: Session, name: str, project: str, step: str, reason: str) -> None:
    """Approve a promotion that waits for approval.

    It goes on once enough people have approved.

    \b
    Examples:
      towpath approve promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath approve promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook --reason "checked in staging"
    """
    await answer(await session.connect(), project, name, Action.APPROVE, step=step, reason=reason)
