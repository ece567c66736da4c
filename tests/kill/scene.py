"""The guestbook's promotion with as many Stages as there are cases, workers as processes, and what must come out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import Client
from temporalio.service import RPCError

from examples.world.guestbook import GUESTBOOK, IMAGE, GuestbookWorld
from starter.client import Towpath
from starter.errors import TowpathError
from starter.files import ManifestFile
from tests.kill.gates import ROOT, Gates
from worker.embedded import EmbeddedServer, free_port
from workflows.connection import connect_to
from workflows.settings import ClientSettings

PROJECT = "guestbook"
TAG = "1.0.0"
#: Seconds within which all promotions of a test must be over: generous, since machines that test are busy.
PATIENCE = 150.0
#: What is on a Stage's branch before it is promoted: something to be cleared away.
BEFORE = {"old.yaml": "old: true\n", "older.yaml": "older: true\n", "nested/oldest.yaml": "oldest: true\n"}


@dataclass
class Worker:
    """A worker as a process of its own, and its host: a data directory."""

    process: Process
    directory: Path
    log: Path

    def children(self) -> list[int]:
        """The processes it has started, and theirs."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    parents.setdefault(parent, []).append(int(entry.name))
        found: list[int] = []
        todo = [self.process.pid]
        while todo:
            children = parents.get(todo.pop(), [])
            found += children
            todo += children
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker and to all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            # So that it starts nothing new while its children are looked for.
            os.kill(self.process.pid, signal.SIGSTOP)
        for pid in [*self.children(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def kill(self, *, whole_host: bool = False) -> None:
        """SIGKILL. What it had started lives on, unless the whole host goes down."""
        if whole_host:
            self.signal(signal.SIGKILL)
        elif self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@dataclass
class Scene:
    """A Temporal server, the guestbook's world, and a client. Workers come and go."""

    directory: Path
    #: None where `towpath up` brings its own.
    server: EmbeddedServer | None
    world: GuestbookWorld
    gates: Gates
    stages: Sequence[str]
    #: With it all payloads are encrypted.
    keys: Path | None = None
    _towpath: Towpath | None = None
    freight: str = ""
    promotions: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    @property
    def towpath(self) -> Towpath:
        """A client of whichever server runs."""
        assert self._towpath is not None
        return self._towpath

    async def connect(self, address: str) -> None:
        self._towpath = Towpath(await self.client(address))

    async def client(self, address: str) -> Client:
        settings = ClientSettings(data_directory=self.directory / "client", encryption_keys_file=self.keys)
        return await connect_to({"target_host": address}, settings)

    def environment(self, host: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
        return {
            **clean,
            **self.world.settings(),
            **self.gates.environment(),
            **({"TEMPORAL_ADDRESS": self.server.address} if self.server else {}),
            **({"TOWPATH_ENCRYPTION_KEYS_FILE": str(self.keys)} if self.keys else {}),
            "TOWPATH_DATA_DIRECTORY": str(self.directory / host),
            # Steps that are held at a gate hold their slot.
            "TOWPATH_STEP_CONCURRENCY": "100",
        }

    async def start_worker(
        self,
        host: str,
        command: str = "worker",
        extra: Mapping[str, str] | None = None,
        *,
        prefix: Sequence[str] = (),
        within: float = 90,
    ) -> Worker:
        """Start `towpath worker` (or `up`) on a host of that name, and wait until it says that it is ready.

        `prefix` is a command that becomes the worker: `env`, `unshare`.
        """
        log = self.directory / f"{host}.log"
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(*prefix, sys.executable, "-m", "starter", command),
                cwd=ROOT,
                env={**self.environment(host), **(extra or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        worker = Worker(process, self.directory / host, log)
        self.workers.append(worker)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), within)
        assert line, log.read_text()
        return worker

    async def apply(self, *manifests: Mapping[str, Any]) -> None:
        text = yaml.safe_dump_all(manifests)
        await self.towpath.apply([ManifestFile("test.yaml", text)], project=PROJECT)

    async def begin(self, interval: str = "1h") -> None:
        """With a worker at work: the pipeline is applied, and its Freight is there."""
        files = {name: (GUESTBOOK / "manifests" / name).read_text() for name in ("promotiontask.yaml",)}
        warehouse = yaml.safe_load((GUESTBOOK / "manifests" / "warehouse.yaml").read_text())
        warehouse["spec"]["interval"] = interval
        stage = yaml.safe_load((GUESTBOOK / "manifests" / "stages.yaml").read_text().partition("\n---\n")[0])
        del stage["metadata"]["annotations"]
        stages = [{**stage, "metadata": {**stage["metadata"], "name": name}} for name in self.stages]
        project = {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Project", "metadata": {"name": PROJECT}}
        await self.apply(project, yaml.safe_load(files["promotiontask.yaml"]), warehouse, *stages)

        async def freight_is_there() -> bool:
            found = await self.towpath.freight_records(PROJECT)
            self.freight = found[0].name if found else ""
            return bool(found)

        await until(freight_is_there)

    async def promote(self, *stages: str) -> None:
        """Start a promotion of the Freight to each of these Stages."""

        async def one(stage: str) -> None:
            async def accepted() -> bool:
                # The Stage may not have heard of the Freight yet.
                answer = await self.towpath.promote(PROJECT, stage, freight=self.freight)
                self.promotions[stage] = answer.name
                assert answer.accepted or "not available" in answer.reason, answer.reason
                return answer.accepted

            await until(accepted)

        await asyncio.gather(*(one(stage) for stage in stages))

    async def all_over(self, within: float = PATIENCE) -> None:
        """Wait until all promotions have ended."""

        async def over() -> bool:
            lines = await self.towpath.promotion_lines(PROJECT)
            wanted = set(self.promotions.values())
            return {line.name for line in lines if line.name in wanted and line.finished_at is not None} == wanted

        await until(over, within)

    async def doubts(self, undisturbed: str, *, rebuilt: bool = True) -> list[str]:
        """What of the promotions did not come out as that of the Stage `undisturbed` did, a sentence each.

        Each Succeeded; its branch holds the same commits, the repository no other; the Stage records the Freight once.
        With `rebuilt`, the workspaces of all others must have been made anew at least once.
        """
        wrong: list[str] = []
        git = self.world.repository.git
        tree = git("rev-parse", f"env/{undisturbed}^{{tree}}")
        for stage, promotion in self.promotions.items():
            view = await self.towpath.promotion_view(PROJECT, promotion)
            outcomes = [f"{step.alias}: {step.status} {step.message}" for step in view.steps]
            if view.phase != "Succeeded" or any(step.status != "Succeeded" for step in view.steps):
                wrong.append(f"{stage}: {view.phase} {view.message} {outcomes}")
                continue
            rebuilds = sum(step.rebuilds for step in view.steps)
            # The undisturbed one may have been on its way when its worker was killed for the others' sake.
            if rebuilt and stage != undisturbed and not rebuilds:
                wrong.append(f"{stage}: its workspace was never rebuilt")
            step = next(step for step in view.steps if step.uses == "git-commit")
            assert step.started_at is not None
            base = git("rev-parse", f"env/{stage}~1")
            made = self._commit(tree, base, f"env/{stage}", stage, int(step.started_at.timestamp()))
            log = self.world.repository.log(f"env/{stage}", "%H")
            before = self.world.repository.log(base, "%H")
            if log != [made, *before] or len(before) != 1:
                wrong.append(f"{stage}: branch holds {log}, expected {[made, *before]}")
            pushed = next(step for step in view.steps if step.uses == "git-push").output
            if not isinstance(pushed, dict) or pushed.get("commit") != made:
                wrong.append(f"{stage}: pushed {pushed}, expected {made}")
            shown = await self.towpath.get_stage(PROJECT, stage)
            history = shown["status"]["freightHistory"]
            names = [piece["name"] for entry in history for piece in entry["items"].values()]
            if names != [self.freight] or shown["status"]["lastPromotion"]["name"] != promotion:
                wrong.append(f"{stage}: its history is {names}")
        # No commit but these was ever accepted: a branch's first and second, and what people pushed to main.
        objects = git("cat-file", "--batch-all-objects", "--batch-check").splitlines()
        commits = {line.split()[0] for line in objects if line.split()[1] == "commit"}
        reachable = set(git("rev-list", "--all").splitlines())
        if commits != reachable:
            wrong.append(f"commits that no branch holds: {commits - reachable}")
        branches = set(git("for-each-ref", "--format=%(refname)").splitlines())
        expected = {"refs/heads/main", *(f"refs/heads/env/{stage}" for stage in self.stages)}
        if branches - expected:
            wrong.append(f"branches that nobody asked for: {branches - expected}")
        lines = await self.towpath.promotion_lines(PROJECT)
        if sorted(line.name for line in lines if line.phase) != sorted(self.promotions.values()):
            wrong.append(f"promotions: {[line.name for line in lines]}")
        return wrong

    def _commit(self, tree: str, parent: str, branch: str, stage: str, date: int) -> str:
        """The id of the commit that this promotion has to make when nothing disturbs it."""
        person = "Towpath <towpath@users.noreply.localhost>"
        message = f"Updated ./src/env/{stage} to use new image\n\n- {IMAGE}:{TAG}\n"
        text = (
            f"tree {tree}\nparent {parent}\nauthor {person} {date} +0000\ncommitter {person} {date} +0000\n\n{message}"
        )
        return self.world.repository.git("hash-object", "-t", "commit", "--stdin", stdin=text)


@asynccontextmanager
async def scene(
    directory: Path,
    stages: Sequence[str],
    *,
    new_branch: Sequence[str] = (),
    served: bool = True,
    keys: Path | None = None,
) -> AsyncIterator[Scene]:
    """Everything but workers, and with `served` a Temporal server that is started again when it falls.

    The Stages in `new_branch` have no branch yet. At the end all workers are killed.
    """
    with GuestbookWorld(directory / "world") as world:
        kustomization = world.repository.read("env/dev/kustomization.yaml")
        world.repository.commit(
            {f"env/{stage}/kustomization.yaml": kustomization for stage in stages}, "Add environments"
        )
        base = world.repository.commit(BEFORE, "Render", branch=f"env/{stages[0]}")
        for stage in stages:
            if stage not in new_branch:
                world.repository.git("update-ref", f"refs/heads/env/{stage}", base)
        world.push_image(TAG)
        built = Scene(directory, None, world, Gates(directory / "gates"), stages, keys)
        async with AsyncExitStack() as stack:
            if served:
                settings = ClientSettings(data_directory=directory / "temporal", encryption_keys_file=keys)
                built.server = await stack.enter_async_context(EmbeddedServer(settings, port=free_port(0), ui=False))
                supervision = asyncio.create_task(built.server.supervise())
                stack.callback(supervision.cancel)
                await built.connect(built.server.address)
            try:
                yield built
            finally:
                for worker in built.workers:
                    if worker.process.returncode is None:
                        await worker.kill(whole_host=True)
                # Orphans of killed workers end by themselves.
                built.gates.open()


async def until(condition: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> None:
    """Await a condition. Not being answered, by a worker or a server that was killed, is no answer."""
    deadline = time.monotonic() + within
    last: Exception | None = None
    while True:
        try:
            if await condition():
                return
        except (RPCError, TowpathError) as error:
            last = error
        assert time.monotonic() < deadline, f"not within {within:.0f} s (last error: {last})"
        await asyncio.sleep(0.2)
