"""`towpath worker`: a worker for a Temporal server that runs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from starter.hosting import report_failure

if TYPE_CHECKING:
    from worker.process import Running


@click.command()
@click.option(
    "--shard",
    metavar="NAME",
    help="Serve only Warehouses and Stages with this `spec.shard`. Default: TOWPATH_SHARD, else those without one.",
)
def command(shard: str | None) -> None:
    """Run a worker for a Temporal server elsewhere.

    Which one, TEMPORAL_ADDRESS or a Temporal profile says. As many workers as are needed may run, on as many hosts, and
    with --shard in other networks: what has no shard is left to workers without one, of which there must be some.

    \b
    Examples:
      TEMPORAL_ADDRESS=temporal.internal:7233 towpath worker
      TEMPORAL_PROFILE=production towpath worker
      TEMPORAL_ADDRESS=temporal.internal:7233 towpath worker --shard edge
    """
    # What a worker is made of takes a second to import, and no other command needs it.
    from worker.process import run_to_the_end, run_worker
    from worker.settings import WorkerSettings
    from workflows.settings import load_settings

    async def run() -> int:
        try:
            given = {} if shard is None else {"shard": shard}
            await run_worker(load_settings(WorkerSettings, **given), announce)
        except Exception as error:  # the process ends here, and says why
            return report_failure(error)
        return 0

    run_to_the_end(run)


def announce(running: Running) -> None:
    """Says what is served."""
    click.echo(
        f"Towpath's worker is ready. Temporal: {running.address}, namespace {running.namespace},"
        f" task queue {running.task_queue}"
    )
