"""`towpath reject`: a promotion that waits for approval doesn't get it."""

from __future__ import annotations

import click

from model.questions import Action
from starter import options
from starter.answering import answer, step_option
from starter.session import Session, asynchronous


@click.group()
def command() -> None:
    """Reject what waits for approval.

    \b
    Examples:
      towpath reject promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook --reason "not before Monday"
    """


@command.command("promotion")
@click.argument("name", shell_complete=options.complete_names("promotions"))
@options.project_option
@step_option
@click.option("--reason", default="", help="Why; it is recorded with who rejected.")
@asynchronous
async def promotion(session: Session, name: str, project: str, step: str, reason: str) -> None:
    """Reject a promotion that waits for approval: its step is Failed.

    \b
    Examples:
      towpath reject promotion prod.01jd2v8m3k.8a1f3c2 -p guestbook --reason "not before Monday"
    """
    await answer(await session.connect(), project, name, Action.REJECT, step=step, reason=reason)
