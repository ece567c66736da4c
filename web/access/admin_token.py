"""Tokens for the local admin, as Kargo's command line gets them by logging in: signed by a key of our own."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable

import jwt

#: Who issues them, and for whom.
ISSUER = "towpath"
_ALGORITHM = "HS256"


class AdminTokens:
    """Makes and reads them. `fingerprint`: of the password, so that they end when that changes."""

    def __init__(self, key: bytes, fingerprint: str, lifetime: float, clock: Callable[[], float] = time.time) -> None:
        self._key, self._fingerprint, self._lifetime, self._clock = key, fingerprint, lifetime, clock

    def issue(self) -> str:
        now = int(self._clock())
        claims = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": "admin",
            "iat": now,
            "nbf": now,
            "exp": now + int(self._lifetime),
            "jti": secrets.token_hex(16),
            "pwd": self._fingerprint,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def valid(self, token: str) -> bool:
        """Whether it is one of ours, of now."""
        now = self._clock()
        try:
            claims = jwt.decode(
                token,
                self._key,
                [_ALGORITHM],
                audience=ISSUER,
                issuer=ISSUER,
                # The clock is ours: below.
                options={
                    "require": ["exp", "iat", "nbf", "sub", "pwd"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            in_time = float(claims["nbf"]) <= now < float(claims["exp"])
        except (jwt.PyJWTError, TypeError, ValueError):
            return False
        same = hmac.compare_digest(str(claims["pwd"]).encode(), self._fingerprint.encode())
        return in_time and same and claims["sub"] == "admin"
