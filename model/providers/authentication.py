"""How providers that speak HTTP authenticate, and the headers they send."""

from __future__ import annotations

from pydantic import Field

from model.base import Manifest


class WebHeader(Manifest):
    """One header of a request; of one name the last counts."""

    key: str
    value: str


class OAuth2(Manifest):
    """Client credentials for a token."""

    token_url: str = ""
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    scopes: list[str] = Field(default_factory=list)


class SigV4(Manifest):
    """Signing of requests for AWS."""

    region: str = ""
    #: Name of the Secret that holds the keys.
    profile: str = ""
    #: A role to assume with these keys first.
    role_arn: str = ""


class BasicAuth(Manifest):
    """User name and password."""

    username: str = ""
    password: str = Field(default="", repr=False)


class Authentication(Manifest):
    """How a provider authenticates."""

    sigv4: SigV4 | None = None
    oauth2: OAuth2 | None = None
    basic_auth: BasicAuth | None = None
