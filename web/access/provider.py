"""A provider of OpenID Connect: what it says of itself, its keys, and the exchange of a code.

OpenID Connect Discovery 1.0, RFC 7517 (keys), RFC 6749 and 7636 (code with PKCE).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
import jwt

from model.base import Json
from workflows.settings import is_loopback

logger = logging.getLogger("towpath.access")

#: Seconds for which what was read counts as fresh.
FRESH = 3600.0
#: Seconds for which old keys serve while the provider can't be reached.
KEPT = 86400.0
#: Seconds between two readings because of a key that isn't known.
PAUSE = 10.0
_TIMEOUT = 10.0
_LARGEST = 1024 * 1024
_MOST_KEYS = 100


class ProviderError(Exception):
    """The provider can't be reached, or says what it should not: for the log, not for whoever logs in."""


@dataclass(frozen=True)
class Endpoints:
    """Where the provider does what."""

    authorization: str
    token: str
    keys: str
    #: Whether the client's secret goes into the body, since the provider takes it there alone.
    secret_in_body: bool


@dataclass(frozen=True)
class PublicKey:
    """One key by which the provider signs."""

    #: `RSA`, `EC` or `OKP`.
    family: str
    #: The one algorithm it is for; empty: any of its family.
    algorithm: str
    key: jwt.PyJWK


class Provider:
    """One issuer."""

    def __init__(
        self,
        issuer: str,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
    ) -> None:
        self.issuer = issuer
        self._http = http or httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        self._clock, self._pause = clock, pause
        self._endpoints: Endpoints | None = None
        self._endpoints_at = float("-inf")
        self._keys: dict[str, list[PublicKey]] = {}
        self._keys_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        await self._http.aclose()

    async def endpoints(self) -> Endpoints:
        """Where it does what. Raises ProviderError."""
        if self._endpoints is None or self._clock() - self._endpoints_at > FRESH:
            self._endpoints = self._read_endpoints(
                await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            )
            self._endpoints_at = self._clock()
        return self._endpoints

    async def keys(self, kid: str) -> list[PublicKey]:
        """The keys of that id (empty: those without one, or all where a token names none). Raises ProviderError.

        An id that isn't known makes it look again, but not more often than every few seconds: keys are rotated, and
        anybody can make up an id.
        """
        now = self._clock()
        if now - self._keys_at > FRESH or (kid not in self._keys and kid):
            async with self._reading:
                known = self._clock() - self._keys_at <= FRESH and (kid in self._keys or not kid)
                if not known and self._clock() - self._tried_at >= self._pause:
                    await self._read_keys()
        if self._clock() - self._keys_at > KEPT:
            raise ProviderError(f"the keys of {self.issuer} can't be read")
        if kid:
            return self._keys.get(kid, [])
        return [key for keys in self._keys.values() for key in keys]

    async def exchange(self, code: str, verifier: str, redirect_uri: str, client_id: str, secret: str | None) -> str:
        """The ID token for a code. Raises ProviderError."""
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Accept": "application/json"}
        if secret is None or endpoints.secret_in_body:
            form["client_id"] = client_id
            if secret is not None:
                form["client_secret"] = secret
        else:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = await self._request("POST", endpoints.token, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError(f"{endpoints.token} gave no id_token; is the scope openid among those asked for?")
        return token

    async def _read_keys(self) -> None:
        self._tried_at = self._clock()
        try:
            endpoints = await self.endpoints()
            read = _parse_keys(await self._get(endpoints.keys))
        except ProviderError as error:
            if self._clock() - self._keys_at > KEPT:
                raise
            logger.warning("%s; the keys of before serve on", error)
            return
        self._keys, self._keys_at = read, self._clock()

    def _read_endpoints(self, found: Mapping[str, Json]) -> Endpoints:
        if found.get("issuer") != self.issuer:
            raise ProviderError(
                f"what answers for {self.issuer} calls itself {found.get('issuer')!r}; "
                "set TOWPATH_OIDC_ISSUER to exactly that, if it is the right one"
            )
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Endpoints(
            self._address(found, "authorization_endpoint"),
            self._address(found, "token_endpoint"),
            self._address(found, "jwks_uri"),
            "client_secret_basic" not in methods,
        )

    def _address(self, found: Mapping[str, Json], name: str) -> str:
        address = found.get(name)
        parts = urlsplit(address if isinstance(address, str) else "")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ProviderError(f"{self.issuer} names no {name} with https")
        return str(address)

    async def _get(self, url: str) -> Mapping[str, Json]:
        return await self._request("GET", url, headers={"Accept": "application/json"})

    async def _request(
        self, method: str, url: str, *, headers: Mapping[str, str], data: Mapping[str, str] | None = None
    ) -> Mapping[str, Json]:
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                self._http.stream(method, url, headers=headers, data=data) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _LARGEST:
                        raise ProviderError(f"{url} answers with more than {_LARGEST} bytes")
        except (httpx.HTTPError, TimeoutError) as error:
            raise ProviderError(f"{url} can't be reached: {type(error).__name__} {error}") from error
        if answer.status_code != 200:
            # Its body may quote what was sent.
            raise ProviderError(f"{url} answers with status {answer.status_code}")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderError(f"{url} does not answer with JSON") from None
        if not isinstance(found, dict):
            raise ProviderError(f"{url} does not answer with a JSON object")
        return found


def _parse_keys(found: Mapping[str, Json]) -> dict[str, list[PublicKey]]:
    """Public signing keys by their ids. Kinds that aren't known, and symmetric ones, are left out."""
    listed = found.get("keys")
    if not isinstance(listed, list):
        raise ProviderError("the provider's jwks_uri lists no keys")
    keys: dict[str, list[PublicKey]] = {}
    for entry in listed[:_MOST_KEYS]:
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = PublicKey(entry["kty"], str(entry.get("alg", "")), jwt.PyJWK(entry))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            logger.info("a key of the provider is of a kind that is not known here")
            continue
        keys.setdefault(str(entry.get("kid", "")), []).append(key)
    return keys
