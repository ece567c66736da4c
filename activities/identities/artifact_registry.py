"""Google's Artifact Registry: a login from a service account's key (Kargo: pkg/credentials/gar).

Source: Google's documentation "Using OAuth 2.0 for server to server applications".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import jwt

from activities.identities.errors import IdentityError
from activities.identities.exchange import Exchange, shown
from activities.identities.tokens import Token, TokenCache

SERVICE_ACCOUNT_KEY = "gcpServiceAccountKey"
KEYS = (SERVICE_ACCOUNT_KEY,)

USERNAME = "oauth2accesstoken"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
_REPOSITORY = re.compile(r"(?:.+\.)?gcr\.io/.+|[^/]+-docker\.pkg\.dev/.+")


def opens(repo_url: str) -> bool:
    """Whether this normalized address is a repository there, or in the older Container Registry."""
    return _REPOSITORY.fullmatch(repo_url) is not None


def service_account_login(data: Mapping[str, str], exchange: Exchange, cache: TokenCache) -> Token:
    """The login that a service account's key gives. Raises IdentityError. Blocks."""
    written = data.get(SERVICE_ACCOUNT_KEY, "")
    account = _account(written)
    return cache.get(("gar", written), lambda: _asked(account, exchange, cache))


def _asked(account: Mapping[str, str], exchange: Exchange, cache: TokenCache) -> Token:
    now = cache.clock()
    claims = {
        "iss": account["client_email"],
        "scope": _SCOPE,
        "aud": account["token_uri"],
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(hours=1)).timestamp()),
    }
    try:
        signed = jwt.encode(
            claims, account["private_key"], algorithm="RS256", headers={"kid": account["private_key_id"]}
        )
    except (ValueError, TypeError, jwt.PyJWTError):
        raise IdentityError(f"private_key in {SERVICE_ACCOUNT_KEY} is not an RSA private key in PEM form") from None
    answer = exchange.ask(
        "POST",
        account["token_uri"],
        form={"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed},
    )
    token = answer.text("access_token")
    if answer.status != 200 or not token:
        reason = answer.text("error_description") or answer.text("error")
        raise IdentityError(
            f"{answer.host} gives no token to {shown(account['client_email'])} (HTTP {answer.status}): "
            f"{shown(reason) or 'without a reason'}; check that the key still exists"
        )
    lasts = answer.value.get("expires_in") if isinstance(answer.value, dict) else None
    return Token(USERNAME, token, now + timedelta(seconds=lasts if isinstance(lasts, int) and lasts > 0 else 3600))


def _account(written: str) -> dict[str, str]:
    """The fields of a key file, which the Secret holds in base64, or as it is. Raises IdentityError."""
    text = written.strip()
    if not text.startswith("{"):
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, ValueError):
            raise IdentityError(f"{SERVICE_ACCOUNT_KEY} is neither a key file nor one in base64") from None
    try:
        file = json.loads(text)
        account = {
            "client_email": str(file["client_email"]),
            "private_key": str(file["private_key"]),
            "private_key_id": str(file.get("private_key_id", "")),
            "token_uri": str(file.get("token_uri") or _TOKEN_URI),
        }
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise IdentityError(
            f"{SERVICE_ACCOUNT_KEY} is not the JSON key of a service account, with client_email and private_key"
        ) from None
    host = urlsplit(account["token_uri"]).hostname or ""
    if not account["token_uri"].startswith("https://") or not (
        host == "googleapis.com" or host.endswith(".googleapis.com")
    ):
        # Whoever writes the Secret must not choose where the worker sends requests.
        raise IdentityError(f"token_uri in {SERVICE_ACCOUNT_KEY} leads elsewhere than to googleapis.com")
    return account
