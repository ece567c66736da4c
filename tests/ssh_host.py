"""An SSH server on loopback that runs Git and nothing else, upon the repositories of a Git server."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

#: The commands of Git's SSH transport.
COMMANDS = ("git-upload-pack", "git-receive-pack")


@dataclass
class SshHost:
    """What a test knows of the server."""

    root: Path
    port: int = 0
    #: Line of known_hosts for the server's key.
    known_hosts: str = ""
    #: A private key that opens it.
    private_key: str = field(default="", repr=False)
    #: What it was asked to run.
    commands: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        """The address of a repository below the root."""
        return f"ssh://git@127.0.0.1:{self.port}/{name}.git"


def private_key() -> str:
    """A fresh private key in OpenSSH's form."""
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def locked_key(directory: Path, form: str) -> str:
    """A private key with a passphrase, made by ssh-keygen: in OpenSSH's form, or as `PEM` or `PKCS8`."""
    path = directory / f"locked-{form}"
    kind = ["-t", "ed25519"] if form == "OpenSSH" else ["-t", "ecdsa", "-m", form]
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "a passphrase", "-f", str(path)], check=True)
    return path.read_text()


async def _copy(source: Any, target: Any) -> None:
    """Until the source ends. `Any`: streams of asyncio and asyncssh, which have no type in common."""
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
        if isinstance(target, asyncio.StreamWriter):
            target.close()


@contextmanager
def ssh_host(root: Path) -> Iterator[SshHost]:
    """A server on a free port with a key of its own, stopped at the end."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client = asyncssh.generate_private_key("ssh-ed25519")
    allowed = asyncssh.import_authorized_keys(client.export_public_key().decode())
    host = SshHost(root, private_key=client.export_private_key().decode())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        words = shlex.split(process.command or "")
        host.commands.append(process.command or "")
        if len(words) != 2 or words[0] not in COMMANDS:
            process.exit(127)
            return
        child = await asyncio.create_subprocess_exec(
            "git",
            words[0].removeprefix("git-"),
            str(root / words[1].lstrip("/")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        feeding = asyncio.create_task(_copy(process.stdin, child.stdin))
        await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
        process.exit(await child.wait())
        feeding.cancel()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=allowed,
            process_factory=serve,
            encoding=None,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)

    async def stop() -> None:
        server.close()
        await server.wait_closed()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    host.port = server.get_port()
    host.known_hosts = f"[127.0.0.1]:{host.port} {host_key.export_public_key().decode()}"
    try:
        yield host
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
