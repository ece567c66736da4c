"""Secrets on the worker's side: repository credentials, and what `secret()` and `configMap()` of expressions read.

Labels, keys and order of search are Kargo's (pkg/credentials/kubernetes/database.go). Whoever reads a secret here has
it masked in what the running step returns (activities.mask).
"""

from __future__ import annotations

import base64
import logging
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import re2
import yaml
from pydantic import ValidationError

from activities.mask import remember
from activities.settings import ActivitySettings
from model.resources.config_map import ConfigMap
from model.resources.secret import Secret
from model.urls import normalize_chart, normalize_git, normalize_image

logger = logging.getLogger(__name__)

CREDENTIAL_LABEL = "kargo.akuity.io/cred-type"
SHARED = "shared"

#: A file of manifests is read up to this size.
MAX_FILE = 4 * 1024 * 1024


class CredentialKind(StrEnum):
    """What a Secret is for: the values of its label `kargo.akuity.io/cred-type`."""

    GIT = "git"
    HELM = "helm"
    IMAGE = "image"
    GENERIC = "generic"


@dataclass(frozen=True)
class Credential:
    """What opens one repository."""

    #: Name of the Secret it stands in, for messages.
    secret: str
    username: str = ""
    password: str = field(default="", repr=False)
    ssh_private_key: str = field(default="", repr=False)


class Credentials(Protocol):
    """Where secrets come from: a directory of manifests, or a cluster's Secrets."""

    def find(self, project: str, kind: CredentialKind, repo_url: str) -> Credential | None:
        """The credential for a repository: the Project's first, then the shared ones, sorted by name, first match.

        None where there is none, and for `http://` addresses unless the operator allows them.
        Raises CredentialUnsupported where the Secret that matches is of a kind that isn't supported.
        """

    def secret(self, project: str, name: str) -> dict[str, str] | None:
        """Any Secret of the Project (`secret()` of expressions), None where there is none."""

    def shared_secret(self, name: str) -> dict[str, str] | None:
        """A shared Secret, if it is labelled generic (`sharedSecret()`)."""

    def secret_key(self, project: str, name: str, key: str) -> str | None:
        """One key of any Secret of the Project (`secretKeyRef`), None where there is none."""

    def config_map(self, project: str, name: str) -> dict[str, str] | None:
        """A ConfigMap of the Project."""

    def shared_config_map(self, name: str) -> dict[str, str] | None:
        """A ConfigMap of the shared directory."""


class CredentialUnsupported(Exception):
    """The Secret for a repository holds a kind of credential that isn't supported."""


@dataclass(frozen=True)
class _Secret:
    name: str
    kind: CredentialKind | None
    data: Mapping[str, str] = field(repr=False)


@dataclass
class _Manifests:
    """What one directory holds, and from which files."""

    secrets: dict[str, _Secret] = field(default_factory=dict, repr=False)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class _File:
    changed: tuple[int, int, int]
    manifests: _Manifests


class DirectoryCredentials:
    """Secrets and ConfigMaps from `<root>/<project>/*.yaml` and `<root>/shared/*.yaml`.

    Files are read again when they changed. A file that can't be read is reported in the log, without its contents,
    and left out; the others count.
    """

    def __init__(self, root: Path, *, allow_http: bool = False) -> None:
        self.root = root
        self.allow_http = allow_http
        self._files: dict[Path, _File] = {}
        self._lock = threading.Lock()

    def find(self, project: str, kind: CredentialKind, repo_url: str) -> Credential | None:
        if repo_url.startswith("http://") and not self.allow_http:
            return None
        wanted = {repo_url, normalized(kind, repo_url)}
        for directory in (project, SHARED):
            secrets = self._read(directory).secrets
            for name in sorted(secrets):
                if secrets[name].kind is kind and _matches(secrets[name], kind, wanted):
                    return _credential(secrets[name])
        return None

    def secret(self, project: str, name: str) -> dict[str, str] | None:
        return _remembered(self._read(project).secrets.get(name))

    def shared_secret(self, name: str) -> dict[str, str] | None:
        secret = self._read(SHARED).secrets.get(name)
        return _remembered(secret) if secret is not None and secret.kind is CredentialKind.GENERIC else None

    def secret_key(self, project: str, name: str, key: str) -> str | None:
        secret = self._read(project).secrets.get(name)
        if secret is None or key not in secret.data:
            return None
        return remember(secret.data[key])

    def config_map(self, project: str, name: str) -> dict[str, str] | None:
        return self._read(project).config_maps.get(name)

    def shared_config_map(self, name: str) -> dict[str, str] | None:
        return self._read(SHARED).config_maps.get(name)

    def _read(self, directory: str) -> _Manifests:
        """All manifests of one directory, by name; of two with one name, the first file's."""
        found = _Manifests()
        if not directory or "/" in directory or directory.startswith("."):
            return found
        with self._lock:
            try:
                paths = sorted(path for path in (self.root / directory).iterdir() if path.suffix in {".yaml", ".yml"})
            except (FileNotFoundError, NotADirectoryError):
                return found
            except OSError as error:
                logger.warning("credentials in %s can't be read: %s", self.root / directory, error.strerror)
                return found
            for path in paths:
                manifests = self._file(path)
                for name, secret in manifests.secrets.items():
                    found.secrets.setdefault(name, secret)
                for name, config_map in manifests.config_maps.items():
                    found.config_maps.setdefault(name, config_map)
        return found

    def _file(self, path: Path) -> _Manifests:
        try:
            status = path.stat()
            changed = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._files.get(path)
            if known is not None and known.changed == changed:
                return known.manifests
            if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
                logger.warning("%s can be read by everyone on this machine: chmod 600 it", path)
            if status.st_size > MAX_FILE:
                raise ValueError(f"it is larger than {MAX_FILE} bytes")
            manifests = _parse(path.read_text(encoding="utf-8"))
        except OSError as error:
            logger.error("credentials file %s can't be read: %s", path, error.strerror)
            return _Manifests()
        except yaml.MarkedYAMLError as error:
            # The error's own text would quote the line, which may be the secret.
            where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            logger.error("credentials file %s is left out: it is not YAML%s", path, where)
            manifests = _Manifests()
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "it is not text in UTF-8 that holds YAML"
            logger.error("credentials file %s is left out: %s", path, reason)
            manifests = _Manifests()
        self._files[path] = _File(changed, manifests)
        return manifests


class NoCredentials(DirectoryCredentials):
    """For a worker that was given no secrets."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def _read(self, directory: str) -> _Manifests:
        return _Manifests()


def credentials_of(settings: ActivitySettings) -> Credentials:
    """The source of secrets that the settings name."""
    if settings.credentials_directory is None:
        return NoCredentials()
    return DirectoryCredentials(settings.credentials_directory, allow_http=settings.allow_credentials_over_http)


def normalized(kind: CredentialKind, url: str) -> str:
    """A repository's address as it is compared for credentials of this kind."""
    normalize = {
        CredentialKind.GIT: normalize_git,
        CredentialKind.HELM: normalize_chart,
        CredentialKind.IMAGE: normalize_image,
    }.get(kind)
    return normalize(url) if normalize else url


def _matches(secret: _Secret, kind: CredentialKind, wanted: set[str]) -> bool:
    pattern = secret.data.get("repoURL")
    if pattern is None:
        return False
    if secret.data.get("repoURLIsRegex") != "true":
        return normalized(kind, pattern) in wanted
    try:
        return any(re2.search(pattern, url) is not None for url in wanted)
    except re2.error:
        logger.error("Secret %s: its repoURL is not a regular expression (RE2)", secret.name)
        return False


def _remembered(secret: _Secret | None) -> dict[str, str] | None:
    return None if secret is None else {key: remember(value) for key, value in secret.data.items()}


def _credential(secret: _Secret) -> Credential:
    data = secret.data
    unsupported = sorted({"githubAppID", "githubAppClientID", "githubAppPrivateKey", "awsAccessKeyID"} & set(data))
    if unsupported:
        raise CredentialUnsupported(
            f"Secret {secret.name}: credentials with {', '.join(unsupported)} are not supported yet; "
            "use username and password, or sshPrivateKey"
        )
    username, password = data.get("username", ""), data.get("password", "")
    if password:
        remember(password)
        # What HTTP Basic sends; the password alone is not found in it.
        remember(base64.b64encode(f"{username}:{password}".encode()).decode())
    if key := data.get("sshPrivateKey", ""):
        remember(key)
    return Credential(secret=secret.name, username=username, password=password, ssh_private_key=key)


def _parse(text: str) -> _Manifests:
    """The Secrets and ConfigMaps of one file. Raises ValueError, never with a value of a Secret in its text."""
    found = _Manifests()
    for index, document in enumerate(yaml.safe_load_all(text)):
        if document is None:
            continue
        kind = document.get("kind") if isinstance(document, dict) else None
        try:
            if kind == "Secret":
                secret = _secret(Secret.model_validate(document))
                found.secrets.setdefault(secret.name, secret)
            elif kind == "ConfigMap":
                config_map = ConfigMap.model_validate(document)
                found.config_maps.setdefault(config_map.name, dict(config_map.data))
            else:
                raise ValueError("it is not a Secret or ConfigMap")
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise ValueError(f"document {index + 1}: {problems}") from None
        except ValueError as error:
            raise ValueError(f"document {index + 1}: {error}") from None
    return found


def _secret(manifest: Secret) -> _Secret:
    label = manifest.metadata.labels.get(CREDENTIAL_LABEL)
    if not manifest.name:
        raise ValueError("metadata.name is required")
    if label is not None and label not in list(CredentialKind):
        raise ValueError(f"Secret {manifest.name}: {CREDENTIAL_LABEL} must be one of {', '.join(CredentialKind)}")
    data = {key: value.decode(errors="replace") for key, value in manifest.values().items()}
    return _Secret(manifest.name, CredentialKind(label) if label else None, data)
