"""HTTP as metric providers use it: bounded in time and size, and never to a link-local or metadata address.

Whoever may write an AnalysisTemplate chooses the address; the worker must not fetch its own cloud credentials for them.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx

from activities.guarded import GuardedTransport
from activities.mask import Mask
from activities.metrics.registry import MetricError
from model.base import Json
from model.providers.authentication import OAuth2

#: Bytes of an answer that are read at most, after decompression.
MAX_BODY = 4 * 1024 * 1024
MAX_REDIRECTS = 10


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

    Redirects are followed, except with `redirects=False`: for requests with credentials in headers of their own, which
    would go along to wherever they lead. Raises MetricError, naming host and reason.
    """

    def __init__(
        self,
        *,
        timeout: float,
        verify: bool = True,
        mirrors: Mapping[str, str] | None = None,
        redirects: bool = True,
    ) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(verify=verify, mirrors=mirrors),
            timeout=timeout,
            follow_redirects=redirects,
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
        """One request."""
        where = shown_url(url)
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
            raise MetricError(f"oauth2: the token server {shown_url(oauth2.token_url)} answered {answer.status}")
        try:
            token: Any = answer.json()
        except (ValueError, RecursionError):
            token = None
        if not isinstance(token, dict) or not isinstance(token.get("access_token"), str) or not token["access_token"]:
            raise MetricError(f"oauth2: the token server {shown_url(oauth2.token_url)} gave no access_token")
        mask.add(token["access_token"])
        kind = str(token.get("token_type") or "Bearer")
        return f"{'Bearer' if kind.lower() == 'bearer' else kind} {token['access_token']}"


def basic_authorization(username: str, password: str, mask: Mask) -> str:
    """The value of an Authorization header by HTTP Basic, masked from now on."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    mask.add(encoded)
    return f"Basic {encoded}"


def shown_url(url: str) -> str:
    """A URL for messages: without user, password and query, where secrets stand."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "(invalid URL)"
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace').rpartition('@')[2]}{parsed.path}"
