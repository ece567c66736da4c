"""`towpath abort`: end a promotion or a verification before its time."""

from __future__ import annotations

import click

from starter import options
from starter.errors import NotFound, Refused
from starter.output import at
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Abort a promotion or a verification.

    \b
    Examples:
      towpath abort promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath abort verification staging -p guestbook
    """


reason_option = click.option("--reason", default="", help="Why; it is recorded with who aborted.")


@command.command("promotion")
@click.argument("name", shell_complete=options.complete_names("promotions"))
@options.project_option
@reason_option
@asynchronous
async def promotion(session: Session, name: str, project: str, reason: str) -> None:
    """Abort a promotion, pending or running, or all promotions of a fan-out.

    \b
    Examples:
      towpath abort promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook
      towpath abort promotion dev.01jd2v8m3k.8a1f3c2 -p guestbook --reason "wrong version"
    """
    towpath = await session.connect()
    outcome = await towpath.abort_promotion(project, name, reason)
    click.echo(outcome.message)


@command.command("verification")
@click.argument("name", shell_complete=options.complete_names("verifications"))
@options.project_option
@reason_option
@asynchronous
async def verification(session: Session, name: str, project: str, reason: str) -> None:
    """Abort the verification that runs in a Stage. NAME is the verification's, or the Stage's.

    \b
    Examples:
      towpath abort verification staging -p guestbook
      towpath abort verification staging.01jd2v8m3k.5b2e9d1 -p guestbook
    """
    towpath = await session.connect()
    stage = name
    try:
        run = await towpath.get_verification(project, name)
        stage = at(run, "metadata", "labels", "kargo.akuity.io/stage") or name.partition(".")[0]
        lines = await towpath.verification_lines(project, stage)
        if not any(line.name == name and line.finished_at is None for line in lines):
            raise Refused(f"verification {name} is over already")
    except NotFound:
        if "." in name:
            raise
    outcome = await towpath.abort_verification(project, stage, reason)
    click.echo(outcome.message or f"verification of stage {stage} is being aborted")
