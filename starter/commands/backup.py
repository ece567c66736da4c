"""`towpath backup`: every entity's state in one file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import click

from starter.errors import InvalidInput
from starter.session import Session, asynchronous


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@asynchronous
async def command(session: Session, file: str) -> None:
    """Write all that Towpath knows to a file.

    The state of every Project, Warehouse and Stage; FILE may be -, for standard output. Manifests, Freight, approvals,
    histories: all that `towpath restore` needs. Promotions and verifications that are under way are not in it, and
    neither are secrets.

    \b
    Examples:
      towpath backup towpath.json
      towpath backup - | gzip > towpath.json.gz
    """
    towpath = await session.connect()
    backup = await towpath.backup()
    text = backup.model_dump_json(by_alias=True, indent=1) + "\n"
    if file == "-":
        click.echo(text, nl=False)
    else:
        _write(Path(file), text)
    count = Counter(entity.type for entity in backup.entities)
    listed = ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in count.items())
    click.echo(f"backed up: {listed or 'nothing, there is nothing yet'}", err=True)


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all, for its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InvalidInput(f"{path}: {error.strerror}") from error
