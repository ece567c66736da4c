"""Requests to those who give tokens: bounded in time and size, over TLS, without redirects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import httpx

from activities.identities.errors import IdentityError, IdentityUnavailable
from activities.settings import ActivitySettings
from model.base import Json

#: Seconds for one request, and bytes of an answer.
TIMEOUT = 20.0
MAX_ANSWER = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    value: Json = field(repr=False)
    #: Host that was asked, for messages.
    host: str

    def text(self, *path: str | int) -> str:
        """A text within the answer, empty where there is none."""
        value = self.value
        for part in path:
            if isinstance(part, int):
                value = value[part] if isinstance(value, list) and len(value) > part else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""


class Exchange:
    """Asks for tokens. Blocks: call it in a thread."""

    def __init__(self, settings: ActivitySettings) -> None:
        self._mirrors = dict(settings.http_mirrors)
        self._http_allowed = settings.allow_credentials_over_http

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, at the operator's mirror of that address where there is one.

        Raises IdentityError, and IdentityUnavailable where it is the other side's trouble.
        """
        target = self._mirrored(url)
        host = urlsplit(target).netloc
        if not target.startswith("https://") and not (target.startswith("http://") and self._http_allowed):
            raise IdentityError(f"{host} is not asked for a token: credentials are sent over https:// alone")
        try:
            with _client().stream(
                method, target, headers=dict(headers or {}), content=content or None, data=form
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise IdentityError(f"{host} answered with more than {MAX_ANSWER} bytes where a token was due")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IdentityUnavailable(
                f"{host} can't be asked for a token: {str(error) or type(error).__name__}"
            ) from None
        try:
            value = json.loads(body) if body else None
        except (ValueError, RecursionError):
            value = None
        if response.status_code >= 500 or response.status_code == 429:
            raise IdentityUnavailable(f"{host} gives no tokens for now (HTTP {response.status_code})")
        return Answer(response.status_code, value, host)

    def _mirrored(self, url: str) -> str:
        """The address as the operator has it go: the longest prefix of it that has a mirror is replaced."""
        for prefix in sorted(self._mirrors, key=len, reverse=True):
            rest = url[len(prefix) :]
            if url.startswith(prefix) and (not rest or rest[0] in "/?" or prefix.endswith("/")):
                return self._mirrors[prefix] + rest
        return url


@cache
def _client() -> httpx.Client:
    """One for the process: making one reads all certificates. Threads may share it."""
    return httpx.Client(timeout=TIMEOUT, follow_redirects=False, headers={"User-Agent": "towpath"})


def moment(text: str) -> datetime | None:
    """A time as RFC 3339 writes it, None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def shown(text: str) -> str:
    """Somebody else's words on one line, shortened."""
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words if len(words) <= 200 else f"{words[:199]}…"
