"""Tokens that were given, kept until shortly before they expire; asked for once, however many wait."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

#: A token is not used in its last minutes (Kargo: tokenCacheExpiryMargin).
MARGIN = timedelta(minutes=5)
#: Tokens kept at most.
MAX_TOKENS = 4096


@dataclass(frozen=True)
class Token:
    """What opens a repository for a while."""

    username: str
    password: str = field(repr=False)
    expires_at: datetime


class TokenCache:
    """Tokens by a digest of what they were asked for with: the keys themselves aren't kept. Threads may share it."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, parts: tuple[str, ...], ask: Callable[[], Token]) -> Token:
        """The token kept for these parts, or the one that `ask` gets. What `ask` raises is not kept."""
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            token = self._tokens.get(key)
            if token is None or token.expires_at - MARGIN <= self.clock():
                token = ask()
                self._keep(key, token)
            return token

    def _keep(self, key: str, token: Token) -> None:
        with self._guard:
            if len(self._tokens) >= MAX_TOKENS:
                now = self.clock()
                self._tokens = {name: kept for name, kept in self._tokens.items() if kept.expires_at > now}
                self._locks = {name: lock for name, lock in self._locks.items() if name in self._tokens}
            self._tokens[key] = token
