"""How `towpath up`, `towpath worker` and `towpath web` act, and how they end: with what went wrong in one line."""

from __future__ import annotations

import os
import traceback

import click

#: Who acts when a webhook has something refreshed.
WEBHOOKS = "subject:webhooks"


def report_failure(error: BaseException) -> int:
    """Says an error in one line, as every command does, and returns the exit code."""
    if os.environ.get("TOWPATH_DEBUG"):
        traceback.print_exception(error)
    detail = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.filename:
        detail = f"{error.filename}: {error.strerror}"
    click.echo(f"error: {' '.join(detail.split())}", err=True)
    return 1
