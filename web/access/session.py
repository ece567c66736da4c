"""A page's session: a sealed cookie, so that any process that has the key serves it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.roles import Claims
from web.access.identity import Identity, IdentityKind, local_admin, user

#: Browsers keep cookies up to 4,096 bytes, name and attributes included.
LARGEST = 3800
#: A session's content, unpacked.
_UNPACKED = 64 * 1024
_NONCE = 12
#: Ended sessions remembered until they would have ended by themselves.
_ENDED = 10_000


class Session(BaseModel):
    """What a cookie holds."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: IdentityKind
    email: str = ""
    subject: str = ""
    name: str = ""
    groups: list[str] = Field(default_factory=list)
    #: Seconds since 1970: when it began, and when it was last seen.
    began: float
    seen: float
    #: Of the admin: a fingerprint of the password.
    password: str = ""

    @property
    def identity(self) -> Identity:
        if self.kind is IdentityKind.ADMIN:
            return local_admin()
        return user(Claims(self.email, self.subject, frozenset(self.groups)), self.name)


class Sessions:
    """Seals and opens sessions. Two limits in seconds: `lifetime` from the beginning, `idle` since the last request."""

    def __init__(
        self,
        seal: bytes,
        csrf: bytes,
        *,
        lifetime: float,
        idle: float,
        fingerprint: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cipher, self._csrf = AESGCM(seal), csrf
        self._lifetime, self._idle, self._clock = lifetime, idle, clock
        self._fingerprint = fingerprint
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin_admin(self) -> Session:
        """A new session of the local admin."""
        now = self._clock()
        return Session(
            id=secrets.token_urlsafe(18), kind=IdentityKind.ADMIN, began=now, seen=now, password=self._fingerprint
        )

    def begin_user(self, claims: Claims, name: str = "") -> Session:
        """A new session of somebody who came by OpenID Connect."""
        now = self._clock()
        return Session(
            id=secrets.token_urlsafe(18),
            kind=IdentityKind.USER,
            email=claims.email,
            subject=claims.subject,
            name=name[:200],
            groups=sorted(claims.groups),
            began=now,
            seen=now,
        )

    def seal(self, session: Session) -> str:
        """The cookie's value. Raises ValueError where it is too large for a cookie."""
        packed = zlib.compress(session.model_dump_json(exclude_defaults=True).encode())
        nonce = secrets.token_bytes(_NONCE)
        sealed = base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, packed, None)).decode()
        if len(sealed) > LARGEST:
            raise ValueError(f"a session of {len(session.groups)} groups does not fit into a cookie")
        return sealed

    def open(self, cookie: str) -> Session | None:
        """The session that still runs; None: there is none."""
        if len(cookie) > LARGEST:
            return None
        try:
            raw = base64.urlsafe_b64decode(cookie)
            packed = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None)
            unpacking = zlib.decompressobj()
            session = Session.model_validate_json(unpacking.decompress(packed, _UNPACKED))
        except (binascii.Error, InvalidTag, ValueError, ValidationError, zlib.error):
            return None
        now = self._clock()
        over = now >= session.began + self._lifetime or now >= session.seen + self._idle
        other_password = session.kind is IdentityKind.ADMIN and not hmac.compare_digest(
            session.password.encode(), self._fingerprint.encode()
        )
        return None if over or other_password or session.id in self._ended else session

    def touched(self, session: Session) -> Session | None:
        """The session as seen now, where enough of its idle time is gone to send the cookie again."""
        now = self._clock()
        return session.model_copy(update={"seen": now}) if now - session.seen > self._idle / 20 else None

    def end(self, session: Session) -> None:
        """What was logged out of is refused by this process, whoever kept the cookie."""
        self._ended[session.id] = None
        while len(self._ended) > _ENDED:
            self._ended.popitem(last=False)

    def csrf(self, session: Session) -> str:
        """What forms and htmx send along, which no other site can know."""
        return hmac.new(self._csrf, session.id.encode(), hashlib.sha256).hexdigest()

    def csrf_fits(self, session: Session, sent: str) -> bool:
        return hmac.compare_digest(self.csrf(session).encode(), sent.encode(errors="replace"))
