"""ID tokens of the provider: whether one is genuine, of now and for us, and what it says.

OpenID Connect Core 1.0, section 3.1.3.7.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jwt

from model.base import Json
from model.roles import Claims
from web.access.provider import Provider, PublicKey

#: Signatures by a private key alone: a public key is never a secret of HMAC's.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
#: Seconds by which clocks may differ.
_LEEWAY = 30
#: The longest token, the most groups, and the longest text of a claim.
LONGEST = 16 * 1024
_MOST_GROUPS = 1000
_LONGEST_CLAIM = 500


class TokenRefused(Exception):
    """The token is not to be trusted; the text says why, for the log."""


@dataclass(frozen=True)
class Person:
    """Whom a token is about."""

    claims: Claims
    name: str


def issuer_of(token: str) -> str:
    """The issuer that a token names, unverified: a hint whose it may be. Empty where it is no JWT."""
    if len(token) > LONGEST:
        return ""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


async def verify(
    token: str, provider: Provider, audiences: Sequence[str], groups_claim: str, nonce: str | None = None
) -> Person:
    """What a genuine token says. `nonce`: it must hold this one. Raises TokenRefused, ProviderError."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenRefused("it is not a JWT") from None
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("its algorithm is not one of a public key")
    if not isinstance(kid, str):
        raise TokenRefused("its key id is not text")
    fitting = [
        key
        for key in await provider.keys(kid)
        if key.family == _FAMILIES[algorithm[:2]] and key.algorithm in ("", algorithm)
    ]
    if not fitting:
        raise TokenRefused("it is signed by a key that its issuer does not have")
    claims = _first_that_fits(token, algorithm, fitting, provider.issuer, audiences)
    if nonce is not None and not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise TokenRefused("it is not the answer to this login")
    return _person(claims, groups_claim)


def _first_that_fits(
    token: str, algorithm: str, keys: Sequence[PublicKey], issuer: str, audiences: Sequence[str]
) -> Mapping[str, Json]:
    refused = "its signature is wrong"
    for key in keys:
        try:
            claims: dict[str, Json] = jwt.decode(
                token,
                key.key.key,
                [algorithm],
                audience=list(audiences),
                issuer=issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            refused = f"{type(error).__name__}: {error}"
            continue
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if (several or "azp" in claims) and claims.get("azp") not in audiences:
            raise TokenRefused("it was issued for another client")
        return claims
    raise TokenRefused(refused)


def _person(claims: Mapping[str, Json], groups_claim: str) -> Person:
    subject = _text(claims.get("sub"))
    if not subject:
        raise TokenRefused("it names no subject")
    # An address that its owner may just have typed in names nobody.
    email = _text(claims.get("email")) if claims.get("email_verified", True) in (True, "true") else ""
    listed = claims.get(groups_claim, [])
    groups = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    names = frozenset(group for group in map(_text, groups[:_MOST_GROUPS]) if group)
    return Person(Claims(email, subject, names), _text(claims.get("name")))


def _text(value: Json) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST_CLAIM and value.isprintable() else ""
