"""Secret and ConfigMap manifests of a directory: `<root>/<project>/*.yaml`, `<root>/shared/*.yaml`."""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import yaml
from pydantic import ValidationError

from model.resources.config_map import ConfigMap
from model.resources.secret import Secret

logger = logging.getLogger(__name__)

CREDENTIAL_LABEL = "kargo.akuity.io/cred-type"
#: The directory for all Projects.
SHARED = "shared"
#: The directory of what the ClusterConfig names; no Project can have this name, so none reads it.
CLUSTER = "_cluster"

#: A file of manifests is read up to this size.
MAX_FILE = 4 * 1024 * 1024


class CredentialKind(StrEnum):
    """What a Secret is for: the values of its label `kargo.akuity.io/cred-type`."""

    GIT = "git"
    HELM = "helm"
    IMAGE = "image"
    GENERIC = "generic"


@dataclass(frozen=True)
class HeldSecret:
    """One Secret of the directory. `kind` is None where it isn't labelled."""

    name: str
    kind: CredentialKind | None
    data: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Manifests:
    """What one directory holds, by name."""

    secrets: dict[str, HeldSecret] = field(default_factory=dict, repr=False)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class _File:
    changed: tuple[int, int, int]
    manifests: Manifests


class ManifestDirectory:
    """Reads manifests from directories below `root`, and files again when they changed.

    A file that can't be read is reported in the log, without its contents, and left out; the others count.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[Path, _File] = {}
        self._lock = threading.Lock()

    def read(self, directory: str) -> Manifests:
        """All manifests of one directory, by name; of two with one name, the first file's."""
        found = Manifests()
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

    def _file(self, path: Path) -> Manifests:
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
            return Manifests()
        except yaml.MarkedYAMLError as error:
            # The error's own text would quote the line, which may be the secret.
            where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            logger.error("credentials file %s is left out: it is not YAML%s", path, where)
            manifests = Manifests()
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else "it is not text in UTF-8 that holds YAML"
            logger.error("credentials file %s is left out: %s", path, reason)
            manifests = Manifests()
        self._files[path] = _File(changed, manifests)
        return manifests


def _parse(text: str) -> Manifests:
    """The Secrets and ConfigMaps of one file. Raises ValueError, never with a value of a Secret in its text."""
    found = Manifests()
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


def _secret(manifest: Secret) -> HeldSecret:
    label = manifest.metadata.labels.get(CREDENTIAL_LABEL)
    if not manifest.name:
        raise ValueError("metadata.name is required")
    if label is not None and label not in list(CredentialKind):
        raise ValueError(f"Secret {manifest.name}: {CREDENTIAL_LABEL} must be one of {', '.join(CredentialKind)}")
    data = {key: value.decode(errors="replace") for key, value in manifest.values().items()}
    kind = CredentialKind(label) if label else None
    return HeldSecret(manifest.name, kind, data, dict(manifest.metadata.annotations))
