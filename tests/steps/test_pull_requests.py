"""Pull request steps against servers that speak the five hosts' APIs, over real repositories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from activities.outside import Outside, open_outside
from activities.pull_requests import azure
from activities.pull_requests.api import HostError
from activities.pull_requests.repository import HostedRepository
from activities.settings import ActivitySettings
from activities.steps import pull_requests  # noqa: F401  # registers the steps
from activities.steps.registry import NotYet, StepErrored, StepFailed, StepSkipped
from examples.world.git_server import GitServer, Repository
from examples.world.pull_requests import PullRequestHosts
from model.steps import ERRORED
from tests.steps.bench import Bench
from tests.steps.test_as_activities import run_activity

PROVIDERS = ["github", "gitlab", "gitea", "bitbucket", "azure"]
TOKEN = "token-of-the-test"


@dataclass
class World:
    """A repository with a branch to merge, on a host of one kind."""

    provider: str
    hosts: PullRequestHosts
    repository: Repository
    outside: Outside
    repo_url: str
    warnings: list[str] = field(default_factory=list)

    async def run(self, name: str, *, repeated: bool = False, **config: Any) -> dict[str, Any]:
        bench = Bench(self.outside)
        bench.warnings = self.warnings
        given = {"repoURL": self.repo_url, "provider": self.provider, **config}
        return await bench.run(name, given, repeated=repeated)

    async def open(self, *, repeated: bool = False, **config: Any) -> dict[str, Any]:
        given = {"sourceBranch": "change", "targetBranch": "main", **config}
        return await self.run("git-open-pr", repeated=repeated, **given)


@pytest.fixture(params=PROVIDERS)
def world(request: pytest.FixtureRequest, server: GitServer, tmp_path: Path) -> Iterator[World]:
    yield from world_of(request.param, server, tmp_path)


@pytest.fixture
def github(server: GitServer, tmp_path: Path) -> Iterator[World]:
    yield from world_of("github", server, tmp_path)


def world_of(provider: str, server: GitServer, tmp_path: Path) -> Iterator[World]:
    name = "org/project/_git/app" if provider == "azure" else "team/app"
    repository = server.repository(name, {"a.yaml": "a: 1\n"})
    repository.git("update-ref", "refs/heads/change", repository.head() or "")
    repository.commit({"a.yaml": "a: 2\n"}, "Promote a to 2\n\nIt is better.\n", branch="change")
    repo_url = f"https://dev.azure.com/{name}.git" if provider == "azure" else repository.url
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{server.url}/"]\n\tinsteadOf = https://dev.azure.com/\n')
    credentials = tmp_path / "credentials" / "guestbook"
    credentials.mkdir(parents=True)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app", "labels": {"kargo.akuity.io/cred-type": "git"}},
        "stringData": {"repoURL": repo_url, "username": "git", "password": TOKEN},
    }
    (credentials / "secrets.yaml").write_text(yaml.safe_dump(secret))
    (credentials / "secrets.yaml").chmod(0o600)
    with PullRequestHosts(repository, TOKEN) as hosts:
        settings = ActivitySettings(
            data_directory=tmp_path / "data",
            credentials_directory=tmp_path / "credentials",
            allow_credentials_over_http=True,
            git_config_file=config,
            http_mirrors={
                f"{server.url}/api": f"{hosts.url}/api",
                "https://api.bitbucket.org": hosts.url,
                "https://dev.azure.com": hosts.url,
            },
        )
        yield World(provider, hosts, repository, open_outside(settings), repo_url)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "PAUSE", 0)


class TestOpen:
    async def test_title_and_text_come_from_the_head_commit(self, world: World) -> None:
        output = await world.open()
        assert output["pr"]["id"] == 1
        assert output["pr"]["url"].startswith("https://")
        (pull,) = world.hosts.pulls
        assert (pull.title, pull.description) == ("Promote a to 2", "It is better.")
        assert (pull.head, pull.base) == ("change", "main")

    async def test_title_text_and_labels_of_the_config(self, world: World) -> None:
        await world.open(title="T", description="D", labels=["release"])
        (pull,) = world.hosts.pulls
        assert (pull.title, pull.description) == ("T", "D")
        if world.provider == "bitbucket":
            assert "has none on pull requests" in world.warnings[0]
        else:
            assert pull.labels == ["release"]

    async def test_one_that_is_open_is_taken(self, world: World) -> None:
        first = await world.open()
        assert await world.open() == first
        assert len(world.hosts.pulls) == 1

    async def test_one_that_was_merged_with_this_commit_is_taken(self, world: World) -> None:
        first = await world.open()
        world.hosts.pull(1).state = "merged"
        assert await world.open() == first
        assert len(world.hosts.pulls) == 1

    async def test_one_that_was_merged_with_another_commit_is_not(self, world: World) -> None:
        await world.open()
        world.hosts.pull(1).state = "merged"
        world.repository.commit({"a.yaml": "a: 3\n"}, "again", branch="change")
        assert (await world.open())["pr"]["id"] == 2

    async def test_one_that_was_closed_is_not_taken(self, world: World) -> None:
        await world.open()
        world.hosts.pull(1).state = "closed"
        assert (await world.open())["pr"]["id"] == 2

    async def test_nothing_to_merge_is_skipped(self, world: World) -> None:
        world.repository.git("update-ref", "refs/heads/change", "refs/heads/main")
        with pytest.raises(StepSkipped, match="change and main hold the same files"):
            await world.open()
        assert world.hosts.pulls == []

    async def test_a_lost_attempt_leaves_one_pull_request_with_its_labels(self, world: World) -> None:
        world.hosts.lose_answers = 1
        with pytest.raises(StepErrored, match="can't be reached"):
            await world.open(labels=["release"])
        output = await world.open(labels=["release"], repeated=True)
        assert output["pr"]["id"] == 1
        (pull,) = world.hosts.pulls
        assert pull.labels == ([] if world.provider == "bitbucket" else ["release"])

    @pytest.mark.parametrize("state", ["closed", "merged"])
    async def test_a_lost_attempt_that_somebody_dealt_with_is_not_repeated(self, world: World, state: str) -> None:
        world.hosts.lose_answers = 1
        with pytest.raises(StepErrored):
            await world.open()
        world.hosts.pull(1).state = state
        world.repository.git("update-ref", "-d", "refs/heads/change")
        assert (await world.open(repeated=True))["pr"]["id"] == 1
        assert len(world.hosts.pulls) == 1

    async def test_one_opened_meanwhile_by_another_is_taken(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = world.hosts.answer

        def faster(method: str, target: str, headers: Any, body: Any) -> tuple[int, Any]:
            if method == "POST" and not world.hosts.pulls:
                world.hosts.open("change", "main", "theirs", "", [])
            return answer(method, target, headers, body)

        monkeypatch.setattr(world.hosts, "answer", faster)
        assert (await world.open())["pr"]["id"] == 1
        assert [pull.title for pull in world.hosts.pulls] == ["theirs"]

    async def test_two_promotions_at_once_open_one(self, world: World) -> None:
        outputs = await asyncio.gather(world.open(), world.open())
        assert outputs[0] == outputs[1]
        assert len(world.hosts.pulls) == 1

    @pytest.mark.parametrize(
        ("config", "error", "says"),
        [
            ({"sourceBranch": "nope"}, StepErrored, "has no branch nope"),
            ({"targetBranch": "nope", "createTargetBranch": True}, StepErrored, "has no branch nope"),
            ({"sourceBranch": "-x"}, StepFailed, "can't be the name of a branch"),
            ({"provider": None}, StepErrored, "set provider to one of azure, bitbucket"),
        ],
    )
    async def test_what_is_not_there(
        self, github: World, config: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            await github.open(**config)
        assert github.hosts.pulls == []
        assert bool(github.warnings) == ("createTargetBranch" in config)

    async def test_the_page_of_the_stage_is_linked(self, github: World) -> None:
        github.outside.settings.ui_base_url = "https://towpath.example.com/"
        await github.open(description="D")
        page = "https://towpath.example.com/project/guestbook/stage/dev"
        assert github.hosts.pulls[0].description == f"D\n\n[View in Towpath]({page})"

    async def test_labels_that_gitea_has_not_are_named(self, server: GitServer, tmp_path: Path) -> None:
        for world in world_of("gitea", server, tmp_path):
            with pytest.raises(StepErrored, match="has no label nope: make it there first"):
                await world.open(labels=["release", "nope"])
            assert world.hosts.pulls == []


class TestWait:
    async def test_waits_while_it_is_open(self, world: World) -> None:
        await world.open()
        with pytest.raises(NotYet, match="pull request 1 is open") as waiting:
            await world.run("git-wait-for-pr", prNumber=1, pollInterval="1s")
        assert waiting.value.after is not None
        assert waiting.value.after.total_seconds() == 10
        assert waiting.value.output is not None
        assert waiting.value.output["pr"]["open"] is True
        assert "commit" not in waiting.value.output

    async def test_merged_gives_the_merge_commit(self, world: World) -> None:
        await world.open()
        world.hosts.merge(world.hosts.pull(1))
        output = await world.run("git-wait-for-pr", prNumber=1)
        assert output["commit"] == world.repository.head()
        assert output["pr"] == {"id": 1, "url": output["pr"]["url"], "open": False, "merged": True}

    async def test_closed_without_merge_is_a_clear_no(self, world: World) -> None:
        await world.open()
        world.hosts.pull(1).state = "closed"
        with pytest.raises(StepFailed, match="closed without being merged") as failed:
            await world.run("git-wait-for-pr", prNumber=1)
        assert failed.value.output is not None
        assert failed.value.output["pr"]["merged"] is False


class TestMerge:
    async def test_merges(self, world: World) -> None:
        await world.open()
        output = await world.run("git-merge-pr", prNumber=1)
        assert output == {"commit": world.repository.head()}
        assert world.repository.git("show", "main:a.yaml") == "a: 2"

    @pytest.mark.parametrize(
        ("provider", "method", "sent"),
        [
            ("github", None, ""),
            ("github", "rebase", "rebase"),
            ("gitlab", "squash", "squash"),
            ("gitlab", "merge", ""),
            ("gitea", None, "merge"),
            ("gitea", "rebase-merge", "rebase-merge"),
            ("bitbucket", "fast_forward", "fast_forward"),
            ("azure", "noFastForward", "noFastForward"),
        ],
    )
    async def test_methods(
        self, server: GitServer, tmp_path: Path, provider: str, method: str | None, sent: str
    ) -> None:
        for world in world_of(provider, server, tmp_path):
            await world.open()
            await world.run("git-merge-pr", prNumber=1, mergeMethod=method)
            assert world.hosts.methods == [sent]

    async def test_a_method_that_the_host_has_not_is_a_clear_no(self, world: World) -> None:
        await world.open()
        with pytest.raises(StepFailed, match="no merge method 'octopus': use one of"):
            await world.run("git-merge-pr", prNumber=1, mergeMethod="octopus", wait=True)

    async def test_a_lost_attempt_merges_once(self, world: World) -> None:
        await world.open()
        world.hosts.lose_answers = 1
        with pytest.raises(StepErrored):
            await world.run("git-merge-pr", prNumber=1)
        if world.provider == "azure":
            world.hosts.merge(world.hosts.pull(1))
        merged = world.repository.head()
        output = await world.run("git-merge-pr", prNumber=1, repeated=True)
        assert output == {"commit": merged}
        assert world.repository.head() == merged

    @pytest.mark.parametrize("state", ["draft", "blocked", "unknown"])
    async def test_not_yet_mergeable_waits_or_fails(self, world: World, state: str) -> None:
        await world.open()
        world.hosts.pull(1).merge_state = state
        if state != "draft" and world.provider in ("github", "bitbucket"):
            # These can't, or needn't, tell beforehand: trying tells.
            world.hosts.refuse_merge = (405 if world.provider == "github" else 400, "2 approvals are missing")
        with pytest.raises(StepFailed, match=r"can't be merged yet.*with wait: true"):
            await world.run("git-merge-pr", prNumber=1)
        with pytest.raises(NotYet) as waiting:
            await world.run("git-merge-pr", prNumber=1, wait=True)
        assert waiting.value.after is not None
        assert waiting.value.after.total_seconds() == 10
        world.hosts.pull(1).merge_state = "ready"
        world.hosts.refuse_merge = None
        assert await world.run("git-merge-pr", prNumber=1, wait=True)

    async def test_conflicts_are_a_clear_no_though_it_waits(self, world: World) -> None:
        await world.open()
        world.hosts.pull(1).merge_state = "conflict"
        if world.provider == "bitbucket":
            world.hosts.refuse_merge = (409, "merge conflict")
        # Gitea says only "not mergeable".
        error = NotYet if world.provider == "gitea" else StepFailed
        with pytest.raises(error, match="conflicts"):
            await world.run("git-merge-pr", prNumber=1, wait=True)

    async def test_closed_is_a_clear_no(self, world: World) -> None:
        await world.open()
        world.hosts.pull(1).state = "closed"
        with pytest.raises(StepFailed, match="was not merged"):
            await world.run("git-merge-pr", prNumber=1, wait=True)

    @pytest.mark.parametrize(
        ("merge_state", "status", "message", "error"),
        [
            ("ready", 405, "Base branch was modified. Review and try the merge again.", NotYet),
            ("ready", 409, "Head branch was modified", NotYet),
            ("ready", 405, "Pull Request is not mergeable", NotYet),
            ("blocked", 405, "At least 1 approving review is required", NotYet),
            ("ready", 405, "At least 1 approving review is required", StepFailed),
            ("blocked", 405, "Squash merges are not allowed on this repository", StepFailed),
            ("ready", 403, "Resource not accessible by personal access token", StepErrored),
            ("ready", 500, "", StepErrored),
        ],
    )
    async def test_what_github_means_by_refusing(
        self, github: World, merge_state: str, status: int, message: str, error: type[Exception]
    ) -> None:
        await github.open()
        github.hosts.pull(1).merge_state = merge_state
        github.hosts.refuse_merge = (status, message)
        with pytest.raises(error):
            await github.run("git-merge-pr", prNumber=1, wait=True)

    async def test_azure_completes_in_the_background(self, server: GitServer, tmp_path: Path) -> None:
        for world in world_of("azure", server, tmp_path):
            await world.open()
            world.hosts.merge_later = 3
            assert await world.run("git-merge-pr", prNumber=1) == {"commit": world.repository.head()}

    async def test_azure_that_takes_long_is_asked_again_without_wait(self, server: GitServer, tmp_path: Path) -> None:
        for world in world_of("azure", server, tmp_path):
            await world.open()
            world.hosts.merge_later = azure.LOOKS
            with pytest.raises(NotYet, match="Azure DevOps is merging it"):
                await world.run("git-merge-pr", prNumber=1)
            assert await world.run("git-merge-pr", prNumber=1) == {"commit": world.repository.head()}


async def test_wrong_token_says_what_to_do_and_shows_none(world: World) -> None:
    if world.provider == "azure":
        pytest.skip("its server here believes any token")
    world.hosts.token = "another"
    with pytest.raises(StepErrored, match=r"\(401\)") as caught:
        await world.open()
    assert "Secret" in str(caught.value)
    assert TOKEN not in str(caught.value)


async def test_a_host_that_answers_html_is_named(github: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.hosts, "answer", lambda *_: (200, "a page"))
    with pytest.raises(StepErrored, match="no pull request as GitHub writes it"):
        await github.run("git-wait-for-pr", prNumber=1)


async def test_the_activity_ends_errored_where_the_host_is_unknown(tmp_path: Path) -> None:
    outside = open_outside(ActivitySettings(data_directory=tmp_path / "data"))
    config = {"repoURL": "https://git.example.com/team/app", "prNumber": 1}
    with pytest.raises(ApplicationError, match="set provider") as caught:
        await run_activity(outside, "git-wait-for-pr", config)
    assert caught.value.type == ERRORED


@pytest.mark.parametrize(
    ("url", "scheme", "host", "path"),
    [
        ("https://github.com/Team/App.git", "https", "github.com", "Team/App"),
        ("http://127.0.0.1:80/team/app/", "http", "127.0.0.1:80", "team/app"),
        ("https://me@dev.azure.com/o/p/_git/r", "https", "dev.azure.com", "o/p/_git/r"),
        ("git@github.com:team/app.git", "https", "github.com", "team/app"),
        ("ssh://git@gitlab.com:22/a/b/c.git", "https", "gitlab.com", "a/b/c"),
    ],
)
def test_where_a_repository_is(url: str, scheme: str, host: str, path: str) -> None:
    assert HostedRepository.of(url) == HostedRepository(scheme, host, path)


@pytest.mark.parametrize("url", ["https://github.com/", "https://github.com/a/../b", "nonsense"])
def test_addresses_that_name_no_repository(url: str) -> None:
    with pytest.raises(HostError, match="does not name a repository"):
        HostedRepository.of(url)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://dev.azure.com/org/project/_git/app", "https://dev.azure.com/org"),
        ("https://org.visualstudio.com/project/_git/app", "https://dev.azure.com/org"),
        ("git@ssh.dev.azure.com:v3/org/project/app", "https://dev.azure.com/org"),
    ],
)
def test_addresses_of_azure(url: str, base: str) -> None:
    assert azure.api_base(HostedRepository.of(url)) == base
