"""All that knows who may, together: made once for an application, and found by requests in `request.state.access`."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from model.api_tokens import PREFIX
from model.base import Json
from model.roles import Grant
from starter.client import Towpath
from web.access.admin_token import ISSUER, AdminTokens
from web.access.audit import AuditLog
from web.access.id_token import TokenRefused, issuer_of, verify
from web.access.identity import Identity, api_token, local_admin, machine, user
from web.access.keys import Keys, load_keys
from web.access.limit import LoginLimit
from web.access.oidc_login import OidcLogin
from web.access.passwords import AdminPassword
from web.access.provider import Provider, ProviderError
from web.access.roster import Roster
from web.access.session import Session, Sessions
from workflows.settings import WebSettings

logger = logging.getLogger("towpath.access")

_INVALID = "the token is not valid: it is wrong, was revoked, or has expired"


@dataclass(frozen=True)
class Found:
    """What a request says about who sends it."""

    identity: Identity | None
    #: Of a page.
    session: Session | None = None
    #: Whether it sent a token.
    bearer: bool = False
    #: Why what it sent counts for nothing.
    problem: str = ""


class Access:
    """Who may, for one application. `roster`, `provider`: others than the settings make."""

    def __init__(
        self,
        towpath: Towpath,
        settings: WebSettings,
        *,
        roster: Roster | None = None,
        provider: Provider | None = None,
        limit: LoginLimit | None = None,
    ) -> None:
        self.towpath = towpath
        self.settings = settings
        #: Whether nobody has to log in.
        self.open = not settings.login_needed
        self.roster = roster or Roster(towpath)
        self.limit = limit or LoginLimit()
        self.audit = AuditLog(settings.audit_file)
        self.audit.check()
        # Where nobody logs in, nothing that is signed has to be known after a restart.
        keys = Keys(secrets.token_bytes(32)) if self.open else load_keys(settings)
        hashed = settings.web_admin_password_hash
        self.password = AdminPassword(hashed.get_secret_value()) if hashed is not None else None
        fingerprint = self.password.fingerprint(keys.derive("password")) if self.password else ""
        self.admin_tokens = AdminTokens(keys.derive("admin-token"), fingerprint, settings.web_session_lifetime)
        self.sessions = Sessions(
            keys.derive("session"),
            keys.derive("csrf"),
            lifetime=settings.web_session_lifetime,
            idle=settings.web_session_idle,
            fingerprint=fingerprint,
        )
        self.provider = provider or (Provider(settings.oidc_issuer) if settings.oidc_issuer else None)
        self.oidc = self._oidc_login(keys)

    async def close(self) -> None:
        if self.provider is not None:
            await self.provider.close()

    async def grants(self, identity: Identity, project: str | None = None) -> Sequence[Grant]:
        """See `guard.GrantSource`."""
        return await self.roster.grants(identity, project)

    async def find(self, request: Request) -> Found:
        """Who sends a request. Raises TowpathError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return await self._by_token(token.strip())
        if self.open:
            return Found(machine())
        session = self.session(request)
        if session is not None:
            return Found(session.identity, session)
        ended = bool(request.cookies.get(self.session_cookie(request)))
        return Found(None, problem="the session has ended: log in again" if ended else "")

    def session(self, request: Request) -> Session | None:
        """The session of a page that still runs."""
        cookie = request.cookies.get(self.session_cookie(request), "")
        return self.sessions.open(cookie) if cookie and not self.open else None

    async def begin_session(self, request: Request, response: Response, session: Session) -> None:
        """Leaves a session in the browser. Raises ValueError where it does not fit, TowpathError."""
        try:
            sealed = self.sessions.seal(session)
        except ValueError:
            # Of hundreds of groups only those count that some role is for.
            named = await self.roster.named_groups()
            few = [group for group in session.groups if group in named]
            sealed = self.sessions.seal(session.model_copy(update={"groups": few}))
        self.set_cookie(request, response, self.session_cookie(request), sealed)

    def set_cookie(
        self, request: Request, response: Response, name: str, value: str, max_age: int | None = None
    ) -> None:
        """Sets a cookie of ours: for this host alone, out of reach of scripts. An empty value deletes it."""
        response.set_cookie(
            name,
            value,
            max_age=max_age if value else 0,
            path="/",
            secure=self.encrypted(request),
            httponly=True,
            samesite="lax",
        )

    def session_cookie(self, request: Request) -> str:
        return self._cookie(request, "session")

    def login_cookie(self, request: Request) -> str:
        """Of a login that is under way at the provider."""
        return self._cookie(request, "login")

    def encrypted(self, request: Request) -> bool:
        """Whether the browser came by https."""
        return request.url.scheme == "https" or self.settings.web_url.startswith("https://")

    def base_url(self, request: Request) -> str:
        """By which people reach the web, without a slash at its end."""
        return (self.settings.web_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")

    def public_config(self) -> dict[str, Json]:
        """What anybody may know in order to log in, as Kargo's command line reads it."""
        settings = self.settings
        config: dict[str, Json] = {
            # Without a login, any password is the admin's: Kargo's command line wants to log in.
            "adminAccountEnabled": self.open or self.password is not None,
            "skipAuth": self.open,
        }
        if settings.oidc_issuer:
            config["oidcConfig"] = {
                "issuerUrl": settings.oidc_issuer,
                "clientId": settings.oidc_client_id,
                "scopes": settings.oidc_scopes,
            }
            if settings.oidc_cli_client_id:
                config["oidcConfig"]["cliClientId"] = settings.oidc_cli_client_id
        return config

    async def _by_token(self, token: str) -> Found:
        identity = await self._known(token)
        if identity is None and self.open:
            return Found(machine(), bearer=True)
        return Found(identity, bearer=True, problem="" if identity else _INVALID)

    async def _known(self, token: str) -> Identity | None:
        if token.startswith(PREFIX):
            found = await self.roster.token(token)
            return api_token(found[1].name, found[0], found[1].role) if found is not None else None
        issuer = issuer_of(token)
        if issuer == ISSUER and not self.open:
            return local_admin() if self.password is not None and self.admin_tokens.valid(token) else None
        if self.provider is None or issuer != self.provider.issuer:
            return None
        audiences = [name for name in (self.settings.oidc_client_id, self.settings.oidc_cli_client_id) if name]
        try:
            person = await verify(token, self.provider, audiences, self.settings.oidc_groups_claim)
        except TokenRefused as error:
            logger.info("an ID token is refused: %s", error)
            return None
        except ProviderError as error:
            logger.error("an ID token can't be checked: %s", error)
            return None
        return user(person.claims, person.name)

    def _cookie(self, request: Request, name: str) -> str:
        # Browsers let nobody but this very host, by https, set what is called so.
        return f"{'__Host-' if self.encrypted(request) else ''}towpath-{name}"

    def _oidc_login(self, keys: Keys) -> OidcLogin | None:
        if self.provider is None:
            return None
        secret = self.settings.oidc_client_secret
        return OidcLogin(
            self.provider,
            keys.derive("oidc-login"),
            client_id=self.settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret is not None else None,
            scopes=self.settings.oidc_scopes,
            groups_claim=self.settings.oidc_groups_claim,
        )
