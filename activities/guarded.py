"""HTTP to addresses that a manifest chose: never to link-local addresses or a cloud's metadata service.

Whoever may write a promotion's steps must not make the worker fetch its own cloud credentials for them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from urllib.request import getproxies, proxy_bypass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Where clouds answer with credentials, besides the link-local addresses.
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")))


class AddressRefused(httpx.TransportError):
    """The host has no address but refused ones."""


def refused(address: Address) -> bool:
    """Whether this is a link-local address, a metadata service's, or none of one host; also wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        # NAT64's well-known prefix (RFC 6052) carries an IPv4 address in its last 32 bits.
        if inner is None and address in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and refused(inner):
            return True
    return address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks where each request goes, redirects too, and connects to the very address that was checked.

    Through a proxy (`proxy`, else the environment's) names are resolved there; an address that stands in the URL
    itself is checked all the same, and so is the proxy's.
    """

    def __init__(
        self, *, verify: bool = True, proxy: str | None = None, mirrors: Mapping[str, str] | None = None
    ) -> None:
        self._mirrors = dict(mirrors or {})
        self._context = _tls_context(verify, _authorities())
        self._direct = httpx.AsyncHTTPTransport(verify=self._context)
        self._proxy = proxy
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request = self._mirrored(request)
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx.UnsupportedProtocol(f"the address must begin with http:// or https://, not {url.scheme}:")
        if url.port is not None and not 0 < url.port < 65536:
            raise httpx.InvalidURL(f"there is no port {url.port}")
        proxy = self._proxy or (None if proxy_bypass(url.host) else getproxies().get(url.scheme))
        if proxy:
            _allowed(url.host, _literal(url.host))
            parsed = httpx.URL(proxy)
            _allowed(parsed.host, await _resolve(parsed.host, parsed.port or 80))
            return await self._through(proxy).handle_async_request(request)
        addresses = _allowed(url.host, await _resolve(url.host, url.port or (443 if url.scheme == "https" else 80)))
        failure: httpx.TransportError = httpx.ConnectError(f"{url.host} has no address")
        for address in addresses:
            # By its address, so that a name which resolves to another one a moment later makes no difference. The
            # Host header holds the name already, TLS gets it here.
            pinned = httpx.Request(
                request.method,
                url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
            try:
                return await self._direct.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def _mirrored(self, request: httpx.Request) -> httpx.Request:
        """The request as the operator has it go: the longest prefix of its address that has a mirror is replaced."""
        address = str(request.url)
        for prefix in sorted(self._mirrors, key=len, reverse=True):
            rest = address[len(prefix) :]
            if address.startswith(prefix) and (not rest or rest[0] in "/?" or prefix.endswith("/")):
                url = httpx.URL(self._mirrors[prefix] + rest)
                headers = httpx.Headers(request.headers)
                headers["Host"] = url.netloc.decode("ascii")
                return httpx.Request(
                    request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
                )
        return request

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.AsyncHTTPTransport(verify=self._context, proxy=proxy)
        return self._proxied[proxy]

    async def aclose(self) -> None:
        await self._direct.aclose()
        for transport in self._proxied.values():
            await transport.aclose()


async def addresses_of(host: str, port: int) -> list[Address]:
    """Where the host may be connected to. Raises AddressRefused, and httpx.ConnectError where it has no address."""
    found = _allowed(host, await _resolve(host, port))
    if not found:
        raise httpx.ConnectError(f"{host} has no address")
    return found


def _authorities() -> tuple[str, str, float]:
    """Where the environment says that certificates of authorities are, and since when a file is as it is."""
    file, directory = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    try:
        return file, directory, os.stat(file).st_mtime if file else 0.0
    except OSError:
        return file, directory, 0.0


@lru_cache(maxsize=8)
def _tls_context(verify: bool, authorities: tuple[str, str, float]) -> ssl.SSLContext:
    """One context for all clients: reading the authorities' certificates takes longer than most requests."""
    return httpx.create_ssl_context(verify=verify, trust_env=True)


def _literal(host: str) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        return []


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{host} can't be resolved: {error}") from None
    return list(dict.fromkeys(ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found))


def _allowed(host: str, addresses: list[Address]) -> list[Address]:
    """Those that may be connected to. Raises AddressRefused where all there are is refused ones."""
    allowed = [address for address in addresses if not refused(address)]
    if addresses and not allowed:
        raise AddressRefused(f"{host} is at {addresses[0]}: link-local and metadata addresses are refused")
    return allowed
