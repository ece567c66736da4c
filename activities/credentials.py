"""Secrets on the worker's side: repository credentials, and what `secret()` and `configMap()` of expressions read.

Labels, keys and order of search are Kargo's (pkg/credentials/kubernetes/database.go). Whoever reads a secret here has
it masked in what the running step returns (activities.mask).
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import re2

from activities.identities.broker import KEYS, SECRET_KEYS, TokenBroker
from activities.identities.errors import IdentityError, IdentityUnavailable
from activities.mask import remember
from activities.settings import ActivitySettings
from credentials.directory import SHARED, CredentialKind, HeldSecret, ManifestDirectory, Manifests
from model.urls import normalize_chart, normalize_git, normalize_image

logger = logging.getLogger(__name__)

__all__ = [
    "Credential",
    "CredentialKind",
    "CredentialUnusable",
    "Credentials",
    "DirectoryCredentials",
    "NoCredentials",
    "credentials_of",
    "normalized",
]


@dataclass(frozen=True)
class Credential:
    """What opens one repository."""

    #: Name of the Secret it stands in, for messages.
    secret: str
    username: str = ""
    password: str = field(default="", repr=False)
    ssh_private_key: str = field(default="", repr=False)
    #: Host keys to believe, as lines of OpenSSH's known_hosts; empty: as the operator says.
    ssh_known_hosts: str = ""


class Credentials(Protocol):
    """Where secrets come from: a directory of manifests, or a cluster's Secrets."""

    def find(self, project: str, kind: CredentialKind, repo_url: str) -> Credential | None:
        """The credential for a repository: the Project's first, then the shared ones, sorted by name, first match.

        None where there is none, and for `http://` addresses unless the operator allows them.
        Where the Secret leads to a token (a GitHub App, a cloud's registry), that is asked for: blocks, so call it in
        a thread. Raises CredentialUnusable where the Secret that matches gives no credential.
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


class CredentialUnusable(Exception):
    """The Secret for a repository gives no credential; the message says why, and holds none of its values.

    `passing`: it may give one a while later, since whoever is to be asked for a token is in trouble.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class DirectoryCredentials:
    """Secrets and ConfigMaps from `<root>/<project>/*.yaml` and `<root>/shared/*.yaml`.

    Files are read again when they changed; one that can't be read is left out.
    """

    def __init__(self, root: Path, *, allow_http: bool = False, broker: TokenBroker | None = None) -> None:
        self.allow_http = allow_http
        self._directory = ManifestDirectory(root)
        self._broker = broker or TokenBroker(ActivitySettings())

    def find(self, project: str, kind: CredentialKind, repo_url: str) -> Credential | None:
        if repo_url.startswith("http://") and not self.allow_http:
            return None
        address = normalized(kind, repo_url)
        wanted = {repo_url, address}
        for directory in (project, SHARED):
            secrets = self._read(directory).secrets
            for name in sorted(secrets):
                if secrets[name].kind is kind and _matches(secrets[name], kind, wanted):
                    return self._credential(secrets[name], project, kind, address)
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

    def _credential(self, secret: HeldSecret, project: str, kind: CredentialKind, address: str) -> Credential | None:
        """What a Secret gives: username and password first, as in Kargo, then a token, then an SSH key."""
        data = secret.data
        username, password = data.get("username", ""), data.get("password", "")
        if not (username and password) and KEYS & set(data):
            for name in SECRET_KEYS & set(data):
                remember(data[name])
            try:
                token = self._broker.token(secret, project, kind, address)
            except IdentityError as error:
                passing = isinstance(error, IdentityUnavailable)
                raise CredentialUnusable(f"Secret {secret.name}: {error}", passing=passing) from None
            if token is None:
                return None
            username, password = token.username, token.password
        if password:
            remember(password)
            # What HTTP Basic sends; the password alone is not found in it.
            remember(base64.b64encode(f"{username}:{password}".encode()).decode())
        if key := data.get("sshPrivateKey", ""):
            remember(key)
        return Credential(
            secret=secret.name,
            username=username,
            password=password,
            ssh_private_key=key,
            ssh_known_hosts=data.get("sshKnownHosts", ""),
        )

    def _read(self, directory: str) -> Manifests:
        return self._directory.read(directory)


class NoCredentials(DirectoryCredentials):
    """For a worker that was given no secrets."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def _read(self, directory: str) -> Manifests:
        return Manifests()


def credentials_of(settings: ActivitySettings) -> Credentials:
    """The source of secrets that the settings name."""
    if settings.credentials_directory is None:
        return NoCredentials()
    return DirectoryCredentials(
        settings.credentials_directory,
        allow_http=settings.allow_credentials_over_http,
        broker=TokenBroker(settings),
    )


def normalized(kind: CredentialKind, url: str) -> str:
    """A repository's address as it is compared for credentials of this kind."""
    normalize = {
        CredentialKind.GIT: normalize_git,
        CredentialKind.HELM: normalize_chart,
        CredentialKind.IMAGE: normalize_image,
    }.get(kind)
    return normalize(url) if normalize else url


def _matches(secret: HeldSecret, kind: CredentialKind, wanted: set[str]) -> bool:
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


def _remembered(secret: HeldSecret | None) -> dict[str, str] | None:
    return None if secret is None else {key: remember(value) for key, value in secret.data.items()}
