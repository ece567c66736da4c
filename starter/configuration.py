"""What the command line remembers between two calls: a small JSON file in the user's configuration directory."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from starter.errors import InvalidInput


class Configuration(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid")

    #: The Project meant where `--project` isn't given.
    project: str = ""


def configuration_path() -> Path:
    """`$XDG_CONFIG_HOME/towpath/config.json`, by default below `~/.config`."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if home else Path.home() / ".config") / "towpath" / "config.json"


def load_configuration() -> Configuration:
    """The configuration as it stands; where there is no file, an empty one. Raises InvalidInput."""
    path = configuration_path()
    try:
        return Configuration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Configuration()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"{path}: {f'{where}: ' if where else ''}{first['msg']}; correct or remove it") from error
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error


def save_configuration(configuration: Configuration) -> Path:
    """Writes the file (whole or not at all) and returns its path."""
    path = configuration_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(configuration.model_dump_json(indent=2) + "\n")
        draft.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    return path
