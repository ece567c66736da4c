"""Runs programs such as kustomize and helm: bounded in time and output, with nothing of the worker's environment."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: How much of a program's own message is shown.
MAX_MESSAGE = 2000
#: How much of it is read, in bytes.
_MAX_ERRORS = 1024 * 1024


#: Programs that steps and looks start, and what needs them.
NEEDED_BY = {
    "git": "everything about Git repositories",
    "gpg": "commits and tags that are signed",
    "helm": "helm-template, helm-update-chart, and charts in kustomize-build",
    "ssh": "repositories whose addresses begin with ssh://",
}


def missing_programs() -> list[str]:
    """A sentence for each program that isn't on PATH; what needs it will say so too when it is run."""
    return [f"{name} is not on PATH: needed by {what}" for name, what in NEEDED_BY.items() if not shutil.which(name)]


class Unbounded(Exception):
    """The program took too long, or wrote too much."""


async def run(
    command: Sequence[str], environment: Mapping[str, str], *, timeout: float, limit: int
) -> tuple[int, bytes, str]:
    """Run a program in a process group of its own, which ends with this task: exit status, output, its complaint.

    `timeout` in seconds, `limit` in bytes of output. Raises Unbounded.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout):
            output, errors = await asyncio.gather(
                _bounded(process.stdout, limit), _bounded(process.stderr, _MAX_ERRORS)
            )
            code = await process.wait()
    except TimeoutError as error:
        raise Unbounded(f"it was not done after {timeout:.0f} seconds") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return code, output, errors.decode(errors="replace").strip().removeprefix("error: ").removeprefix("Error: ")


async def _bounded(stream: asyncio.StreamReader, limit: int) -> bytes:
    chunks = []
    size = 0
    while chunk := await stream.read(256 * 1024):
        size += len(chunk)
        if size > limit:
            raise Unbounded(f"it writes more than {limit // (1024 * 1024)} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def derooted(message: str, workspace: Path) -> str:
    """A program's message without the workspace's place on this host, and without its middle if it is long."""
    for root in sorted({os.path.realpath(workspace), str(workspace)}, key=len, reverse=True):
        message = message.replace(root + os.sep, "").replace(root, ".")
    if len(message) > MAX_MESSAGE:
        half = MAX_MESSAGE // 2
        message = f"{message[:half]} … {message[-half:]}"
    return message
