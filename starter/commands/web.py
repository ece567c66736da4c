"""`towpath web`: the web in a process of its own, for a Temporal server that runs elsewhere."""

from __future__ import annotations

import asyncio
import logging

import click

from starter.hosting import WEBHOOKS, report_failure


@click.command()
def command() -> None:
    """Serve webhook receivers.

    For a Temporal server elsewhere, with workers of its own; `towpath up` serves them too. It keeps nothing: as many
    as are needed may run. It listens on TOWPATH_WEB_ADDRESS, and needs TOWPATH_CREDENTIALS_DIRECTORY, where the
    receivers' Secrets lie.

    \b
    Examples:
      TOWPATH_CREDENTIALS_DIRECTORY=/etc/towpath/credentials towpath web
      TOWPATH_WEB_ADDRESS=0.0.0.0:8080 TEMPORAL_ADDRESS=temporal.internal:7233 towpath web
    """
    # What is served takes a while to import, and no other command needs it.
    from starter.client import Towpath
    from web.process import run_web
    from workflows.settings import WebSettings, load_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def main() -> None:
        settings = load_settings(WebSettings)
        towpath = await Towpath.connect(WEBHOOKS)
        await run_web(settings, towpath, lambda url: announce(url, towpath.address, towpath.namespace))

    try:
        asyncio.run(main())
    except Exception as error:  # the process ends here, and says why
        raise SystemExit(report_failure(error)) from None


def announce(url: str, address: str, namespace: str) -> None:
    """Says where it is, and whose."""
    click.echo(f"Towpath's web is ready: {url}. Temporal: {address}, namespace {namespace}")
