"""Whether a delivery was made by someone who knows the secret. All comparisons take constant time.

Missing and wrong proofs are answered alike.
"""

from __future__ import annotations

import hashlib
import hmac

from web.webhooks.delivery import Delivery, Refusal

#: By the prefix of a signature `<algorithm>=<hex>`.
_ALGORITHMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}


def check_signature(delivery: Delivery, header: str, secret: str) -> None:
    """An HMAC of the body, written `sha256=<hex>`. Raises Refusal."""
    algorithm, separator, digest = delivery.headers.get(header, "").partition("=")
    hashing = _ALGORITHMS.get(algorithm)
    if not separator or hashing is None:
        raise _unauthorized()
    _compare(digest.lower(), hmac.new(secret.encode(), delivery.body, hashing).hexdigest())


def check_bare_signature(delivery: Delivery, header: str, secret: str) -> None:
    """An HMAC-SHA-256 of the body, in hexadecimal digits alone. Raises Refusal."""
    expected = hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    _compare(delivery.headers.get(header, ""), expected)


def check_token(delivery: Delivery, header: str, secret: str) -> None:
    """The secret itself. Raises Refusal."""
    _compare(delivery.headers.get(header, ""), secret)


def _compare(given: str, expected: str) -> None:
    # Starlette reads headers as Latin-1; senders write UTF-8.
    if not hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode()):
        raise _unauthorized()


def _unauthorized() -> Refusal:
    return Refusal(401, "unauthorized")
