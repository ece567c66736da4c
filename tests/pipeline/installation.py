"""A whole Towpath for tests: `towpath up` in a thread, everything outside on loopback, and the command line to use it.

Nothing is played here but the world: workflows, activities and steps are those that a user gets.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from examples.world.argocd import ArgoCD
from examples.world.git_server import GitServer, Repository
from examples.world.registry import Registry
from examples.world.web_api import WebApi
from starter.client import Towpath
from starter.main import cli
from starter.session import Session
from tests.pipeline.relay import Relay
from worker import process
from worker.embedded import free_port
from worker.settings import WorkerSettings
from workflows.connection import connect_to

T = TypeVar("T")

#: Seconds in which what happens by itself must have happened, on a machine that has other things to do.
PATIENCE = 120.0
#: A host where nobody listens.
NOWHERE = "https://nowhere.example.com/"
#: Hosts of registries that tests put into trouble.
FAULTY = ("busy.example.com", "broken.example.com")


@dataclass
class Installation:
    """One running Towpath and its world. Tests use Projects of their own in it."""

    settings: WorkerSettings
    git: GitServer
    registry: Registry
    web: WebApi
    argocd: ArgoCD
    #: More registries, by host, for tests of faults: the worker leaves a whole host in trouble alone for a while.
    faulty: dict[str, Registry]
    #: The worker's way to Argo CD's cluster.
    relay: Relay
    loop: asyncio.AbstractEventLoop
    running: process.Running

    async def connect(self) -> Towpath:
        client = await connect_to({"target_host": self.running.address}, self.settings)
        return Towpath(client, "subject:tester")

    def type(self, *arguments: str, stdin: str = "") -> Result:
        """Type a command, and see what it says."""
        return CliRunner().invoke(cli, list(arguments), obj=Session(self.connect), input=stdin)

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Type a command that must succeed; its output."""
        result = self.type(*arguments, stdin=stdin)
        assert result.exit_code == 0, f"{' '.join(arguments)}: {result.output}"
        return result.stdout

    def fail(self, *arguments: str, stdin: str = "") -> str:
        """Type a command that must fail as a user's error does, in words; what it says on stderr."""
        result = self.type(*arguments, stdin=stdin)
        assert result.exit_code == 1, f"{' '.join(arguments)}: {result.exit_code} {result.output}"
        assert "Traceback" not in result.output
        return result.stderr

    def read(self, *arguments: str) -> Any:
        """What `towpath get … -o json` shows."""
        return json.loads(self.run("get", *arguments, "-o", "json"))

    def wait(self, awaitable: Any) -> Any:
        """Await something of Temporal's client in the worker's own loop."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result(PATIENCE)


def until(look: Callable[[], T | None], what: str) -> T:
    """Look until there is something to see; it is returned. Raises AssertionError saying what never came."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)
    return found


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:6]}"


@contextmanager
def installation(
    directory: Path,
    *,
    git_hosts: str = "https://git.example.com/",
    registry_host: str = "registry.example.com",
    web_host: str = "https://metrics.example.com",
) -> Iterator[Installation]:
    """Runs everything. Hosts are those that manifests name; configuration leads from there to the world here."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        git = stack.enter_context(GitServer(directory / "git"))
        git.root.mkdir(exist_ok=True)
        registry, web = stack.enter_context(Registry()), stack.enter_context(WebApi())
        faulty = {host: stack.enter_context(Registry()) for host in FAULTY}
        argocd = stack.enter_context(ArgoCD(head=lambda source: _head(git, git_hosts, source)))
        assert argocd.server is not None
        relay = Relay(int(argocd.server.url.rpartition(":")[2]))
        stack.callback(relay.cut)
        kubeconfig = argocd.kubeconfig(directory / "kubeconfig")
        kubeconfig.write_text(kubeconfig.read_text().replace(argocd.server.url, relay.url))
        gitconfig = directory / "gitconfig"
        gitconfig.write_text(
            f'[url "{git.url}/"]\n\tinsteadOf = {git_hosts}\n'
            f'[url "http://127.0.0.1:{free_port(0)}/"]\n\tinsteadOf = {NOWHERE}\n'
        )
        credentials = directory / "credentials"
        credentials.mkdir()
        settings = WorkerSettings(
            data_directory=directory / "data",
            git_config_file=gitconfig,
            registry_mirrors={registry_host: registry.host} | {host: faulty[host].host for host in FAULTY},
            plain_http_registries=[registry.host, *(faulty[host].host for host in FAULTY)],
            registry_requests_per_second=1000,
            http_mirrors={web_host: web.url},
            kubeconfig=kubeconfig,
            credentials_directory=credentials,
            temporal_port=free_port(0),
            temporal_ui_port=free_port(0),
        )
        loop, running = stack.enter_context(_up(settings))
        yield Installation(settings, git, registry, web, argocd, faulty, relay, loop, running)


@contextmanager
def _up(settings: WorkerSettings) -> Iterator[tuple[asyncio.AbstractEventLoop, process.Running]]:
    """`towpath up` in a thread of its own."""
    loop = asyncio.new_event_loop()
    started: threading.Event = threading.Event()
    stop = asyncio.Event()
    outcome: list[process.Running | BaseException] = []

    async def live() -> None:
        async with process.up(settings) as running:
            outcome.append(running)
            started.set()
            await stop.wait()

    def body() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:  # whoever waits for the start hears of it
            outcome.insert(0, error)
            started.set()
            raise

    thread = threading.Thread(target=body, name="towpath-up", daemon=True)
    thread.start()
    assert started.wait(PATIENCE), "towpath up did not come up"
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    try:
        yield loop, outcome[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)


def _head(git: GitServer, hosts: str, source: dict[str, Any]) -> str:
    """The commit that an Application's source stands at."""
    path = git.root / source["repoURL"].removeprefix(hosts)
    return Repository(path, "").head(source["targetRevision"]) or ""
