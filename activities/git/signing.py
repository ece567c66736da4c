"""Signing commits and tags with a GPG key of the promotion's own: in a keyring of its own, at a date of its own.

A signature holds the time it was made. GnuPG is told that it is the time of the commit, so that a rebuild of the
workspace gives the same commit, signature and id included.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from activities.git.errors import GitError

#: Seconds that one call of gpg may take.
_TIMEOUT = 30.0
_KEY = "fingerprint"


class SigningKeyInvalid(GitError):
    """The key can't be imported, or can't sign."""


@dataclass(frozen=True)
class Keyring:
    """A keyring that holds one private key, in a directory of the promotion's; it goes when that goes."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Keyring | None:
        """The keyring in this directory; None where none was made."""
        return cls(path) if (path / _KEY).is_file() else None

    @classmethod
    async def create(cls, path: Path, key: str) -> Keyring:
        """A keyring with this key, armored; one that is there is replaced.

        Raises SigningKeyInvalid where the key can't be used, GitError where gpg isn't there.
        """
        keyring = cls(path)
        await asyncio.to_thread(keyring._clear)
        async with keyring._home() as home:
            code, _, _ = await _gpg(home, "--import", stdin=key.encode())
            listed = await _gpg(home, "--list-secret-keys", "--with-colons")
            prints = [line.split(":")[9] for line in listed[1].splitlines() if line.startswith("fpr:")]
            if not prints:
                raise SigningKeyInvalid(
                    "author.signingKey holds no private GPG key: give what `gpg --armor --export-secret-keys` prints"
                )
            # Kept out of the error: gpg's own words, which may quote the key.
            code, _, _ = await _gpg(home, "--local-user", prints[0], "--detach-sign", stdin=b"")
        if code:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            raise SigningKeyInvalid(
                f"the GPG key {prints[0]} of author.signingKey can't sign: it must not need a passphrase, be expired, "
                "or be for something else"
            )
        await asyncio.to_thread((path / _KEY).write_text, prints[0])
        return keyring

    def _clear(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True, mode=0o700)

    @asynccontextmanager
    async def signing(self, at: datetime | None = None) -> AsyncIterator[dict[str, str]]:
        """Git's configuration to sign with this key as if it were that time, or to verify by it."""
        async with self._home() as home:
            program = home / f"gpg-{os.urandom(4).hex()}"
            moment = ["--faked-system-time", f"{at:%Y%m%dT%H%M%S}!"] if at else []
            command = shlex.join([*_command(home), *moment])
            await asyncio.to_thread(_script, program, f'#!/bin/sh\nexec {command} "$@"\n')
            yield {
                "gpg.format": "openpgp",
                "gpg.program": str(program),
                "user.signingKey": await asyncio.to_thread((self.path / _KEY).read_text),
                "commit.gpgSign": "true",
                "tag.gpgSign": "true",
            }

    @asynccontextmanager
    async def _home(self) -> AsyncIterator[Path]:
        """The keyring's directory under a short name: gpg puts a socket there, whose path may have 107 characters."""
        short = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="towpath-gpg-", dir=_short_directory()))
        try:
            home = short / "home"
            home.symlink_to(self.path)
            try:
                yield home
            finally:
                await asyncio.shield(_stop_agent(home))
        finally:
            await asyncio.to_thread(shutil.rmtree, short, ignore_errors=True)
            for script in self.path.glob("gpg-*"):
                script.unlink(missing_ok=True)


def _short_directory() -> str:
    directory = tempfile.gettempdir()
    return directory if len(directory) <= 60 else "/tmp"  # noqa: S108  # a private directory is made in it


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def _command(home: Path) -> list[str]:
    # Nothing but the one key is in the keyring: what it signed is trusted.
    return [
        "gpg", "--homedir", str(home), "--no-options", "--batch", "--no-tty", "--quiet", "--pinentry-mode", "error",
        "--no-auto-check-trustdb", "--trust-model", "always",
    ]  # fmt: skip


async def _gpg(home: Path, *args: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    return await _run([*_command(home), *args], stdin)


async def _run(command: Sequence[str], stdin: bytes | None = None) -> tuple[int, str, str]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/nonexistent"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise GitError(
            f"{command[0]} is not installed on this worker, or not on its PATH: author.signingKey needs GnuPG"
        ) from None
    try:
        async with asyncio.timeout(_TIMEOUT):
            out, err = await process.communicate(stdin)
    except TimeoutError:
        raise GitError(f"{command[0]} took longer than {_TIMEOUT:g} s and was stopped") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


async def _stop_agent(home: Path) -> None:
    """End the agent that gpg started. One that stays ends by itself, soon after its directory is gone."""
    with contextlib.suppress(GitError):
        await _run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])
