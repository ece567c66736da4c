"""Asks a Git host for refs over HTTP without starting Git: the cheap way of a look that is made again and again.

Git's wire protocol, version 2 (gitprotocol-v2(5), gitprotocol-http(5)). It costs less than `git ls-remote`: connections
stay open, only the refs that are wanted are sent, and a repository that has answered once is asked with one request.
Whatever is out of the ordinary is left to Git itself, which knows all ways and has words for every failure.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx

from activities.git.command import GitCommand
from activities.git.errors import GitError, RemoteBusy, RemoteUnreachable
from activities.git.refs import Remote
from activities.registry.client import retry_after

#: Seconds until an answer has begun, and until it is complete.
RESPONSE_TIMEOUT = 30.0
TOTAL_TIMEOUT = 120.0
#: Seconds after which a repository that was left to Git is tried here again.
TRY_AGAIN = 3600.0
#: Connections kept open to all hosts together.
_KEPT = 32
#: Repositories of which it is remembered how they answer.
_REMEMBERED = 10_000
#: Hosts tell Git's requests from a browser's by this.
_AGENT = "git/2.40.0-towpath"
_SERVICE = "git-upload-pack"
_ADVERTISED = f"application/x-{_SERVICE}-advertisement"
_RESULT = f"application/x-{_SERVICE}-result"
_Value = TypeVar("_Value", str, float)
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Ref(NamedTuple):
    """One ref as the host lists it: there may be many thousands."""

    name: str
    id: str
    #: Of a symbolic ref such as HEAD: the ref it stands for.
    target: str = ""
    #: Of an annotated tag: the id of the commit behind it.
    peeled: str = ""


class _Unusual(Exception):
    """The host doesn't answer as hosts ordinarily do. `lasting`: it will not the next time either."""

    def __init__(self, *, lasting: bool) -> None:
        super().__init__()
        self.lasting = lasting


class SmartHttp:
    """The connections to Git hosts, for all who ask them. Belongs to one event loop; close it at the end."""

    def __init__(self, command: GitCommand) -> None:
        self._command = command
        self._clients: dict[bool, httpx.AsyncClient] = {}
        #: The hash algorithm of repositories that speak version 2, by address.
        self._formats: dict[str, str] = {}
        #: Until when an address is left to Git.
        self._left: dict[str, float] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def refs(self, remote: Remote, prefixes: Sequence[str]) -> list[Ref] | None:
        """The refs whose names begin with one of these prefixes. None: Git itself has to ask.

        Raises RemoteBusy where the host wants to be left alone, RemoteUnreachable where it is too slow, GitError where
        it lists too much.
        """
        address = await self._command.address(remote.url)
        now = asyncio.get_running_loop().time()
        if self._left.get(address, 0.0) > now or not await self._is_ordinary(address):
            return None
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                return await self._ask(remote, address, prefixes)
        except (TimeoutError, httpx.TimeoutException):
            raise RemoteUnreachable(f"{remote.shown} could not be reached: it did not answer in time") from None
        except (_Unusual, httpx.HTTPError, httpx.InvalidURL) as error:
            self._formats.pop(address, None)
            # Git may trust authorities that are not known here.
            lasting = error.lasting if isinstance(error, _Unusual) else "CERTIFICATE_VERIFY_FAILED" in str(error)
            if lasting:
                self._remember(self._left, address, now + TRY_AGAIN)
            return None

    async def _is_ordinary(self, address: str) -> bool:
        """Whether nothing but Git's own ways leads there: no user in the address, no settings of Git for HTTP."""
        parts = urlsplit(address)
        return (
            parts.scheme in {"https", "http"}
            and parts.scheme in self._command.settings.git_transports
            and not (parts.username or parts.query or parts.fragment)
            and await self._command.only_rewrites()
        )

    async def _ask(self, remote: Remote, address: str, prefixes: Sequence[str]) -> list[Ref]:
        base = address.rstrip("/")
        known = self._formats.get(address)
        algorithm = known or await self._advertised(remote, address, base)
        if known is None:
            self._remember(self._formats, address, algorithm)
        sent = [
            "command=ls-refs\n",
            f"agent={_AGENT}\n",
            f"object-format={algorithm}\n",
            None,
            "peel\n",
            "symrefs\n",
            *(f"ref-prefix {prefix}\n" for prefix in prefixes),
        ]
        body = b"".join(b"0001" if line is None else f"{len(line) + 4:04x}{line}".encode() for line in sent) + b"0000"
        kind = {"Content-Type": f"application/x-{_SERVICE}-request", "Accept": _RESULT}
        # A host that answered before, and not now, may have changed; so it is asked from the beginning the next time.
        answer = await self._request(remote, address, "POST", f"{base}/{_SERVICE}", kind, _RESULT, body, lasting=False)
        return [_ref(line) for line in _lines(answer)]

    async def _advertised(self, remote: Remote, address: str, base: str) -> str:
        """The hash algorithm of a repository whose host speaks version 2."""
        url = f"{base}/info/refs?service={_SERVICE}"
        answer = await self._request(remote, address, "GET", url, {"Accept": "*/*"}, _ADVERTISED, None, lasting=True)
        lines = [line.rstrip("\n") for line in _lines(answer)]
        if lines[:1] == [f"# service={_SERVICE}"]:
            del lines[0]
        if lines[:1] != ["version 2"] or not any(line.partition("=")[0] == "ls-refs" for line in lines):
            raise _Unusual(lasting=True)
        return next((line.partition("=")[2] for line in lines if line.startswith("object-format=")), "sha1")

    async def _request(
        self,
        remote: Remote,
        address: str,
        method: str,
        url: str,
        headers: dict[str, str],
        expected: str,
        body: bytes | None,
        *,
        lasting: bool,
    ) -> bytes:
        """The body of an answer of the expected type; redirects are not followed. Raises what `refs` catches."""
        login = self._command.login(remote, address)
        limit = self._command.settings.git_output_limit
        async with self._client(not remote.insecure_skip_tls_verify).stream(
            method,
            url,
            headers={**headers, "Git-Protocol": "version=2"},
            content=body,
            auth=httpx.BasicAuth(*login) if login else None,
        ) as response:
            wait = retry_after(response.headers.get("retry-after", ""))
            if response.status_code == 429 or (response.status_code == 503 and wait is not None):
                raise RemoteBusy(
                    f"{remote.shown} could not be reached: its host takes no more requests for now "
                    f"({response.status_code})",
                    retry_after=wait,
                )
            if response.status_code != 200:
                raise _Unusual(lasting=lasting and response.status_code < 400)
            if response.headers.get("content-type", "").partition(";")[0].strip() != expected:
                raise _Unusual(lasting=lasting)
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > limit:
                    raise GitError(f"{remote.shown} lists refs of more than {limit} bytes (TOWPATH_GIT_OUTPUT_LIMIT)")
            return bytes(received)

    def _client(self, verify: bool) -> httpx.AsyncClient:
        if verify not in self._clients:
            try:
                client = httpx.AsyncClient(
                    verify=_trust() if verify else False,
                    timeout=httpx.Timeout(RESPONSE_TIMEOUT, connect=10.0),
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT, keepalive_expiry=60.0),
                    headers={"User-Agent": _AGENT},
                    follow_redirects=False,
                )
            except (ImportError, ValueError, OSError):
                # A proxy of a kind that only Git knows, or a file of authorities that can't be read.
                raise _Unusual(lasting=True) from None
            # One Project's session must not open a repository to another one.
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._clients[verify] = client
        return self._clients[verify]

    @staticmethod
    def _remember(table: dict[str, _Value], address: str, value: _Value) -> None:
        if len(table) >= _REMEMBERED:
            table.clear()
        table[address] = value


def _trust() -> ssl.SSLContext | bool:
    """The authorities that Git would trust, where its own variable names them."""
    file = os.environ.get("GIT_SSL_CAINFO")
    return ssl.create_default_context(cafile=file) if file else True


def _lines(answer: bytes) -> Iterator[str]:
    """The lines in pkt-line format. Raises _Unusual where it is none."""
    place = 0
    while place < len(answer):
        try:
            size = int(answer[place : place + 4], 16)
        except ValueError:
            raise _Unusual(lasting=True) from None
        if size < 4:
            # A mark between parts, or at the end.
            place += 4
            continue
        if place + size > len(answer):
            raise _Unusual(lasting=False)
        yield answer[place + 4 : place + size].decode(errors="replace")
        place += size


def _ref(line: str) -> Ref:
    """`<id> <name>[ symref-target:<name>][ peeled:<id>]`. Raises _Unusual."""
    oid, name, *attributes = line.rstrip("\n").split(" ")
    told = dict(attribute.partition(":")[::2] for attribute in attributes)
    if not name or not _ID.fullmatch(oid):
        raise _Unusual(lasting=False)
    return Ref(name, oid, told.get("symref-target", ""), told.get("peeled", ""))
