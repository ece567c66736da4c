"""Git over SSH: the private key for just one command's life, and whose host keys are believed.

Kargo checks no host keys (pkg/controller/git/base_repo.go); here the first key that a host shows is remembered and
no other is believed later, unless the operator or the Secret says which keys a host has.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from activities.credentials import Credential
from activities.git.errors import AuthenticationRefused, GitError
from activities.settings import ActivitySettings

_SCP = re.compile(r"[^/:]+:(?!//).*")
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
#: Seconds to connect within, and between questions whether the server is still there.
_CONNECT = 30
_ALIVE = 15


def is_ssh(address: str) -> bool:
    """Whether this address is reached over SSH: `ssh://host/path`, or the short form `user@host:path`."""
    return address.startswith("ssh://") or ("://" not in address and _SCP.fullmatch(address) is not None)


def checked_key(credential: Credential) -> str:
    """The private key, as OpenSSH reads it: with LF alone, the last line ended.

    Raises AuthenticationRefused, without the key, where it is none or has a passphrase.
    """
    where = f"Secret {credential.secret}: its sshPrivateKey"
    text = "\n".join(line.rstrip() for line in credential.ssh_private_key.strip().splitlines()) + "\n"
    data = text.encode()
    if not data.startswith(b"-----BEGIN ") or b"PRIVATE KEY-----" not in data.partition(b"\n")[0]:
        raise AuthenticationRefused(
            f"{where} is not a private key: expected one in OpenSSH or PEM form, that begins with -----BEGIN"
        )
    load = load_ssh_private_key if data.startswith(_OPENSSH) else load_pem_private_key
    try:
        load(data, password=None)
    except TypeError:
        raise AuthenticationRefused(
            f"{where} has a passphrase, which nobody is there to type: use a key without one (ssh-keygen -p -N '')"
        ) from None
    except UnsupportedAlgorithm:
        # OpenSSH may know more kinds of keys.
        pass
    except ValueError:
        raise AuthenticationRefused(f"{where} can't be read: it is damaged, or not all of it was copied") from None
    return text


class Ssh:
    """How Git calls OpenSSH's client."""

    def __init__(self, settings: ActivitySettings) -> None:
        self.settings = settings
        self._directory = settings.data_directory / "ssh"

    @asynccontextmanager
    async def command(self, shown: str, credential: Credential | None) -> AsyncIterator[str]:
        """The value of GIT_SSH_COMMAND, valid within: the key's file is gone afterwards.

        `shown` is the repository's address, for messages. Raises AuthenticationRefused, or GitError where there is no
        OpenSSH client.
        """
        if shutil.which("ssh") is None:
            raise GitError(
                f"{shown} is reached over SSH, and ssh is not installed on this worker, or not on its PATH: install "
                "OpenSSH's client there, or use https"
            )
        if credential is not None and not credential.ssh_private_key:
            raise AuthenticationRefused(
                f"{shown}: Secret {credential.secret} holds no sshPrivateKey, and username and password open "
                "https:// addresses alone: add the key, or use https"
            )
        if credential is None:
            yield self._words(None, None)
            return
        key = checked_key(credential)
        directory = await asyncio.to_thread(self._written, key, credential.ssh_known_hosts)
        try:
            known = directory / "known_hosts" if credential.ssh_known_hosts else None
            yield self._words(directory / "key", known)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, True))

    def _written(self, key: str, known_hosts: str) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()
        directory = Path(tempfile.mkdtemp(prefix="key-", dir=self._directory))
        for name, content in (("key", key), ("known_hosts", known_hosts)):
            if content:
                descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(content if content.endswith("\n") else f"{content}\n")
        return directory

    def _sweep(self) -> None:
        """Delete what a worker left that was killed: older than any command may become."""
        oldest = time.time() - 2 * max(self.settings.git_transfer_timeout, self.settings.git_timeout)
        for left in self._directory.glob("key-*"):
            try:
                if left.stat().st_mtime < oldest:
                    shutil.rmtree(left, ignore_errors=True)
            except FileNotFoundError:
                continue

    def _words(self, key: Path | None, known_hosts: Path | None) -> str:
        """The command line. With `known_hosts` only the keys in there are believed."""
        policy = self.settings.git_ssh_host_keys
        file = self.settings.git_ssh_known_hosts_file
        if known_hosts is not None:
            checking, own, common = "yes", _quoted(known_hosts), "/dev/null"
        elif policy == "Off":
            checking, own, common = "no", "/dev/null", "/dev/null"
        else:
            checking = "yes" if policy == "Strict" else "accept-new"
            own = "/dev/null" if policy == "Strict" else _quoted(self._directory / "known_hosts")
            common = _quoted(file) if file is not None else "/dev/null"
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes" if key else "no",
            "IdentityFile": _quoted(key) if key else "none",
            "StrictHostKeyChecking": checking,
            "UserKnownHostsFile": own,
            "GlobalKnownHostsFile": common,
            "UpdateHostKeys": "no",
            "ForwardAgent": "no",
            "ClearAllForwardings": "yes",
            "ConnectTimeout": str(_CONNECT),
            "ServerAliveInterval": str(_ALIVE),
            "ServerAliveCountMax": "4",
            "LogLevel": "ERROR",
        }
        if key:
            options["IdentityAgent"] = "none"
        words = ["ssh", "-F", "/dev/null"]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return shlex.join(words)


def _quoted(path: Path) -> str:
    """A path as ssh's options take it: quoted, and `%` doubled."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
