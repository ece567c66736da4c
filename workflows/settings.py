"""Settings that every process of the house shares, and how settings are read: `TOWPATH_…` variables, then a TOML file.

How Temporal itself is reached is not a setting of ours: Temporal's own variables and profiles say it
(`workflows.connection`).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "TOWPATH_"
#: Names the settings file. Not a setting itself: it is read before the settings are.
FILE_VARIABLE = "TOWPATH_SETTINGS"
_MAX_FILE = 1024 * 1024


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

    @field_validator("credentials_directory")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()


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


def load_settings(kind: type[Settings]) -> Settings:
    """Settings of this kind from the environment and the settings file.

    Raises SettingsInvalid, naming every field that is wrong.
    """
    try:
        return kind()
    except ValidationError as error:
        found = "; ".join(_complaint(kind, problem["loc"], problem["msg"]) for problem in error.errors())
        raise SettingsInvalid(found) from None
    except SettingsError as error:
        # An environment variable that holds a list or table must be JSON.
        raise SettingsInvalid(f"{error}: expected JSON") from None


def _complaint(kind: type[ClientSettings], location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else ""
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
