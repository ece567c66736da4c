"""The JSON API of a Git host: requests with a token, errors in words, pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from activities.guarded import GuardedTransport
from model.base import Json

#: Parameters of a query; a list repeats its name.
Parameters = Mapping[str, str | int | list[str]]

#: The largest answer, in bytes.
MAX_ANSWER = 16 * 1024 * 1024
#: Pages of one list at most.
MAX_PAGES = 20


class HostError(Exception):
    """A Git host could not be asked, or refused. `status` is its HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0, body: Json = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body

    @property
    def words(self) -> str:
        """What the host said about it."""
        return words_of(self.body)


@dataclass(frozen=True)
class Answer:
    """What the host answered: JSON, or None where there was no content."""

    status: int
    body: Json
    headers: httpx.Headers


class HostApi:
    """Requests to one host's API, below `base`. Use as a context manager."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        verify: bool = True,
        mirrors: Mapping[str, str] | None = None,
        authorized: bool = True,
    ) -> None:
        self.base = base.rstrip("/")
        self.host = httpx.URL(base).netloc.decode("ascii")
        self.timeout = timeout
        self._authorized = authorized
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(verify=verify, mirrors=mirrors),
            timeout=timeout,
            follow_redirects=False,
            max_redirects=3,
            headers={"User-Agent": "towpath", "Accept": "application/json", **headers},
        )

    async def __aenter__(self) -> HostApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Json = None,
        params: Parameters | None = None,
    ) -> Answer:
        """One request; `what` says in errors what it was for. Raises HostError for every answer that isn't 2xx."""
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._send(method, path, what, body, params)
        except (TimeoutError, httpx.TimeoutException):
            raise HostError(f"{what}: {self.host} did not answer within {self.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise HostError(f"{what}: {self.host} can't be reached: {error or type(error).__name__}") from None
        except httpx.InvalidURL as error:
            raise HostError(f"{what}: the address is not valid: {error}") from None
        if not 200 <= answer.status < 300:
            raise HostError(f"{what}: {self._complaint(answer)}", answer.status, answer.body)
        return answer

    async def listed(self, path: str, what: str, params: Parameters, *, size: int) -> list[Json]:
        """The items of a list that comes by numbered pages, MAX_PAGES at most; `size`: of a full page."""
        found: list[Json] = []
        for page in range(1, MAX_PAGES + 1):
            items = (await self.call("GET", path, what, params={**params, "page": page})).body or []
            found += items
            if len(items) < size:
                break
        return found

    async def _send(
        self,
        method: str,
        path: str,
        what: str,
        body: Json,
        params: Parameters | None,
    ) -> Answer:
        request = self._client.build_request(method, self.base + path, json=body, params=params)
        # Only what reads may be sent where a redirect leads: a repository that was renamed.
        response = await self._client.send(request, stream=True, follow_redirects=method == "GET")
        try:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MAX_ANSWER:
                    raise HostError(f"{what}: the answer of {self.host} is larger than {MAX_ANSWER} bytes")
        finally:
            await response.aclose()
        try:
            content = json.loads(data) if data else None
        except ValueError:
            if 200 <= response.status_code < 300:
                raise HostError(
                    f"{what}: {self.host} answered with something that isn't JSON; is its API at {self.base}? "
                    "Check repoURL and provider"
                ) from None
            content = None
        return Answer(response.status_code, content, response.headers)

    def _complaint(self, answer: Answer) -> str:
        words = words_of(answer.body)
        said = f": {words}" if words else ""
        match answer.status:
            case 401:
                return f"{self.host} {self._credentials('wants credentials')} (401){said}"
            case 403:
                return f"{self.host} {self._credentials('forbids it')} (403){said}"
            case 404:
                return (
                    f"{self.host} finds no such thing (404){said}: check repoURL, and that the token of the Secret for "
                    "it may see the repository"
                )
            case 429:
                return f"{self.host} takes no more requests for now (429){said}"
            case status if 300 <= status < 400:
                return f"{self.host} redirects ({status}): the repository has moved; set repoURL to its new address"
            case status:
                return f"{self.host} answered {status}{said}"

    def _credentials(self, complaint: str) -> str:
        if self._authorized:
            return f"{complaint}: the password of the Secret for this repository must be a token with that permission"
        return (
            f"{complaint}, and there is no Secret labelled kargo.akuity.io/cred-type: git with a password for this "
            "repoURL"
        )


def words_of(body: Json) -> str:
    """The reason in an error's body, wherever the host puts it; shortened."""
    if not isinstance(body, dict):
        return ""
    parts: list[str] = []
    for key in ("message", "error_description", "error", "errors"):
        _gather(body.get(key), parts)
    text = "; ".join(dict.fromkeys(part for part in parts if part))
    return " ".join(text.split())[:500]


def _gather(value: Json, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(value)
    elif isinstance(value, list):
        for item in value:
            _gather(item, parts)
    elif isinstance(value, dict):
        for key in ("message", "field", "code"):
            if isinstance(value.get(key), str):
                parts.append(value[key])
                return
        for item in value.values():
            _gather(item, parts)


def moment(text: Json) -> datetime | None:
    """A time as hosts write it; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None
