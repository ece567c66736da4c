"""Amazon's Elastic Container Registry: a login from an access key (Kargo: pkg/credentials/ecr).

Source: GetAuthorizationToken in Amazon's ECR API reference.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from activities.aws_signature import Keys, signature_headers
from activities.identities.errors import IdentityError
from activities.identities.exchange import Exchange, shown
from activities.identities.tokens import Token, TokenCache

ACCESS_KEY_ID = "awsAccessKeyID"
SECRET_ACCESS_KEY = "awsSecretAccessKey"  # noqa: S105  # its name
REGION = "awsRegion"
KEYS = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, REGION)

_REPOSITORY = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/.+")
_REGION = re.compile(r"[a-z0-9-]{4,40}")
_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
#: What a token is taken to last that doesn't say (AWS: 12 hours).
_LIFETIME = timedelta(hours=10)


def opens(repo_url: str) -> bool:
    """Whether this normalized address is a repository there."""
    return _REPOSITORY.fullmatch(repo_url) is not None


def access_key_login(data: Mapping[str, str], exchange: Exchange, cache: TokenCache) -> Token:
    """The login that an access key gives. Raises IdentityError. Blocks."""
    region, key_id = data.get(REGION, "").strip(), data.get(ACCESS_KEY_ID, "").strip()
    secret = data.get(SECRET_ACCESS_KEY, "").strip()
    if not region or not key_id or not secret:
        raise IdentityError(f"ECR needs {ACCESS_KEY_ID}, {SECRET_ACCESS_KEY} and {REGION}")
    if not _REGION.fullmatch(region):
        raise IdentityError(f"{REGION} has letters, digits and hyphens alone, like eu-central-1")
    keys = Keys(region, key_id, secret)
    return cache.get(("ecr", region, key_id, secret), lambda: _asked(keys, exchange, cache))


def _asked(keys: Keys, exchange: Exchange, cache: TokenCache) -> Token:
    url, body = f"https://api.ecr.{keys.region}.amazonaws.com/", b"{}"
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": _TARGET}
    signed = signature_headers(
        keys, service="ecr", method="POST", url=url, body=body, now=cache.clock(), headers=headers
    )
    answer = exchange.ask("POST", url, headers=headers | signed, content=body)
    login = answer.text("authorizationData", 0, "authorizationToken")
    if answer.status != 200 or not login:
        reason = answer.text("message") or answer.text("Message") or answer.text("__type")
        raise IdentityError(
            f"{answer.host} gives no login for ECR (HTTP {answer.status}): {shown(reason) or 'without a reason'}; "
            "check the access key, and that it may ecr:GetAuthorizationToken"
        )
    try:
        username, separator, password = base64.b64decode(login, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        username, separator, password = "", "", ""
    if not separator or not password:
        raise IdentityError(f"{answer.host} answered with something else than a login for ECR")
    return Token(username, password, _expiry(answer.value) or cache.clock() + _LIFETIME)


def _expiry(value: object) -> datetime | None:
    """When the login ends: seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(value["authorizationData"][0]["expiresAt"]), UTC)  # type: ignore[index]  # checked by trying
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, OSError):
        return None
