"""Settings that every process of the house shares, and how settings are read: `TOWPATH_…` variables, then a TOML file.

How Temporal itself is reached is not a setting of ours: Temporal's own variables and profiles say it
(`workflows.connection`).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "TOWPATH_"
#: Names the settings file. Not a setting itself: it is read before the settings are.
FILE_VARIABLE = "TOWPATH_SETTINGS"
_MAX_FILE = 1024 * 1024
#: Characters of the web's key, at least.
_KEY_LENGTH = 32


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


#: A list, written with commas in an environment variable.
Listed = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class SettingsInvalid(ValueError):
    """Settings can't be used: says which variable or which field of the file, and what was expected."""


def data_home() -> Path:
    """The directory for what Towpath keeps on this machine: `$XDG_DATA_HOME/towpath` (~/.local/share/towpath)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "towpath"


class ClientSettings(BaseSettings):
    """What a process needs in order to talk to Towpath's workflows."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data_directory: Path = Field(
        default_factory=data_home,
        description="What `towpath up` keeps: Temporal's database, logs, and the record of a running server.",
    )
    encryption_keys_file: Path | None = Field(
        default=None,
        description="File of AES keys, one `id:base64` a line, the newest first. With it all payloads are encrypted.",
    )

    @field_validator("data_directory", "encryption_keys_file")
    @classmethod
    def _stands_alone(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the settings file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _file())


class WebSettings(ClientSettings):
    """Settings of what is served to others: `towpath web`, and `towpath up`."""

    web_address: str = Field(
        default="127.0.0.1:8080",
        pattern=r"^[^\s:]+:\d{1,5}$",
        description="`host:port` of the web: webhook receivers, health. `towpath up` takes the next free port where "
        "this one is taken; `towpath web` says so and stops.",
    )
    webhook_base_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="URL by which senders reach the webhook receivers, such as `https://towpath.example.com/webhooks`. "
        "Empty: `http://<web address>/webhooks`.",
    )
    credentials_directory: Path | None = Field(
        default=None, description="Directory of Secret manifests, as the worker's: the receivers' secrets stand there."
    )

    web_api: bool = Field(
        default=True,
        description="Whether the REST API and the pages are served. False: webhook receivers and health alone, for "
        "which nobody has to log in.",
    )
    temporal_ui_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="URL of Temporal's own UI, to which the page links: `https://temporal.example.com`. Empty: that of "
        "`towpath up`; of `towpath web` there are no such links.",
    )
    web_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+/?)?$",
        description="URL by which people reach the web, such as `https://towpath.example.com`. OpenID Connect leads "
        "back to it; with https, cookies are Secure. Empty: whatever the request was sent to.",
    )
    web_trusted_proxies: Listed = Field(
        default_factory=list,
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count.",
    )
    web_admin_password_hash: SecretStr | None = Field(
        default=None,
        description="Hash of the local admin's password, as `towpath web hash-password` prints it. None: there is no "
        "such account.",
    )
    web_key: SecretStr | None = Field(
        default=None,
        description="Secret, 32 characters or more, by which sessions are sealed and tokens signed; the same for all "
        "processes that serve one address. None: one is made, and kept in the data directory.",
    )
    web_session_lifetime: float = Field(
        default=43200.0, ge=60, le=2592000, description="Seconds after which one has to log in again."
    )
    web_session_idle: float = Field(
        default=7200.0, ge=60, le=2592000, description="Seconds without a request after which a page's session ends."
    )
    api_token_lifetime: float = Field(
        default=7776000.0,
        ge=60,
        le=157680000,
        description="Seconds for which an API token is valid, unless a shorter time is asked for with it.",
    )
    audit_file: str = Field(
        default="",
        description="File to which a line of JSON is added for every change, login and refusal; `-`: standard error. "
        "Empty: none is kept.",
    )
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Issuer of OpenID Connect, exactly as the provider calls itself. Empty: nobody logs in by it.",
    )
    oidc_client_id: str = Field(default="", description="The web's client id at the provider.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="The web's client secret. None: it is a public client, protected by PKCE alone."
    )
    oidc_cli_client_id: str = Field(
        default="", description="Client id for Kargo's command line. Empty: the web's, which is then a public client."
    )
    oidc_scopes: Listed = Field(
        default_factory=lambda: ["openid", "profile", "email", "groups"],
        description="Scopes to ask for. `openid` is needed.",
    )
    oidc_groups_claim: str = Field(default="groups", description="Claim of the ID token in which groups stand.")

    @field_validator("credentials_directory")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @field_validator("web_key")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _KEY_LENGTH:
            raise ValueError(f"it has fewer than {_KEY_LENGTH} characters; `openssl rand -hex 32` makes one")
        return value

    @field_validator("web_admin_password_hash")
    @classmethod
    def _is_a_hash(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("$argon2"):
            raise ValueError("it is not a hash by argon2; `towpath web hash-password` makes one")
        return value

    @field_validator("web_trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"{network!r} is neither an address nor a network like 10.0.0.0/8") from None
        return value

    @model_validator(mode="after")
    def _knows_its_provider(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("TOWPATH_OIDC_ISSUER needs TOWPATH_OIDC_CLIENT_ID")
        if self.oidc_issuer and "openid" not in self.oidc_scopes:
            raise ValueError("TOWPATH_OIDC_SCOPES lacks openid")
        issuer = urlsplit(self.oidc_issuer)
        if issuer.scheme == "http" and not is_loopback(issuer.hostname or ""):
            raise ValueError("TOWPATH_OIDC_ISSUER must be https, except on this machine")
        return self

    @property
    def login_needed(self) -> bool:
        """Whether one has to log in: some way to do so is configured."""
        return self.web_admin_password_hash is not None or bool(self.oidc_issuer)


def is_loopback(host: str) -> bool:
    """Whether it is a name or an address of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


Settings = TypeVar("Settings", bound=ClientSettings)


def _file() -> dict[str, Any]:
    """What the settings file says, `{}` without one. Raises SettingsInvalid."""
    name = os.environ.get(FILE_VARIABLE, "")
    if not name:
        return {}
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MAX_FILE + 1)
        if len(content) > _MAX_FILE:
            raise SettingsInvalid(f"{name} ({FILE_VARIABLE}) is larger than {_MAX_FILE} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise SettingsInvalid(f"can't read the settings file {name} ({FILE_VARIABLE}): {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{name} ({FILE_VARIABLE}) is not TOML: {error}") from error


def load_settings(kind: type[Settings], **given: Any) -> Settings:  # the settings' own types check it
    """Settings of this kind from the environment and the settings file; what is `given` wins.

    Raises SettingsInvalid, naming every field that is wrong.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        found = "; ".join(_complaint(kind, problem["loc"], problem["msg"]) for problem in error.errors())
        raise SettingsInvalid(found) from None
    except SettingsError as error:
        # An environment variable that holds a list or table must be JSON.
        raise SettingsInvalid(f"{error}: expected JSON") from None


def _complaint(kind: type[ClientSettings], location: tuple[int | str, ...], message: str) -> str:
    if not location:
        # About more than one of them: it names them itself.
        return message
    name = str(location[0])
    place = ".".join(str(part) for part in location)
    if name in kind.model_fields:
        return f"{PREFIX}{name.upper()} ({place}): {message}"
    hint = difflib.get_close_matches(name, kind.model_fields, 1)
    return f"{place}: there is no such setting{f', did you mean {hint[0]}?' if hint else ''}"


def unknown_variables(
    kind: type[ClientSettings], environment: Mapping[str, str], also: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Sentences on `TOWPATH_…` variables that mean nothing: warnings, since Kubernetes sets some for every Service."""
    names = {f"{PREFIX}{name.upper()}" for name in kind.model_fields} | {FILE_VARIABLE} | also
    for variable in sorted(environment):
        nested = any(variable.startswith(f"{name}__") for name in names)
        if variable.startswith(PREFIX) and variable not in names and not nested:
            hint = difflib.get_close_matches(variable, names, 1)
            yield f"the variable {variable} means nothing to Towpath{f': did you mean {hint[0]}?' if hint else ''}"
