"""GitHub Apps: a token for one repository, from the App's private key (Kargo: pkg/credentials/github).

Source: GitHub's documentation "Authenticating as a GitHub App installation".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote, urlsplit

import jwt

from activities.identities.errors import IdentityError
from activities.identities.exchange import Exchange, moment, shown
from activities.identities.tokens import Token, TokenCache

CLIENT_ID = "githubAppClientID"
APP_ID = "githubAppID"
INSTALLATION_ID = "githubAppInstallationID"
PRIVATE_KEY = "githubAppPrivateKey"
KEYS = (CLIENT_ID, APP_ID, INSTALLATION_ID, PRIVATE_KEY)
#: Annotation of a shared Secret: which repositories each Project may have tokens for, as JSON.
SCOPES = "kargo.akuity.io/github-token-scopes"

#: GitHub accepts any; it stands in its audit log.
USERNAME = "x-access-token"
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
#: Seconds between questions whether a new token is known to all of GitHub yet (Kargo waits up to 43).
PAUSES: tuple[float, ...] = (1.0, 3.0, 6.0)


def scoped(annotations: Mapping[str, str], project: str, repo_url: str) -> bool:
    """Whether the Secret's annotation, if it has one, lets this Project into that repository. Raises IdentityError."""
    written = annotations.get(SCOPES)
    if not written:
        return True
    try:
        scopes = json.loads(written)
        allowed = scopes.get(project) or []
        return repository_of(repo_url)[1] in [str(name) for name in allowed]
    except (ValueError, AttributeError, TypeError):
        raise IdentityError(f"its annotation {SCOPES} is not a JSON object of lists: Project → repositories") from None


def repository_of(repo_url: str) -> tuple[str, str]:
    """Owner and name of the repository at a normalized address; empty where it is no such address."""
    parts = urlsplit(repo_url).path.strip("/").split("/")
    return (parts[-2], parts[-1]) if len(parts) >= 2 else ("", "")


def installation_token(data: Mapping[str, str], repo_url: str, exchange: Exchange, cache: TokenCache) -> Token:
    """A token for that repository alone; `repo_url` is normalized. Raises IdentityError. Blocks."""
    if not repo_url.startswith(("https://", "http://")):
        raise IdentityError("a GitHub App opens https:// addresses alone")
    app, installation = data.get(CLIENT_ID) or data.get(APP_ID, ""), data.get(INSTALLATION_ID, "").strip()
    written = data.get(PRIVATE_KEY, "")
    if not app or not installation or not written:
        raise IdentityError(f"a GitHub App needs {CLIENT_ID} (or {APP_ID}), {INSTALLATION_ID} and {PRIVATE_KEY}")
    if not installation.isdecimal():
        raise IdentityError(f"{INSTALLATION_ID} must be a number")
    if not all(repository_of(repo_url)):
        raise IdentityError(f"{repo_url} names no repository of GitHub: expected https://host/owner/name")
    key = _decoded(written)

    def ask() -> Token:
        return _asked(app.strip(), installation, key, repo_url, exchange, cache)

    return cache.get(("github", app, installation, written, repo_url), ask)


def _asked(app: str, installation: str, key: str, repo_url: str, exchange: Exchange, cache: TokenCache) -> Token:
    now = cache.clock()
    claims = {
        # GitHub's clock may be behind.
        "iat": int((now - timedelta(seconds=60)).timestamp()),
        "exp": int((now + timedelta(minutes=9)).timestamp()),
        "iss": app,
    }
    try:
        signed = jwt.encode(claims, key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise IdentityError(f"{PRIVATE_KEY} is not an RSA private key in PEM form without a passphrase") from None
    api = api_of(repo_url)
    owner, name = repository_of(repo_url)
    answer = exchange.ask(
        "POST",
        f"{api}/app/installations/{installation}/access_tokens",
        headers=_headers(signed),
        content=json.dumps({"repositories": [name]}).encode(),
    )
    token, expires = answer.text("token"), moment(answer.text("expires_at"))
    if answer.status != 201 or not token:
        raise IdentityError(
            f"{answer.host} gives no token for {repo_url} (HTTP {answer.status}): "
            f"{shown(answer.text('message')) or 'without a reason'}; check the App's id and key, and that it is "
            "installed there with access to the repository"
        )
    _wait_until_known(token, f"{api}/repos/{quote(owner, safe='')}/{quote(name, safe='')}", exchange)
    return Token(USERNAME, token, expires or now + timedelta(hours=1))


def _wait_until_known(token: str, url: str, exchange: Exchange) -> None:
    """Until GitHub takes the token: it isn't known everywhere at once. One that stays unknown is tried all the same."""
    for pause in (*PAUSES, None):
        try:
            status = exchange.ask("GET", url, headers=_headers(token)).status
        except IdentityError:
            return
        if status not in {401, 403, 404} or pause is None:
            return
        time.sleep(pause)


def _headers(bearer: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def api_of(repo_url: str) -> str:
    """The address of the API of GitHub, or of a GitHub Enterprise Server."""
    parts = urlsplit(repo_url)
    host = parts.netloc.rpartition("@")[2]
    if host.endswith(".ghe.com"):
        return f"{parts.scheme}://api.{host}"
    return "https://api.github.com" if host == "github.com" else f"{parts.scheme}://{host}/api/v3"


def _decoded(key: str) -> str:
    """The key in PEM form: Kargo has it in base64 as well, which it once asked for."""
    if key.lstrip().startswith("-----BEGIN") or not _BASE64.fullmatch(key):
        return key
    try:
        return base64.b64decode("".join(key.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise IdentityError(
            f"{PRIVATE_KEY} looks like base64 but is damaged: put the PEM text there as it is"
        ) from None
