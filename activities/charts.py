"""Helm charts in a workspace: what they depend on, what they may reach, and running helm on them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from activities.credentials import CredentialKind, Credentials
from activities.programs import Unbounded, derooted, run
from activities.yaml_documents import InvalidYaml, document
from model.base import Json

#: How long one run of helm may take, in seconds.
TIMEOUT = 300.0
#: How much one run may print, in bytes.
MAX_RENDERED = 128 * 1024 * 1024
#: The largest Chart.yaml or Chart.lock, in bytes.
MAX_FILE = 1024 * 1024
#: The most files and directories of one chart.
MAX_ENTRIES = 100_000
_UNREAD = re.compile(r'Unable to get an update from the "[^"]*" chart repository \(([^)\n]*)\):\s*([^\n]+)')


class ChartError(Exception):
    """A chart that can't be read, that reaches out of the workspace, or that helm refuses."""


@dataclass(frozen=True)
class Dependency:
    """One dependency of Chart.yaml, or of Chart.lock."""

    name: str
    version: str
    repository: str


def dependencies(path: Path) -> list[Dependency]:
    """The dependencies that a Chart.yaml or Chart.lock names. Raises ChartError, FileNotFoundError."""
    try:
        content = document(text_of(path), MAX_FILE)
    except InvalidYaml as error:
        raise ChartError(f"{path.name} is not valid YAML: {error}") from error
    listed: Json = (content.get("dependencies") or []) if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ChartError(f"dependencies of {path.name} is not a list of objects")
    return [Dependency(*(str(entry.get(key) or "") for key in ("name", "version", "repository"))) for entry in listed]


def text_of(path: Path) -> str:
    """A chart's file. Raises ChartError: a link, too large, no UTF-8; FileNotFoundError."""
    if path.is_symlink():
        raise ChartError(f"{path.name} is a symbolic link")
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ChartError(f"{path.name} is larger than {MAX_FILE} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ChartError(f"{path.name} is not UTF-8 text") from None


def check_reach(chart: Path, workspace: Path, *, local: bool = False) -> None:
    """See to it that a chart, or what helm writes to, has no link that leads out of the workspace: helm follows links.

    With `local`, the charts that it depends on by `file://` are looked at too. Raises ChartError.
    """
    root, shown = os.path.realpath(workspace), chart.name
    todo, seen, count = [os.path.realpath(chart)], set[str](), 0
    if local:
        for dependency in dependencies(chart / "Chart.yaml"):
            if dependency.repository.startswith("file://"):
                named = dependency.repository.removeprefix("file://")
                if os.path.isabs(named):
                    raise ChartError(
                        f"dependency {dependency.name}: the path of {dependency.repository} must be relative"
                    )
                todo.append(os.path.realpath(chart / named))
    while todo:
        place = todo.pop()
        if os.path.commonpath([root, place]) != root:
            raise ChartError(f"{shown}, or a link in it, leads out of the workspace")
        if place in seen or not os.path.isdir(place):
            continue
        seen.add(place)
        for entry in os.scandir(place):
            count += 1
            if count > MAX_ENTRIES:
                raise ChartError(f"the chart has more than {MAX_ENTRIES} files")
            if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
                todo.append(os.path.realpath(entry.path))


@dataclass(frozen=True)
class Helm:
    """The helm program, with a home of its own that ends with it."""

    program: str
    home: Path
    workspace: Path
    plain_http_registries: Sequence[str] = ()
    _secrets: list[str] = field(default_factory=list, repr=False)

    async def run(self, *arguments: str) -> bytes:
        """Run helm, and return what it prints. Raises ChartError with its complaint."""
        try:
            code, output, complaint = await run(
                [self.program, *arguments], self._environment(), timeout=TIMEOUT, limit=MAX_RENDERED
            )
        except Unbounded as error:
            raise ChartError(f"helm: {error}") from error
        if code:
            # On a repository that can't be read helm goes on, to complain later of what it has not cached.
            unread = _UNREAD.findall(output.decode(errors="replace"))
            if unread:
                complaint = "; ".join(f"chart repository {url} can't be read: {reason}" for url, reason in unread)
            for secret in self._secrets:
                complaint = complaint.replace(secret, "***")
            raise ChartError(derooted(complaint, self.workspace) or f"helm ended with status {code}")
        return output

    async def resolve(self, action: str, chart: Path, project: str, credentials: Credentials) -> None:
        """`helm dependency build` or `update`, with the Project's credentials. Raises ChartError."""
        found = await asyncio.to_thread(dependencies, chart / "Chart.yaml")
        registries = await asyncio.to_thread(self._log_in, found, project, credentials)
        plain = registries and registries <= set(self.plain_http_registries)
        await self.run("dependency", action, *(["--plain-http"] if plain else []), "--", str(chart))

    def _log_in(self, found: Sequence[Dependency], project: str, credentials: Credentials) -> set[str]:
        """Write what helm shall know of the repositories; returns the hosts of the OCI registries."""
        repositories: dict[str, Json] = {}
        logins: dict[str, Json] = {}
        registries: set[str] = set()
        for dependency in found:
            url = dependency.repository
            oci = url.startswith("oci://")
            if not oci and not url.startswith(("http://", "https://")):
                continue
            named = f"{url.rstrip('/')}/{dependency.name}" if oci else url
            credential = credentials.find(project, CredentialKind.HELM, named)
            if credential and credential.password:
                self._secrets.append(credential.password)
            if oci:
                host = urlsplit(url).netloc
                registries.add(host)
                if credential:
                    pair = f"{credential.username}:{credential.password}".encode()
                    logins[host] = {"auth": base64.b64encode(pair).decode()}
                continue
            entry: dict[str, Json] = {"name": hashlib.sha256(url.encode()).hexdigest(), "url": url}
            if credential:
                entry |= {"username": credential.username, "password": credential.password}
            repositories[url] = entry
        # JSON is YAML: helm reads both files. The home is open to this user alone.
        (self.home / "repositories.yaml").write_text(
            json.dumps({"apiVersion": "", "repositories": list(repositories.values())})
        )
        (self.home / "registry.json").write_text(json.dumps({"auths": logins}))
        return registries

    def _environment(self) -> dict[str, str]:
        """Nothing of the worker's own but PATH, proxies and certificates: no plugins, no cluster."""
        proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        passed = ("PATH", *proxies, *map(str.lower, proxies), "SSL_CERT_FILE", "SSL_CERT_DIR")
        home = str(self.home)
        return {
            **{name: os.environ[name] for name in passed if name in os.environ},
            "HOME": home,
            "TMPDIR": home,
            "HELM_CACHE_HOME": f"{home}/cache",
            "HELM_CONFIG_HOME": f"{home}/config",
            "HELM_DATA_HOME": f"{home}/data",
            "HELM_REPOSITORY_CONFIG": f"{home}/repositories.yaml",
            "HELM_REGISTRY_CONFIG": f"{home}/registry.json",
            "KUBECONFIG": os.devnull,
        }


@asynccontextmanager
async def helm(workspace: Path, plain_http_registries: Sequence[str] = ()) -> AsyncIterator[Helm]:
    """The helm that is on PATH. Raises ChartError where there is none."""
    program = shutil.which("helm")
    if program is None:
        raise ChartError("helm is not installed on this worker: put the helm program on its PATH")
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        yield Helm(program, Path(home), workspace, plain_http_registries)


def dated(lock: str, at: datetime) -> str:
    """A Chart.lock that says it was generated at that time: made again it is the same. Its digest leaves that out."""
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return re.sub(r"(?m)^generated:.*$", f'generated: "{moment}"', lock)
