"""A worker that is killed, at any moment of the guestbook's promotion: nothing is lost, and nothing doubled."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.kill.echo import EchoApi
from tests.kill.scene import scene
from tests.patience import PATIENCE

#: A Stage for each moment, by which it is called, and the moment.
MOMENTS = {
    "clone-before": "git-clone.before",
    "clone-created": "git-push.end",
    "clone-during": "git-worktree.end",
    "clone-after": "git-clone.after",
    "clear-before": "git-clear.before",
    "clear-during": "git-clear.during",
    "clear-after": "git-clear.after",
    "image-before": "kustomize-set-image.before",
    "image-during": "kustomize-set-image.during",
    "image-after": "kustomize-set-image.after",
    "build-before": "kustomize-build.before",
    "build-during": "kustomize-build.during",
    "build-after": "kustomize-build.after",
    "commit-before": "git-commit.before",
    "commit-during": "git-commit.end",
    "commit-after": "git-commit.after",
    "push-before": "git-push.before",
    "push-unsent": "git-push.begin",
    "push-accepted": "git-push.end",
    "push-after": "git-push.after",
}
#: Here the branch is made by git-clone, and the worker dies when the remote has it and nobody knows.
NEW_BRANCH = ["clone-created"]


def armed(stages: list[str]) -> list[str]:
    return [f"{stage}.{MOMENTS[stage]}" for stage in stages]


@pytest.mark.kill
async def test_killed_at_every_moment_and_started_again_on_its_host(tmp_path: Path) -> None:
    stages = list(MOMENTS)
    async with scene(tmp_path, ["undisturbed", *stages], new_branch=NEW_BRANCH) as here:
        first = await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed(stages))
        await here.promote("undisturbed", *stages)
        await here.gates.reached(armed(stages))
        # Git commands it had started are orphans now, and go on working.
        await first.kill()
        here.gates.open()
        await here.start_worker("one")
        await here.all_over()
        assert await here.doubts("undisturbed") == []


@pytest.mark.kill
async def test_killed_at_every_moment_and_other_hosts_take_over(tmp_path: Path) -> None:
    stages = list(MOMENTS)
    async with scene(tmp_path, ["undisturbed", *stages], new_branch=NEW_BRANCH) as here:
        first = await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed(stages))
        await here.promote("undisturbed", *stages)
        await here.gates.reached(armed(stages))
        second = await here.start_worker("two")
        # What the remote has is not sent again: that moment can't come twice.
        again = [stage for stage in stages if stage != "push-accepted"]
        here.gates.open(armed(["push-accepted"]))
        here.gates.arm(armed(again))
        # With it go the moments' own processes: what a git command had not done stays undone.
        await first.kill(whole_host=True)
        # The second host comes to the same moments, when it has built everything anew, and dies as well.
        await here.gates.reached(armed(again))
        await here.start_worker("three")
        await second.kill(whole_host=True)
        here.gates.open()
        await here.all_over()
        assert await here.doubts("undisturbed") == []


@pytest.mark.kill
async def test_a_host_that_was_only_asleep_does_nothing_twice(tmp_path: Path) -> None:
    stages = ["build-during", "commit-during", "push-before", "push-unsent", "push-accepted", "push-after"]
    async with scene(tmp_path, ["undisturbed", *stages]) as here:
        first = await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed(stages))
        await here.promote("undisturbed", *stages)
        await here.gates.reached(armed(stages))
        first.signal(signal.SIGSTOP)
        here.gates.open()
        await here.start_worker("two")
        await here.all_over()
        assert await here.doubts("undisturbed") == []
        first.signal(signal.SIGCONT)
        # It is stopped properly: so its steps have ended, one way or another.
        first.process.terminate()
        await asyncio.wait_for(first.process.wait(), PATIENCE)
        assert await here.doubts("undisturbed") == []


@pytest.mark.kill
async def test_others_pushed_to_the_branch_between_death_and_takeover(tmp_path: Path) -> None:
    stages = ["push-unsent", "push-accepted"]
    async with scene(tmp_path, stages) as here:
        repository = here.world.repository
        first = await here.start_worker("one")
        await here.begin()
        here.gates.arm(armed(stages))
        await here.promote(*stages)
        await here.gates.reached(armed(stages))
        await first.kill(whole_host=True)
        for stage in stages:
            repository.commit({"theirs.txt": "theirs\n"}, "Theirs", branch=f"env/{stage}")
        here.gates.open()
        await here.start_worker("two")
        await here.all_over()
        ours = {stage: f"Updated ./src/env/{stage} to use new image" for stage in stages}
        assert repository.log("env/push-unsent") == [ours["push-unsent"], "Theirs", "Render"]
        assert repository.log("env/push-accepted") == ["Theirs", ours["push-accepted"], "Render"]
        for stage in stages:
            assert {"theirs.txt", "guestbook-dev-deployment-guestbook.yaml"} <= set(repository.files(f"env/{stage}"))
            view = await here.towpath.promotion_view("guestbook", here.promotions[stage])
            assert (view.phase, view.steps[-1].output["commit"]) == (
                "Succeeded",
                repository.git("log", "-1", "--format=%H", "--grep=Updated", f"env/{stage}"),
            )


@pytest.mark.kill
async def test_a_request_that_nobody_knows_to_have_arrived_is_not_sent_again(tmp_path: Path) -> None:
    def calling(stage: str, **config: object) -> dict[str, object]:
        call = {"url": "http://tickets.example.com/ok", "method": "POST", "body": stage}
        steps = [{"uses": "http", "config": call, **config}]
        requested = [{"origin": {"kind": "Warehouse", "name": "guestbook"}, "sources": {"direct": True}}]
        return {
            "apiVersion": "kargo.akuity.io/v1alpha1",
            "kind": "Stage",
            "metadata": {"name": stage},
            "spec": {"requestedFreight": requested, "promotionTemplate": {"spec": {"steps": steps}}},
        }

    armed = ["once.http.after", "again.http.after"]
    with EchoApi() as api:
        settings = {"TOWPATH_HTTP_MIRRORS": f"http://tickets.example.com={api.url}"}
        async with scene(tmp_path, ["undisturbed"]) as here:
            first = await here.start_worker("one", extra=settings)
            await here.begin()
            await here.apply(calling("once"), calling("again", retry={"errorThreshold": 2}))
            here.gates.arm(armed)
            await here.promote("once", "again")
            await here.gates.reached(armed)
            await first.kill()
            here.gates.open()
            await here.start_worker("one", extra=settings)
            await here.all_over()
            once, again = [
                await here.towpath.promotion_view("guestbook", here.promotions[name]) for name in ("once", "again")
            ]
        assert api.posted.count(b"once") == 1
        assert once.phase == "Errored"
        assert "nobody knows whether that arrived" in once.message
        # Who configures retries has said that it may be sent twice.
        assert (again.phase, api.posted.count(b"again")) == ("Succeeded", 2)
