"""Runs Git in an environment of its own: no configuration but the operator's, no hooks, no prompts, no open secrets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from activities.git.errors import (
    AuthenticationRefused,
    DiskFull,
    GitError,
    GitTimeout,
    HostKeyRefused,
    MirrorBroken,
    PushOutdated,
    PushRefused,
    RefNotFound,
    RemoteUnreachable,
    RepositoryNotFound,
    TransportRefused,
)
from activities.git.refs import Remote, without_user
from activities.git.ssh import Ssh, is_ssh
from activities.mask import Mask
from activities.settings import ActivitySettings

#: Answers Git's questions for user and password from its environment, and only for the host they are meant for:
#: a redirect or a submodule elsewhere gets nothing.
_ASKPASS = """#!/bin/sh
case "$1" in
*"://$TOWPATH_GIT_HOST'"*|*"@$TOWPATH_GIT_HOST'"*) ;;
*) exit 1 ;;
esac
case "$1" in
Username*) printf '%s\\n' "$TOWPATH_GIT_USERNAME" ;;
*) printf '%s\\n' "$TOWPATH_GIT_PASSWORD" ;;
esac
"""

_PASSED_ON = (
    "PATH",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
)

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "core.autocrlf": "false",
    "core.untrackedCache": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "fetch.unpackLimit": "1",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "init.defaultBranch": "main",
    "advice.detachedHead": "false",
    "rebase.autoStash": "false",
    "merge.conflictStyle": "merge",
    "http.followRedirects": "initial",
}

#: Characters of Git's own words that an error repeats.
_SHOWN = 1500


@dataclass(frozen=True)
class Output:
    """What a Git command printed."""

    code: int
    out: str
    err: str

    def lines(self) -> list[str]:
        return self.out.splitlines()


class GitCommand:
    """Runs Git commands under the settings' rules."""

    def __init__(self, settings: ActivitySettings) -> None:
        self.settings = settings
        self._ssh = Ssh(settings)
        self._addresses: dict[tuple[str, float], str] = {}
        #: When the operator's config file was changed, and whether it only rewrites addresses.
        self._only_rewrites: tuple[float, bool] | None = None

    async def run(
        self,
        *args: str,
        cwd: Path | None = None,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        remote: Remote | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: str | None = None,
        config: Mapping[str, str] | None = None,
        accept: Sequence[int] = (0,),
        timeout: float | None = None,
    ) -> Output:
        """Run `git <args>`, and return its output when its exit code is one of `accept`.

        `remote` is what the command talks to: its credential is at hand, and the longer timeout holds. `config` is
        configuration for this command alone.
        Raises the errors of activities.git.errors. When cancelled or too late, Git and all it started is killed.
        """
        async with self._environment(remote, config) as env:
            return await self._run(
                args, env, cwd, git_dir, work_tree, remote, environment or {}, stdin, accept, timeout
            )

    async def _run(
        self,
        args: Sequence[str],
        env: dict[str, str],
        cwd: Path | None,
        git_dir: Path | None,
        work_tree: Path | None,
        remote: Remote | None,
        environment: Mapping[str, str],
        stdin: str | None,
        accept: Sequence[int],
        timeout: float | None,
    ) -> Output:
        if git_dir is not None:
            env["GIT_DIR"] = str(git_dir)
        if work_tree is not None:
            env["GIT_WORK_TREE"] = str(work_tree)
        env.update(environment)
        limit = timeout or (self.settings.git_transfer_timeout if remote else self.settings.git_timeout)
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *args,
                cwd=cwd or work_tree or git_dir,
                env=env,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            if (cwd or work_tree or git_dir or Path("/")).is_dir():
                raise GitError("git is not installed on this worker, or not on its PATH") from None
            raise MirrorBroken(f"{cwd or work_tree or git_dir} is gone") from None
        try:
            async with asyncio.timeout(limit):
                out, err = await self._communicate(process, stdin)
        except TimeoutError:
            await _kill(process)
            where = f" with {remote.shown}" if remote else ""
            raise GitTimeout(f"git {args[0]}{where} took longer than {limit:g} s and was stopped") from None
        except BaseException:
            await asyncio.shield(_kill(process))
            raise
        code = process.returncode or 0
        text = out.decode(errors="replace")
        words = self._shown(err.decode(errors="replace"), remote)
        if code not in accept:
            raise error_of(args, words, text, remote, self.settings)
        return Output(code, text, words)

    async def _communicate(self, process: asyncio.subprocess.Process, stdin: str | None) -> tuple[bytes, bytes]:
        async def feed() -> None:
            if process.stdin is None or stdin is None:
                return
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(stdin.encode())
                await process.stdin.drain()
            process.stdin.close()

        async def gather(stream: asyncio.StreamReader | None, limit: int, keep: bool) -> bytes:
            data = bytearray()
            while stream is not None and (chunk := await stream.read(65536)):
                if len(data) + len(chunk) <= limit:
                    data += chunk
                elif keep:
                    raise GitError(f"git printed more than {limit} bytes (TOWPATH_GIT_OUTPUT_LIMIT)")
            return bytes(data)

        _, out, err = await asyncio.gather(
            feed(),
            gather(process.stdout, self.settings.git_output_limit, True),
            gather(process.stderr, 256 * 1024, False),
        )
        await process.wait()
        return out, err

    def base_environment(self) -> dict[str, str]:
        """The whole environment of a Git command that talks to nobody."""
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        env |= {
            "HOME": str(self.settings.mirror_directory),
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.settings.git_config_file or "/dev/null"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_SSH_COMMAND": "false",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_EDITOR": ":",
            "GIT_PAGER": "cat",
        }
        return env

    @contextlib.asynccontextmanager
    async def _environment(
        self, remote: Remote | None, given: Mapping[str, str] | None = None
    ) -> AsyncIterator[dict[str, str]]:
        """The environment of a command, valid within: what opens the remote lies on the disk no longer."""
        env = self.base_environment()
        config = {**_CONFIG, **(given or {})}
        for transport in self.settings.git_transports:
            config[f"protocol.{transport}.allow"] = "always"
        if remote is not None:
            if remote.insecure_skip_tls_verify:
                config["http.sslVerify"] = "false"
            address = await self.address(remote.url)
            if login := self.login(remote, address):
                env["GIT_ASKPASS"] = str(await asyncio.to_thread(self._askpass))
                env["TOWPATH_GIT_HOST"] = urlsplit(address).netloc.rpartition("@")[2]
                env["TOWPATH_GIT_USERNAME"], env["TOWPATH_GIT_PASSWORD"] = login
        env["GIT_CONFIG_COUNT"] = str(len(config))
        for index, (key, value) in enumerate(config.items()):
            env[f"GIT_CONFIG_KEY_{index}"] = key
            env[f"GIT_CONFIG_VALUE_{index}"] = value
        if remote is not None and is_ssh(address):
            async with self._ssh.command(remote.shown, remote.credential) as command:
                env["GIT_SSH_COMMAND"] = command
                yield env
        else:
            yield env

    async def address(self, url: str) -> str:
        """Where this address really leads, after the operator's `url.<base>.insteadOf`."""
        if self.settings.git_config_file is None:
            return url
        changed = self._changed(self.settings.git_config_file)
        known = self._addresses.get((url, changed))
        if known is None:
            known = (await self.run("ls-remote", "--get-url", "--", url, cwd=Path("/"))).out.strip()
            self._addresses[url, changed] = known
        return known

    async def only_rewrites(self) -> bool:
        """Whether the operator's config says nothing but where addresses really lead."""
        file = self.settings.git_config_file
        if file is None:
            return True
        changed = self._changed(file)
        if self._only_rewrites is None or self._only_rewrites[0] != changed:
            names = await self.run("config", "--file", str(file), "--name-only", "--list", cwd=Path("/"))
            self._only_rewrites = changed, all(name.startswith("url.") for name in names.lines())
        return self._only_rewrites[1]

    @staticmethod
    def _changed(file: Path) -> float:
        try:
            return file.stat().st_mtime
        except OSError as error:
            raise GitError(
                f"the Git config file {file} (TOWPATH_GIT_CONFIG_FILE) can't be read: {error.strerror}"
            ) from None

    def login(self, remote: Remote, address: str) -> tuple[str, str] | None:
        """Username and password for a remote whose requests really go to `address`, where it may see them.

        Raises AuthenticationRefused where there is only a key for SSH.
        """
        open_to_all = address.startswith("http://") and not self.settings.allow_credentials_over_http
        if remote.credential is None or not address.startswith(("https://", "http://")) or open_to_all:
            return None
        credential = remote.credential
        if credential.ssh_private_key and not credential.password:
            raise AuthenticationRefused(
                f"{remote.shown}: Secret {credential.secret} holds an sshPrivateKey, which opens ssh:// addresses "
                "alone: use such an address, or username and password"
            )
        return credential.username or "git", credential.password

    def _askpass(self) -> Path:
        path = self.settings.data_directory / "askpass"
        try:
            if path.read_text() == _ASKPASS and os.access(path, os.X_OK):
                return path
        except FileNotFoundError:
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"askpass.{os.getpid()}")
        fresh.write_text(_ASKPASS)
        fresh.chmod(0o700)
        os.replace(fresh, path)
        return path

    def _shown(self, words: str, remote: Remote | None) -> str:
        """What Git said, without progress, secrets and most of its length."""
        lines = [line.rpartition("\r")[2].rstrip() for line in words.splitlines()]
        text = without_user("\n".join(line for line in lines if line and not line.startswith("hint:")))
        if remote is not None and remote.credential is not None:
            mask = Mask()
            mask.add(remote.credential.password)
            mask.add(remote.credential.ssh_private_key)
            text = mask.text(text)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}\n…\n{text[-_SHOWN // 2 :]}"


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a command and its children: each has its own process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


_HOST_KEY = re.compile(r"Host key verification failed|No \S+ host key is known|REMOTE HOST IDENTIFICATION HAS CHANGED")
_AUTHENTICATION = re.compile(
    r"Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied|"
    r"returned error: (401|403)|Access denied|Invalid username or (password|token)",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    r"repository '[^']*' not found|returned error: 404|Repository not found|does not appear to be a git repository|"
    r"Could not find repository|project you were looking for could not be found",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"Could not resolve host|Failed to connect|Connection (refused|timed out|reset)|returned error: (429|5\d\d)|"
    r"early EOF|hung up unexpectedly|SSL|unable to access|Could not read from remote|RPC failed|Operation timed out|"
    r"not valid: is this a git repository",
    re.IGNORECASE,
)
_NO_REF = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|did not send all necessary objects")
_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_BROKEN = re.compile(
    r"not a git repository|bad object|unable to read tree|object file .* is empty|is corrupt|cannot lock ref|"
    r"unable to update local ref|missing (blob|tree|commit)|unable to create temporary file: No such file|"
    r"inflate: data stream error|unable to find [0-9a-f]{40}|failed to read object"
)
_OUTDATED = re.compile(
    r"\[rejected\].*\((non-fast-forward|fetch first|stale info|needs force)\)|"
    r"\[remote rejected\].*\((failed to update ref|cannot lock ref|incorrect old value|reference already exists)|"
    r"fetch first|non-fast-forward"
)
_REFUSED = re.compile(r"\[remote rejected\]|\[rejected\]|hook declined|protected branch")


def error_of(args: Sequence[str], words: str, out: str, remote: Remote | None, settings: ActivitySettings) -> GitError:
    """The error that a failed command amounts to, by what Git said."""
    if _DISK.search(words):
        return DiskFull(f"the worker's disk is full: git {args[0]} could not write; free space there, then try again")
    if remote is None:
        kind = MirrorBroken if _BROKEN.search(words) else GitError
        return kind(f"git {args[0]} failed: {words or out.strip()[:_SHOWN] or 'it gave no reason'}")
    shown = remote.shown
    said = f"\n{words}" if words else ""
    if "not allowed" in words and "transport" in words:
        return TransportRefused(f"{shown}: this transport is not allowed (TOWPATH_GIT_TRANSPORTS){said}")
    if args[0] == "push":
        both = f"{out}\n{words}"
        if _REFUSED.search(both) and not _OUTDATED.search(out or words):
            return PushRefused(f"{shown} refused the push: {_remote_reason(out, words)}")
        if _OUTDATED.search(both):
            return PushOutdated(f"{shown} has commits that are not in the pushed branch{said}")
    if _HOST_KEY.search(words):
        return HostKeyRefused(f"{shown}: {_host_key_hint(words)}{said}")
    if _AUTHENTICATION.search(words):
        return AuthenticationRefused(f"{shown}: {_access_hint(remote, settings)}{said}")
    if _NOT_FOUND.search(words):
        return RepositoryNotFound(f"repository {shown} was not found, or its credentials may not see it{said}")
    if _NO_REF.search(words):
        return RefNotFound(f"{shown} has no such commit or ref{said}")
    if _UNREACHABLE.search(words):
        return RemoteUnreachable(f"{shown} could not be reached{said}")
    if _BROKEN.search(words):
        return MirrorBroken(f"git {args[0]} failed on the local copy of {shown}{said}")
    return GitError(f"git {args[0]} with {shown} failed{said or ': it gave no reason'}")


def _host_key_hint(words: str) -> str:
    if "HAS CHANGED" in words:
        return (
            "its host key is another one than it was: somebody may be listening in. If it was changed on purpose, take "
            "the old one out of ssh/known_hosts in the worker's data directory, or of the file it was told"
        )
    return (
        "its host key is not known: add it (ssh-keyscan) to TOWPATH_GIT_SSH_KNOWN_HOSTS_FILE, or to the Secret as "
        "sshKnownHosts"
    )


def _access_hint(remote: Remote, settings: ActivitySettings) -> str:
    if remote.credential is not None:
        return f"access was refused with the credentials of Secret {remote.credential.secret}"
    if remote.url.startswith("http://") and not settings.allow_credentials_over_http:
        return (
            "access was refused; credentials are not sent over http:// unless the operator sets "
            "TOWPATH_ALLOW_CREDENTIALS_OVER_HTTP=true"
        )
    return (
        "access was refused, and no Secret labelled kargo.akuity.io/cred-type: git holds credentials for this repoURL"
    )


def _remote_reason(out: str, words: str) -> str:
    """What the remote said about a push, its own lines first."""
    said = [line.removeprefix("remote:").strip() for line in words.splitlines() if line.startswith("remote:")]
    reasons = re.findall(r"\[(?:remote )?rejected\]\s*(?:\S+ -> \S+ )?\(([^)]*)\)", f"{out}\n{words}")
    return "; ".join(dict.fromkeys(line for line in [*reasons, *said] if line)) or words
