"""HTTP as metric providers use it: bounded in time and size, and never to a link-local or metadata address.

Whoever may write an AnalysisTemplate chooses the address; the worker must not fetch its own cloud credentials for them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus
from urllib.request import getproxies, proxy_bypass

import httpx

from activities.mask import Mask
from activities.metrics.registry import MetricError
from model.base import Json
from model.resources.analysis_template import OAuth2

#: Bytes of an answer that are read at most, after decompression.
MAX_BODY = 4 * 1024 * 1024
MAX_REDIRECTS = 10

#: Where clouds answer with credentials, besides the link-local addresses.
_METADATA = frozenset(ipaddress.ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(httpx.TransportError):
    """The host is, or resolves to, an address that metrics may not be read from."""


def refused(address: Address) -> bool:
    """Is this a link-local address or one of a cloud's metadata services?"""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None and refused(inner):
            return True
    return address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"can't resolve {host}: {error}") from None
    return list(dict.fromkeys(ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found))


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks where each request goes, redirects too, and connects to the very address that was checked."""

    def __init__(self, *, verify: bool = True) -> None:
        self._context: ssl.SSLContext = httpx.create_ssl_context(verify=verify, trust_env=True)
        self._direct = httpx.AsyncHTTPTransport(verify=self._context)
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if request.url.scheme not in ("http", "https") or not host:
            raise httpx.UnsupportedProtocol(f"{request.url.scheme or 'no'} scheme: expected http:// or https://")
        proxy = None if proxy_bypass(host) else getproxies().get(request.url.scheme)
        if proxy:
            # The proxy resolves names; an address that stands in the URL itself is refused here all the same.
            self._check(host, _literal(host))
            return await self._through(proxy).handle_async_request(request)
        addresses = await _resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        self._check(host, addresses)
        failure: httpx.TransportError = httpx.ConnectError(f"{host} has no address")
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._direct.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def _check(self, host: str, addresses: list[Address]) -> None:
        for address in addresses:
            if refused(address):
                raise AddressRefused(
                    f"{host} is at {address}: metrics are not read from link-local or metadata addresses"
                )

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.AsyncHTTPTransport(verify=self._context, proxy=proxy)
        return self._proxied[proxy]

    async def aclose(self) -> None:
        await self._direct.aclose()
        for transport in self._proxied.values():
            await transport.aclose()


def _literal(host: str) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        return []


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Json:
        """The body as JSON. Raises ValueError where it is none, or not one that Go would read."""
        return json.loads(self.body, parse_constant=_no_constant, parse_int=_number)


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is not JSON")


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


class MetricClient:
    """Sends the requests of one measurement. Use it with `async with`; `timeout` seconds bound all of them together.

    Raises MetricError, naming host and reason.
    """

    def __init__(self, *, timeout: float, verify: bool = True) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(verify=verify),
            timeout=timeout,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "towpath"},
        )

    async def __aenter__(self) -> MetricClient:
        self._deadline = asyncio.get_running_loop().time() + self._timeout
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer:
        """One request, redirects followed."""
        where = _shown(url)
        try:
            async with asyncio.timeout_at(self._deadline):
                request = self._client.build_request(
                    method, url, headers=headers, content=content, params=params, data=dict(form) if form else None
                )
                response = await self._client.send(request, stream=True, auth=auth)
                try:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MAX_BODY:
                            raise MetricError(f"{method} {where}: the answer is larger than {MAX_BODY} bytes")
                    return Answer(response.status_code, bytes(body))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise MetricError(f"{method} {where}: no answer within {self._timeout:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MetricError(f"{method} {where}: {error or type(error).__name__}") from None
        except (ValueError, UnicodeError) as error:
            raise MetricError(f"{method} {where}: the request can't be made: {error}") from None

    async def token(self, oauth2: OAuth2, mask: Mask) -> str:
        """The value of an Authorization header, by OAuth2 client credentials (RFC 6749, 4.4).

        The client authenticates by HTTP Basic; where that is refused, in the form, as Go's oauth2 does.
        """
        if not oauth2.client_id or not oauth2.client_secret:
            raise MetricError("authentication.oauth2 needs clientId and clientSecret")
        form = {"grant_type": "client_credentials"}
        if oauth2.scopes:
            form["scope"] = " ".join(oauth2.scopes)
        basic = quote_plus(oauth2.client_id), quote_plus(oauth2.client_secret)
        answer = await self.send("POST", oauth2.token_url, form=form, auth=basic)
        if answer.status in (400, 401):
            credentials = {"client_id": oauth2.client_id, "client_secret": oauth2.client_secret}
            answer = await self.send("POST", oauth2.token_url, form=form | credentials)
        if not answer.ok:
            raise MetricError(f"oauth2: the token server {_shown(oauth2.token_url)} answered {answer.status}")
        try:
            token: Any = answer.json()
        except (ValueError, RecursionError):
            token = None
        if not isinstance(token, dict) or not isinstance(token.get("access_token"), str) or not token["access_token"]:
            raise MetricError(f"oauth2: the token server {_shown(oauth2.token_url)} gave no access_token")
        mask.add(token["access_token"])
        kind = str(token.get("token_type") or "Bearer")
        return f"{'Bearer' if kind.lower() == 'bearer' else kind} {token['access_token']}"


def _shown(url: str) -> str:
    """A URL for messages: without user, password and query, where secrets stand."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "(invalid URL)"
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace').rpartition('@')[2]}{parsed.path}"
