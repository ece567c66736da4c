"""The local admin's password: only its argon2 hash is known."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: The longest password that is looked at, in bytes.
LONGEST = 1024
#: Passwords checked at the same moment: each takes 64 MiB and a core for a while.
_AT_ONCE = 2


def hash_password(password: str) -> str:
    """The hash to put into TOWPATH_WEB_ADMIN_PASSWORD_HASH; takes a moment, as it should."""
    return PasswordHasher().hash(password)


class AdminPassword:
    """Checks passwords against the one hash."""

    def __init__(self, hashed: str) -> None:
        self._hash = hashed
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def fits(self, password: str) -> bool:
        """Whether it is the password. Takes as long whatever is wrong with it."""
        too_long = len(password.encode(errors="replace")) > LONGEST
        async with self._gate:
            return await asyncio.to_thread(self._verify, "" if too_long else password) and not too_long

    def fingerprint(self, key: bytes) -> str:
        """Another one once the password is another: what was signed under the old one ends with it."""
        return hmac.new(key, self._hash.encode(), hashlib.sha256).hexdigest()[:32]

    def _verify(self, password: str) -> bool:
        try:
            return PasswordHasher().verify(self._hash, password)
        except (VerificationError, InvalidHashError):
            return False
