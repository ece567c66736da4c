"""`towpath web`: the web in a process of its own, for a Temporal server that runs elsewhere; its admin's password."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from starter.hosting import WEBHOOKS, report_failure


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Serve the REST API, the pages and webhook receivers.

    For a Temporal server elsewhere, with workers of its own; `towpath up` serves them too. It keeps nothing: as many
    as are needed may run. It listens on TOWPATH_WEB_ADDRESS, and needs TOWPATH_CREDENTIALS_DIRECTORY, where the
    receivers' Secrets lie. On another address than loopback one has to log in: docs/access.md.

    \b
    Examples:
      TOWPATH_CREDENTIALS_DIRECTORY=/etc/towpath/credentials towpath web
      TOWPATH_WEB_ADDRESS=0.0.0.0:8080 TEMPORAL_ADDRESS=temporal.internal:7233 towpath web
    """
    if context.invoked_subcommand is not None:
        return
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


@command.command("hash-password")
def hash_admin_password() -> None:
    """Hash the local admin's password.

    Asks for it on a terminal, else reads it from standard input. What it prints belongs into
    TOWPATH_WEB_ADMIN_PASSWORD_HASH.

    \b
    Examples:
      towpath web hash-password
      towpath web hash-password < password.txt
    """
    from web.access.passwords import LONGEST, hash_password

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not 8 <= len(password.encode()) <= LONGEST:
        raise click.UsageError(f"the password must have 8 to {LONGEST} bytes")
    click.echo(hash_password(password))


def announce(url: str, address: str, namespace: str) -> None:
    """Says where it is, and whose."""
    click.echo(f"Towpath's web is ready: {url}. Temporal: {address}, namespace {namespace}")
