"""`towpath up`: a Temporal server, a worker and the web on this machine, with nothing to install."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from starter.hosting import WEBHOOKS, report_failure

if TYPE_CHECKING:
    from worker.process import Running


@click.command()
def command() -> None:
    """Run a server, a worker and the web on this machine.

    All that is known is kept in TOWPATH_DATA_DIRECTORY (by default ~/.local/share/towpath): after a restart, even a
    hard one, everything goes on where it was. Free ports are taken where the usual ones are not free. Other calls of
    `towpath` on this machine find the server by themselves.

    \b
    Examples:
      towpath up
      TOWPATH_DATA_DIRECTORY=/srv/towpath towpath up
    """
    # What a worker is made of takes a second to import, and no other command needs it.
    from starter.client import Towpath
    from web.process import serving
    from worker.process import run_to_the_end, run_up
    from worker.settings import WorkerSettings
    from workflows.settings import load_settings

    async def run() -> int:
        web = ""

        @asynccontextmanager
        async def serve(running: Running) -> AsyncIterator[None]:
            nonlocal web
            towpath = Towpath(running.client, WEBHOOKS, running.task_queue)
            shown = settings.model_copy(update={"temporal_ui_url": settings.temporal_ui_url or running.ui or ""})
            async with serving(shown, towpath, any_port=True) as web:
                yield

        try:
            settings = load_settings(WorkerSettings)
            await run_up(settings, lambda running: announce(running, web), serve)
        except Exception as error:  # the process ends here, and says why
            return report_failure(error)
        return 0

    run_to_the_end(run)


def announce(running: Running, web: str) -> None:
    """Says where everything is."""
    click.echo(f"Towpath is up. Temporal: {running.address}, namespace {running.namespace}")
    if running.ui:
        click.echo(f"  Temporal UI   {running.ui}")
    click.echo(f"  web           {web}")
    click.echo(f"  data          {running.data_directory}")
    click.echo("  next          towpath apply -f MANIFESTS, towpath get projects")
    click.echo("Ctrl-C stops it; `towpath up` goes on where it was.")
