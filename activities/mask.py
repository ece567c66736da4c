"""Keeps secrets out of what a step returns: what was read as a secret becomes `***` wherever it appears."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, quote_plus

from model.base import Json

MASKED = "***"

#: Shorter values are not masked: they occur in ordinary words, and masking them would garble outputs.
SHORTEST = 4


class Mask:
    """The secret values read so far, in all the forms in which they are known to leak."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._longest_first: list[str] = []

    def add(self, secret: str) -> None:
        """Mask this value from now on, also its lines, and its base64, URL-encoded and JSON forms."""
        before = len(self._forms)
        for value in {secret, secret.strip(), *(line.strip() for line in secret.splitlines() if len(line) >= 12)}:
            if len(value) >= SHORTEST:
                self._forms.update(_forms(value))
        if len(self._forms) != before:
            self._longest_first = sorted(self._forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without any of the secrets."""
        for form in self._longest_first:
            if form in text:
                text = text.replace(form, MASKED)
        return text

    def json(self, value: Json) -> Json:
        """The value with every string in it masked, keys too."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key) if isinstance(key, str) else key: self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._forms:
            return MASKED
        return value

    @contextmanager
    def collecting(self) -> Iterator[Mask]:
        """Within it, every secret that credentials hand out is added to this mask (also from threads it starts)."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[Mask | None] = ContextVar("mask", default=None)


def remember(secret: str) -> str:
    """Note that this secret was read: whatever gathers secrets now (`Mask.collecting`) will mask it. Returns it."""
    mask = _CURRENT.get()
    if mask is not None:
        mask.add(secret)
    return secret


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    data = value.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        yield whole
        yield whole.rstrip("=")
        # Inside a longer text the value may begin at any of three places of a base64 group; the characters that
        # also depend on its neighbours are left out.
        for shift in (0, 1, 2):
            encoded = encode(b"\0" * shift + data).decode()
            first = (0, 2, 3)[shift]
            last = (shift + len(data)) * 8 // 6
            if last - first >= 8:
                yield encoded[first:last]


def current() -> Mask | None:
    """The mask that gathers secrets now, if one does."""
    return _CURRENT.get()
