"""`github-push` against a server that speaks GitHub's Git data API, over a real repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps import git_push, github_push  # noqa: F401  # registers the steps
from activities.steps.registry import StepErrored, StepFailed
from examples.world.git_server import GitServer, Repository
from examples.world.pull_requests import PullRequestHosts
from tests.steps.bench import Bench

TOKEN = "token-of-the-test"
GENERATED = "kargo/promotion/dev.01j.abc"


@dataclass
class World:
    hosts: PullRequestHosts
    repository: Repository
    settings: ActivitySettings

    def outside(self, **changes: Any) -> Outside:
        return open_outside(self.settings.model_copy(update=changes))

    async def committed(self, bench: Bench, *, base: str = "") -> str:
        """A worktree of main at `out`, with a commit of its own; its id."""
        checkout = [{"path": "./out", "branch": "main"}]
        recorded = {"commits": {"./out": base}} if base else None
        config = {"repoURL": self.repository.url, "checkout": checkout}
        await bench.run("git-clone", config, recorded=recorded)
        bench.write("out/a", "1")
        author = {"name": "Ada", "email": "ada@example.com"}
        commit = await bench.run(
            "git-commit", {"path": "out", "message": "Promote a\n\nIt is better.", "author": author}
        )
        return str(commit["commit"])

    def writes(self) -> list[str]:
        return [request for request in self.hosts.requests if not request.startswith("GET ")]

    def staged(self) -> str:
        return self.repository.git("for-each-ref", "refs/kargo")


@pytest.fixture
def world(server: GitServer, tmp_path: Path) -> Iterator[World]:
    repository = server.repository("team/app", {"base": "1"})
    credentials = tmp_path / "credentials" / "guestbook"
    credentials.mkdir(parents=True)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app", "labels": {"kargo.akuity.io/cred-type": "git"}},
        "stringData": {"repoURL": repository.url, "username": "git", "password": TOKEN},
    }
    (credentials / "secrets.yaml").write_text(yaml.safe_dump(secret))
    (credentials / "secrets.yaml").chmod(0o600)
    with PullRequestHosts(repository, TOKEN) as hosts:
        settings = ActivitySettings(
            data_directory=tmp_path / "data",
            credentials_directory=tmp_path / "credentials",
            allow_credentials_over_http=True,
            http_mirrors={f"{server.url}/api": f"{hosts.url}/api"},
        )
        yield World(hosts, repository, settings)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_push, "PAUSE", 0)


@pytest.mark.parametrize(
    ("config", "branch"),
    [({}, "main"), ({"targetBranch": "stage/dev"}, "stage/dev"), ({"generateTargetBranch": True}, GENERATED)],
)
async def test_commits_keep_author_message_and_files(world: World, config: dict[str, Any], branch: str) -> None:
    bench = Bench(world.outside())
    commit = await world.committed(bench)
    output = await bench.run("github-push", {"path": "out", **config})
    assert output["branch"] == branch
    assert output["commit"] == world.repository.head(branch) == commit
    assert output["commitURL"].endswith(f"/team/app/commit/{commit}")
    assert world.repository.log(branch, "%an %B")[0].startswith("Ada Promote a")
    assert sorted(world.repository.files(branch)) == ["a", "base"]
    assert world.staged() == ""


@pytest.mark.parametrize("config", [{}, {"generateTargetBranch": True}])
async def test_github_signs_what_names_no_author(world: World, config: dict[str, Any]) -> None:
    bench = Bench(world.outside(github_push_verify_untrusted_commits=True))
    commit = await world.committed(bench)
    output = await bench.run("github-push", {"path": "out", **config})
    branch = output["branch"]
    assert output["commit"] == world.repository.head(branch) != commit
    assert world.repository.git("log", "-1", "--format=%an|%cn|%(trailers:key=Co-authored-by,valueonly)", branch) == (
        "app[bot]|app[bot]|Ada <ada@example.com>"
    )
    # The worktree goes on from the commit at GitHub: pushing again makes nothing.
    assert await bench.run("github-push", {"path": "out", **config}) == output


async def test_moved_remote_is_integrated(world: World) -> None:
    bench = Bench(world.outside())
    await world.committed(bench)
    world.repository.commit({"b": "2"}, "theirs")
    output = await bench.run("github-push", {"path": "out"})
    assert world.repository.head() == output["commit"]
    assert world.repository.log() == ["Promote a", "theirs", "first"]


async def test_merge_keeps_both_parents(world: World) -> None:
    bench = Bench(world.outside(git_push_integration_policy="AlwaysMerge", github_push_verify_untrusted_commits=True))
    await world.committed(bench)
    theirs = world.repository.commit({"b": "2"}, "theirs")
    await bench.run("github-push", {"path": "out"})
    parents = world.repository.git("log", "-1", "--format=%P").split()
    assert len(parents) == 2
    assert theirs in parents
    assert world.repository.log()[0] == "Merge branch 'main'"


async def test_a_push_that_comes_between_is_integrated(world: World) -> None:
    bench = Bench(world.outside())
    await world.committed(bench)

    def push_between(method: str, path: str) -> None:
        world.repository.commit({"b": "2"}, "theirs")

    world.hosts.before_answer = [push_between]
    output = await bench.run("github-push", {"path": "out"})
    assert world.repository.head() == output["commit"]
    assert world.repository.log() == ["Promote a", "theirs", "first"]
    assert world.staged() == ""


async def test_conflict_is_failed_and_pushes_nothing(world: World) -> None:
    bench = Bench(world.outside())
    await world.committed(bench)
    theirs = world.repository.commit({"a": "2"}, "theirs")
    with pytest.raises(StepFailed, match=r"merge conflict.*main.*: a"):
        await bench.run("github-push", {"path": "out"})
    assert world.repository.head() == theirs
    assert world.writes() == []


async def test_force_overwrites(world: World) -> None:
    bench = Bench(world.outside())
    commit = await world.committed(bench)
    world.repository.commit({"a": "2"}, "theirs")
    await bench.run("github-push", {"path": "out", "force": True})
    assert world.repository.head() == commit


async def test_too_many_commits_are_refused_before_anything_is_sent(world: World) -> None:
    bench = Bench(world.outside(github_push_max_revisions=1))
    await world.committed(bench)
    bench.write("out/b", "2")
    await bench.run("git-commit", {"path": "out", "message": "b"})
    with pytest.raises(StepErrored, match=r"2 commits .*GITHUB_PUSH_MAX_REVISIONS allows 1") as refused:
        await bench.run("github-push", {"path": "out"})
    assert refused.value.final
    assert world.writes() == []


@pytest.mark.parametrize(("status", "words", "final"), [(422, "a rule of the repository", True), (503, "later", False)])
async def test_refusal_is_errored_in_githubs_words(world: World, status: int, words: str, final: bool) -> None:
    bench = Bench(world.outside())
    await world.committed(bench)
    world.hosts.refuse_update = status, words
    with pytest.raises(StepErrored, match=words) as refused:
        await bench.run("github-push", {"path": "out"})
    assert refused.value.final is final
    assert world.staged() == ""


@pytest.mark.parametrize("config", [{}, {"generateTargetBranch": True}])
@pytest.mark.parametrize("verified", [False, True])
async def test_lost_push_is_found_again_on_another_host(world: World, verified: bool, config: dict[str, Any]) -> None:
    base = world.repository.head() or ""
    bench = Bench(world.outside(github_push_verify_untrusted_commits=verified))
    await world.committed(bench)
    first = await bench.run("github-push", {"path": "out", **config})
    # Elsewhere the workspace is rebuilt, and knows nothing of the commit at GitHub.
    other = Bench(bench.outside, workspace=bench.outside.workspaces.claim("dev.2.a"))
    await world.committed(other, base=base)
    world.hosts.requests.clear()
    assert await other.run("github-push", {"path": "out", **config}, repeated=True) == first
    assert world.writes() == []


async def test_rebuild_pushes_nothing_and_brings_back_the_commit_at_github(world: World) -> None:
    base = world.repository.head() or ""
    bench = Bench(world.outside(github_push_verify_untrusted_commits=True))
    await world.committed(bench)
    pushed = await bench.run("github-push", {"path": "out"})
    bench.write("out/c", "3")
    second = await bench.run("git-commit", {"path": "out", "message": "c"})

    other = Bench(bench.outside, workspace=bench.outside.workspaces.claim("dev.2.a"))
    await world.committed(other, base=base)
    world.hosts.requests.clear()
    assert await other.run("github-push", {"path": "out"}, recorded=pushed) == pushed
    assert world.hosts.requests == []
    other.write("out/c", "3")
    assert await other.run("git-commit", {"path": "out", "message": "c"}) == second
