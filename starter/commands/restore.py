"""`towpath restore`: start everything of a backup again."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from starter.archive import read_backup
from starter.errors import InvalidInput
from starter.session import Session, asynchronous

#: The largest backup that is read, in bytes.
MAX_BACKUP = 1024 * 1024 * 1024


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@asynchronous
async def command(session: Session, file: str) -> None:
    """Start everything in a backup again.

    Nothing of it may run already; FILE may be -, for standard input.

    \b
    Examples:
      towpath restore towpath.json
      gunzip < towpath.json.gz | towpath restore -
    """
    backup = read_backup(await asyncio.to_thread(_read, file))
    towpath = await session.connect()
    restored = await towpath.restore(backup)
    for workflow_id in restored:
        click.echo(f"{workflow_id} restored")


def _read(file: str) -> bytes:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_BACKUP + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_BACKUP + 1)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from error
    if len(data) > MAX_BACKUP:
        raise InvalidInput(f"{file} is larger than {MAX_BACKUP} bytes")
    return data
