"""What a sender delivers, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, QueryParams

from model.base import Json
from model.pushes import Push
from starter.receivers import Placed


@dataclass(frozen=True)
class Delivery:
    """One request to a receiver."""

    headers: Headers
    body: bytes = field(repr=False)
    query: QueryParams = field(default_factory=QueryParams)

    def payload(self) -> Payload:
        """The body as a JSON object. Raises Refusal."""
        value = self.json()
        if not isinstance(value, dict):
            raise _invalid()
        return Payload(value)

    def json(self) -> Json:
        """The body as JSON. Raises Refusal."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise _invalid() from None


class Refusal(Exception):
    """The delivery is not taken: the status, and a sentence for whoever configured the sender."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _invalid() -> Refusal:
    # What is wrong with it is not said: those who send real events never hear it.
    return Refusal(400, "invalid request body")


class Payload:
    """A JSON object, read leniently as to what is there, and strictly as to its types: else Refusal."""

    def __init__(self, value: dict[str, Json]) -> None:
        self._value = value

    def text(self, *keys: str) -> str:
        """A text; empty where there is none."""
        found = self._at(keys)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise _invalid()
        return found

    def number(self, *keys: str) -> int:
        """A whole number; 0 where there is none."""
        found = self._at(keys)
        if found is None:
            return 0
        if not isinstance(found, int):
            raise _invalid()
        return found

    def texts(self, *keys: str) -> list[str]:
        """A list of texts; empty where there is none."""
        found = self._list(keys)
        if not all(isinstance(entry, str) for entry in found):
            raise _invalid()
        return found

    def part(self, *keys: str) -> Payload:
        """An object; an empty one where there is none."""
        found = self._at(keys)
        if found is not None and not isinstance(found, dict):
            raise _invalid()
        return Payload(found or {})

    def parts(self, *keys: str) -> list[Payload]:
        """A list of objects; empty where there is none."""
        found = self._list(keys)
        if not all(isinstance(entry, dict) for entry in found):
            raise _invalid()
        return [Payload(entry) for entry in found]

    def has(self, *keys: str) -> bool:
        """Whether there is anything at that place."""
        return self._at(keys) is not None

    def _list(self, keys: tuple[str, ...]) -> list[Json]:
        found = self._at(keys)
        if found is None:
            return []
        if not isinstance(found, list):
            raise _invalid()
        return found

    def _at(self, keys: tuple[str, ...]) -> Json:
        found: Json = self._value
        for key in keys:
            if found is None:
                return None
            if not isinstance(found, dict):
                raise _invalid()
            found = found.get(key)
        return found


@dataclass(frozen=True)
class PullRequestClosed:
    """A pull request was merged, or closed without. `url` is that of its page."""

    url: str


@dataclass(frozen=True)
class Nothing:
    """The delivery is fine and concerns nobody. `message` may be empty."""

    message: str = ""


Told = Push | PullRequestClosed | Nothing

#: Checks where a delivery comes from, and reads what it tells. Raises Refusal.
Sender = Callable[[Delivery, Placed], Told]

#: What a test delivery is answered.
PING = Nothing("ping event received, webhook is configured correctly")


def changed_files(commits: list[Payload]) -> frozenset[str]:
    """The files that pushed commits add, modify and remove, as GitHub, GitLab and Gitea name them."""
    return frozenset(
        path for commit in commits for kind in ("added", "modified", "removed") for path in commit.texts(kind)
    )


def not_supported(event: str) -> Refusal:
    return Refusal(400, f"event type {event[:100]!r} is not supported")
