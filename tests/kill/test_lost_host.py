"""Hosts that are lost without a bang: their queue falls silent, the workspace is deleted, the disk is full."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from model.steps import Effect, StepKind, StepRequest, StepResult, StepStatus
from tests.kill.scene import PROJECT, scene
from tests.workflows.house import house, project, stage, warehouse

STEPS = [{"uses": "make", "as": "make"}, {"uses": "send", "as": "send"}, {"uses": "tell", "as": "tell"}]
KINDS = {
    "make": StepKind(name="make", effect=Effect.WORKSPACE),
    "send": StepKind(name="send", effect=Effect.EXTERNAL),
    "tell": StepKind(name="tell", effect=Effect.PURE),
}


def succeeding(queues: list[str]) -> Callable[[StepRequest], StepResult]:
    """A step that succeeds on hosts with these queues, one after the other; the last stays."""

    def play(request: StepRequest) -> StepResult:
        queue = queues.pop(0) if len(queues) > 1 else queues[0]
        return StepResult(status=StepStatus.SUCCEEDED, output={"made": True}, queue=queue)

    return play


async def test_a_host_that_takes_no_step_any_more_is_left(time_skipping: WorkflowEnvironment) -> None:
    async with house(time_skipping) as h:
        h.kinds.update(KINDS)
        # The host dies after it has made the workspace: nobody polls its queue. Real seconds pass until it is given
        # up, for a task that nobody takes keeps the server from skipping time.
        h.plays["make"] = succeeding(["gone", h.task_queue])
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)

        async def over() -> bool:
            return (await h.progress(name)).finished_at is not None

        await h.until(over)
        view = await h.progress(name)
        assert view.phase == "Succeeded"
        assert [alias for _, alias in h.ran] == ["make", "make", "send", "tell"]
        assert [step.rebuilds for step in view.steps] == [0, 1, 0]


async def test_abort_reaches_a_promotion_whose_host_is_gone(dev_client: Client) -> None:
    async with house(WorkflowEnvironment.from_client(dev_client)) as h:
        h.kinds.update(KINDS)
        h.plays["make"] = succeeding(["gone"])
        await h.apply(project(h.project), warehouse(), stage("dev", steps=STEPS))
        freight = await h.discover("1.0.0")
        _, name = await h.request("dev", freight.name)

        async def waits_for_the_host() -> bool:
            view = await h.progress(name)
            return view.steps[1].status == "Running"

        await h.until(waits_for_the_host)
        await h.abort(name)
        with pytest.raises(WorkflowFailureError) as failure:
            await h.result(name)
        assert isinstance(failure.value.cause, CancelledError)
        assert [step.status for step in (await h.progress(name)).steps] == ["Succeeded", "Aborted", None]


@pytest.mark.kill
async def test_a_workspace_that_is_deleted_is_built_anew(tmp_path: Path) -> None:
    # Deleted between two steps, and below a step that is at work.
    moments = {
        "between": "kustomize-set-image.after",
        "under-set-image": "kustomize-set-image.before",
        "under-build": "kustomize-build.before",
        "under-commit": "git-commit.before",
        "under-push": "git-push.before",
        "under-git": "git-push.begin",
    }
    armed = [f"{name}.{moment}" for name, moment in moments.items()]
    async with scene(tmp_path, ["undisturbed", *moments]) as here:
        worker = await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed)
        await here.promote("undisturbed", *moments)
        await here.gates.reached(armed)
        for name in moments:
            shutil.rmtree(worker.directory / "workspaces" / f"{here.promotions[name]}.1")
        here.gates.open()
        await here.all_over()
        assert await here.doubts("undisturbed") == []


#: Runs a program where a directory is a file system of its own, of this size, without being root.
_SMALL_DISK = 'mount -t tmpfs -o size=$1 none "$2" && shift 2 && exec "$@"'
_ALONE = ("unshare", "--user", "--map-root-user", "--mount")


def _may_mount(directory: Path) -> bool:
    command = [*_ALONE, "sh", "-c", _SMALL_DISK, "sh", "64k", str(directory), "true"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _fill(path: Path) -> None:
    """Write to a file until that fails."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.kill
async def test_a_full_disk_is_errored_and_says_so(tmp_path: Path) -> None:
    workspaces = tmp_path / "one" / "workspaces"
    workspaces.mkdir(parents=True)
    if not _may_mount(workspaces):
        pytest.skip("this system lets nobody but root have a small file system")
    moments = {
        "clone": "git-clone.before",
        "image": "kustomize-set-image.before",
        "build": "kustomize-build.before",
        "commit": "git-commit.before",
    }
    armed = [f"{name}.{moment}" for name, moment in moments.items()]
    async with scene(tmp_path, list(moments)) as here:
        prefix = (*_ALONE, "sh", "-c", _SMALL_DISK, "sh", "8m", str(workspaces))
        worker = await here.start_worker("one", prefix=prefix)
        await here.begin()
        here.gates.arm(armed)
        await here.promote(*moments)
        await here.gates.reached(armed)
        # What the worker sees there; from outside it's another directory.
        full = Path(f"/proc/{worker.process.pid}/root{workspaces}/ballast")
        with pytest.raises(OSError, match="No space left"):
            await asyncio.to_thread(_fill, full)
        here.gates.open()
        await here.all_over()
        for name in moments:
            view = await here.towpath.promotion_view(PROJECT, here.promotions[name])
            assert view.phase == "Errored", (name, view.phase)
            assert "disk" in view.message, (name, view.message)
            assert "full" in view.message, (name, view.message)
            assert "free space there" in view.message, (name, view.message)
        # Nothing is stuck by it.
        await asyncio.to_thread(full.unlink)
        await here.promote(*moments)
        await here.all_over()
        for name in moments:
            view = await here.towpath.promotion_view(PROJECT, here.promotions[name])
            assert view.phase == "Succeeded", (name, view.message)
            assert here.world.repository.log(f"env/{name}")[1:] == ["Render"]
