"""Looking for commits of a branch, in real repositories over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.discovery.backoff import Backoff
from activities.discovery.git import find_commits
from activities.discovery.look import Look, LookFailed
from activities.discovery.watch import Watcher
from examples.world.git_server import GitServer
from model.resources.warehouse import DiscoveredCommit, RepoSubscription
from tests.discovery.commits import commit


async def find(watcher: Watcher, url: str, **fields: Any) -> list[DiscoveredCommit]:
    look = Look(
        project="demo",
        now=datetime.now(UTC),
        memory=watcher.memory,
        registries=watcher.registries,
        git=watcher.git,
        credentials=watcher.credentials,
        backoff=Backoff(),
        turns=watcher.turns,
    )
    subscription = RepoSubscription.model_validate({"git": {"repoURL": url, **fields}})
    return (await find_commits(subscription, look)).commits


async def test_newest_come_first_up_to_the_limit(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app")
    commits = [commit(repository, f"Change {number}") for number in range(6)]

    found = await find(watcher, f"{git_server.url}/app.git", branch="main", discoveryLimit=4)

    assert [one.id for one in found] == commits[:1:-1]
    assert {one.branch for one in found} == {"main"}


async def test_without_a_branch_the_remote_says_which(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app", branch="trunk")
    wanted = commit(repository, "On trunk", branch="trunk")
    commit(repository, "On main", branch="main")

    (found,) = await find(watcher, f"{git_server.url}/app.git")

    assert (found.id, found.branch) == (wanted, "")


async def test_only_the_mainline_counts(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app")
    base = commit(repository, "Base")
    side = commit(repository, "On the side", branch="side", parents=(base,))
    merge = commit(repository, "Merge the side", parents=(base, side))

    assert [one.id for one in await find(watcher, f"{git_server.url}/app.git")] == [merge, base]


async def test_subject_is_one_line_of_eighty(watcher: Watcher, git_server: GitServer) -> None:
    commit(git_server.repository("app"), "é" * 81 + "\n\nAnd why\twe do it.")

    (found,) = await find(watcher, f"{git_server.url}/app.git")

    assert found.subject == "é" * 77 + "..."


async def test_commits_before_since_are_no_candidates(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app")
    commit(repository, "Old", when=1_700_000_000)
    new = commit(repository, "New", when=1_700_100_000)
    since = datetime.fromtimestamp(1_700_100_000, UTC) - timedelta(seconds=1)

    assert [one.id for one in await find(watcher, f"{git_server.url}/app.git", since=since.isoformat())] == [new]


async def test_rewritten_history_is_followed(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app")
    base = commit(repository, "Base")
    commit(repository, "Regretted")
    await find(watcher, f"{git_server.url}/app.git")
    better = commit(repository, "Better", parents=(base,))

    assert [one.id for one in await find(watcher, f"{git_server.url}/app.git")] == [better, base]


async def test_renamed_branch_is_named_in_the_error(watcher: Watcher, git_server: GitServer) -> None:
    repository = git_server.repository("app")
    commit(repository, "Base")
    await find(watcher, f"{git_server.url}/app.git", branch="main")
    repository.git("branch", "--move", "main", "trunk")

    with pytest.raises(LookFailed, match="has no branch main: check `branch`"):
        await find(watcher, f"{git_server.url}/app.git", branch="main")


async def test_repository_without_commits_says_so(watcher: Watcher, git_server: GitServer) -> None:
    git_server.repository("app")

    with pytest.raises(LookFailed, match="has no default branch with commits"):
        await find(watcher, f"{git_server.url}/app.git")


async def test_missing_repository_is_an_error_of_its_own_not_of_the_host(
    watcher: Watcher, git_server: GitServer
) -> None:
    with pytest.raises(LookFailed, match="was not found") as caught:
        await find(watcher, f"{git_server.url}/gone.git")

    assert caught.value.pause is None


@pytest.mark.parametrize("branch", ["--upload-pack=touch /tmp/x", "-x", "a b", "a..b"])
async def test_branch_that_can_be_none_is_refused(watcher: Watcher, git_server: GitServer, branch: str) -> None:
    git_server.repository("app")

    with pytest.raises(LookFailed, match="can't be the name of a branch"):
        await find(watcher, f"{git_server.url}/app.git", branch=branch)
