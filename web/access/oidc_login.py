"""Logging in to the page by OpenID Connect: authorization code with PKCE, begun and ended here.

What must be remembered in between travels in a sealed cookie, so that any process may see the end of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from web.access.id_token import Person, TokenRefused, verify
from web.access.provider import Provider

#: Seconds in which one may log in at the provider.
PATIENCE = 600
_NONCE = 12
_LONGEST_PATH = 1000


class LoginFailed(Exception):
    """It was not this browser's login, it was refused, or took too long; the text is for the log."""


class OidcLogin:
    """The web as a client of one provider."""

    def __init__(
        self,
        provider: Provider,
        key: bytes,
        *,
        client_id: str,
        client_secret: str | None,
        scopes: Sequence[str],
        groups_claim: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider, self._cipher = provider, AESGCM(key)
        self._client_id, self._secret, self._scopes = client_id, client_secret, list(scopes)
        self._groups_claim, self._clock = groups_claim, clock

    async def begin(self, redirect_uri: str, back_to: str) -> tuple[str, str]:
        """The provider's address to send the browser to, and the cookie to leave in it. Raises ProviderError."""
        endpoints = await self._provider.endpoints()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(endpoints.authorization).query else "?"
        cookie = self._seal([state, nonce, verifier, redirect_uri, safe_path(back_to), int(self._clock())])
        return f"{endpoints.authorization}{joint}{urlencode(query)}", cookie

    async def end(self, cookie: str, state: str, code: str, issuer: str = "") -> tuple[Person, str]:
        """Who has logged in, and the path to go back to. Raises LoginFailed, ProviderError."""
        known, nonce, verifier, redirect_uri, back_to, began = self._open(cookie)
        if not hmac.compare_digest(known.encode(), state.encode(errors="replace")):
            raise LoginFailed("the answer belongs to another login")
        if self._clock() - began > PATIENCE:
            raise LoginFailed("it took too long")
        if issuer and issuer != self._provider.issuer:
            # RFC 9207: another provider's answer.
            raise LoginFailed("the answer comes from another provider")
        if not code:
            raise LoginFailed("the provider refused")
        token = await self._provider.exchange(code, verifier, redirect_uri, self._client_id, self._secret)
        try:
            person = await verify(token, self._provider, [self._client_id], self._groups_claim, nonce)
        except TokenRefused as error:
            raise LoginFailed(f"the provider's token is refused: {error}") from error
        return person, back_to

    def _seal(self, content: list[str | int]) -> str:
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, json.dumps(content).encode(), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def _open(self, cookie: str) -> tuple[str, str, str, str, str, int]:
        try:
            raw = base64.urlsafe_b64decode(cookie)
            state, nonce, verifier, redirect_uri, back_to, began = json.loads(
                self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None)
            )
        except (binascii.Error, InvalidTag, ValueError):
            raise LoginFailed("this browser began no login here, or has lost its cookie") from None
        return state, nonce, verifier, redirect_uri, back_to, began


def safe_path(path: str) -> str:
    """A path of this site to go to; `/` where it would lead elsewhere."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if own and len(path) <= _LONGEST_PATH else "/"
