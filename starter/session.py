"""One call of the command line: how it finds its Towpath, and how a command's coroutine is run with it."""

from __future__ import annotations

import asyncio
import functools
import getpass
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

if TYPE_CHECKING:
    from starter.client import Towpath

P = ParamSpec("P")


def acting_user() -> str:
    """Who acts, in Kargo's notation: `TOWPATH_ACTOR`, else the name of the user of this process."""
    named = os.environ.get("TOWPATH_ACTOR", "")
    if named:
        return named
    try:
        return f"subject:{getpass.getuser()}"
    except (KeyError, OSError):
        return ""


def acting_groups() -> list[str]:
    """The groups of who acts, for steps that ask one of them: `TOWPATH_ACTOR_GROUPS`, separated by commas."""
    return _listed("TOWPATH_ACTOR_GROUPS")


def acting_roles() -> list[str]:
    """The roles of who acts, for steps that ask one of them: `TOWPATH_ACTOR_ROLES`, separated by commas."""
    return _listed("TOWPATH_ACTOR_ROLES")


def _listed(variable: str) -> list[str]:
    return [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]


async def connect() -> Towpath:
    """The Towpath that the environment names, for whoever runs this process."""
    # Temporal's client takes half a second to import: `--help` and completion do without it.
    from starter.client import Towpath

    return await Towpath.connect(acting_user())


class Session:
    """What the commands of one call share. Tests give it another way to connect."""

    def __init__(self, connect: Callable[[], Awaitable[Towpath]] = connect) -> None:
        self.connect = connect


def asynchronous(
    function: Callable[Concatenate[Session, P], Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Makes a coroutine that takes the session into the callback of a command.

    It checks its arguments, then connects: a wrong usage is told where no server is near.
    """

    @functools.wraps(function)
    def callback(*args: P.args, **kwargs: P.kwargs) -> None:
        session = click.get_current_context().ensure_object(Session)

        asyncio.run(function(session, *args, **kwargs))

    return callback
