"""The demo's world on loopback: a Git host, a registry and a metrics API, and the settings that lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from examples.world.git_server import GitServer, Repository
from examples.world.registry import Registry
from examples.world.web_api import WebApi

GUESTBOOK = Path(__file__).parent.parent / "guestbook"
IMAGE = "registry.example.com/guestbook"


class GuestbookWorld:
    """Runs for as long as it is entered as a context.

    Manifests name hosts of example.com, as a real team's name its own. `settings()` is what makes a worker find the
    servers here instead: Git's own `insteadOf`, a registry mirror, and a mirror for HTTP.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.git = GitServer(directory / "git")
        self.registry = Registry()
        self.web = WebApi()
        self._stack = ExitStack()
        self._repository: Repository | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        for server in (self.git, self.registry, self.web):
            self._stack.enter_context(server)
        files = {
            str(path.relative_to(GUESTBOOK / "repository")): path.read_text()
            for path in sorted((GUESTBOOK / "repository").rglob("*.yaml"))
        }
        self._repository = self.git.repository("guestbook", files)
        self._config.write_text(f'[url "{self.git.url}/"]\n\tinsteadOf = https://git.example.com/\n')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def _config(self) -> Path:
        return self.directory / "gitconfig"

    @property
    def repository(self) -> Repository:
        """The repository of the configuration. Only while the context is entered."""
        if self._repository is None:
            raise RuntimeError("the world is not running")
        return self._repository

    def settings(self) -> Mapping[str, str]:
        """Environment variables for the worker."""
        return {
            "TOWPATH_GIT_CONFIG_FILE": str(self._config),
            "TOWPATH_REGISTRY_MIRRORS": f"registry.example.com={self.registry.host}",
            "TOWPATH_PLAIN_HTTP_REGISTRIES": self.registry.host,
            "TOWPATH_HTTP_MIRRORS": f"http://metrics.example.com={self.web.url}",
        }

    def push_image(self, tag: str) -> str:
        """Push a new version of the image; returns its digest."""
        return self.registry.push("guestbook", tag)

    def push_commit(self, replicas: int) -> str:
        """Commit a change of the configuration; returns the commit's id."""
        name = "base/deployment.yaml"
        text = self.repository.read(name)
        changed = "\n".join(
            f"  replicas: {replicas}" if line.startswith("  replicas:") else line for line in text.split("\n")
        )
        return self.repository.commit({name: changed}, f"Run {replicas} replicas")
