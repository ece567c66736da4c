"""The web's key, and the keys for each use that are derived from it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workflows.settings import SettingsInvalid, WebSettings

#: In the data directory.
FILE = "web.key"
_BYTES = 32


class Keys:
    """Keys for one use each, all from one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Keys()"

    def derive(self, use: str) -> bytes:
        """32 bytes, the same for the same use."""
        return HKDF(SHA256(), _BYTES, salt=None, info=f"towpath/{use}".encode()).derive(self._secret)


def load_keys(settings: WebSettings) -> Keys:
    """From the setting, else from the data directory, where they are made once. Raises SettingsInvalid."""
    if settings.web_key is not None:
        return Keys(settings.web_key.get_secret_value().encode())
    path = settings.data_directory / FILE
    try:
        return Keys(_kept(path))
    except OSError as error:
        raise SettingsInvalid(
            f"the web's key can't be kept in {path}: {error.strerror}; set TOWPATH_WEB_KEY, "
            "or TOWPATH_DATA_DIRECTORY to a directory that can be written"
        ) from error


def _kept(path: Path) -> bytes:
    """The key of a file; of two processes that come first at the same moment, both get the same."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(_BYTES))
            # Fails where another was quicker, whose key then counts.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = path.read_bytes()[:4096].strip()
    if len(key) < _BYTES:
        raise SettingsInvalid(f"{path} is not the web's key: it is too short; delete it, and another is made")
    return key
