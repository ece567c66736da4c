"""How the commands that answer a Promotion do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from model.base import Json
from model.questions import Action
from starter.session import acting_groups, acting_roles

if TYPE_CHECKING:
    from starter.client import Towpath

step_option = click.option("--step", default="", help="Alias of the step that asks; by default the one that asks now.")

_DONE = {Action.APPROVE: "approved", Action.REJECT: "rejected", Action.INPUT: "answered"}


async def answer(
    towpath: Towpath,
    project: str,
    name: str,
    action: Action,
    *,
    step: str,
    reason: str = "",
    values: Mapping[str, Json] | None = None,
) -> None:
    """Answers for whoever runs the process, and says what the step still waits for."""
    answered = await towpath.answer_promotion(
        project,
        name,
        action,
        step=step,
        message=reason,
        values=values,
        claims={"groups": acting_groups()},
        roles=acting_roles(),
    )
    still = f"; it {answered.waiting}" if answered.waiting else ""
    click.echo(f"step {answered.step} of promotion {name} {_DONE[action]} by {towpath.actor}{still}")
