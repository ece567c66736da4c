"""The Git steps against a real Git server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from activities.git import mirrors
from activities.git.errors import AuthenticationRefused, GitError, RemoteUnreachable, RepositoryNotFound
from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps.registry import StepErrored, StepFailed, StepSkipped
from examples.world.git_server import GitServer, Repository
from tests.steps.bench import Bench


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return server.repository("guestbook", {"base/a.yaml": "a: 1\n", "other/b.yaml": "b: 1\n"})


def clone(repository: Repository, *checkouts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"repoURL": repository.url, "checkout": list(checkouts), **more}


OUT = {"branch": "stage/dev", "create": True, "path": "./out"}


class TestClone:
    async def test_branch_commit_tag_and_default(self, outside: Outside, repository: Repository) -> None:
        first = repository.head()
        repository.git("tag", "-a", "v1", "-m", "one", "main")
        second = repository.commit({"base/a.yaml": "a: 2\n"}, "second")
        bench = Bench(outside)
        output = await bench.run(
            "git-clone",
            clone(
                repository,
                {"path": "./default"},
                {"commit": first, "path": "/by-commit", "as": "pinned"},
                {"tag": "v1", "path": "../by-tag"},
                {"commit": second[:9], "path": "short"},
            ),
        )
        assert output == {
            "commits": {"./default": second, "pinned": first, "../by-tag": first, "short": second},
        }
        for name, text in (("default", "a: 2\n"), ("by-commit", "a: 1\n"), ("by-tag", "a: 1\n"), ("short", "a: 2\n")):
            assert (bench.workspace / name / "base/a.yaml").read_text() == text

    async def test_created_branch_begins_with_one_empty_commit(self, outside: Outside, repository: Repository) -> None:
        output = await Bench(outside).run("git-clone", clone(repository, {"path": "src"}, OUT))
        assert repository.head("stage/dev") == output["commits"]["./out"]
        assert repository.log("stage/dev") == ["Initial commit"]
        assert repository.files("stage/dev") == []

    async def test_a_lost_attempt_at_creating_leaves_nothing_twice(
        self, outside: Outside, repository: Repository
    ) -> None:
        first = await Bench(outside, "dev.1.a").run("git-clone", clone(repository, OUT))
        repository.git("update-ref", "-d", "refs/heads/stage/dev")
        again = await Bench(outside, "dev.2.a").run("git-clone", clone(repository, OUT), repeated=True)
        assert again == first
        assert repository.log("stage/dev") == ["Initial commit"]

    @pytest.mark.parametrize(
        ("checkout", "error", "says"),
        [
            ({"branch": "nope", "path": "x"}, StepErrored, "has no branch nope"),
            ({"tag": "nope", "path": "x"}, StepErrored, "has no tag nope"),
            ({"commit": "f" * 40, "path": "x"}, GitError, "has no commit f"),
            ({"commit": "main", "path": "x"}, StepErrored, "not a commit id"),
            ({"branch": "--upload-pack=touch", "path": "x"}, StepErrored, "can't be the name of a branch"),
            ({"path": "taken"}, StepErrored, "exists already"),
        ],
    )
    async def test_what_is_not_there(
        self, outside: Outside, repository: Repository, checkout: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        bench = Bench(outside)
        bench.write("taken/file", "x")
        with pytest.raises(error, match=says):
            await bench.run("git-clone", clone(repository, checkout))

    async def test_rebuild_checks_out_the_recorded_commits(self, outside: Outside, repository: Repository) -> None:
        config = clone(repository, {"path": "src"}, OUT)
        recorded = await Bench(outside, "dev.1.a").run("git-clone", config)
        repository.commit({"base/a.yaml": "a: 9\n"}, "later")
        repository.commit({"x": "1"}, "later", branch="stage/dev")
        rebuilt = Bench(outside, "dev.2.a")
        assert await rebuilt.run("git-clone", config, recorded=recorded) == recorded
        assert (rebuilt.workspace / "src/base/a.yaml").read_text() == "a: 1\n"

    async def test_another_attempt_replaces_what_the_first_left(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        config = clone(repository, {"path": "src", "branch": "main"}, OUT)
        first = await bench.run("git-clone", config)
        bench.write("src/half", "written")
        (bench.workspace / "out/.git").unlink()
        assert await bench.run("git-clone", config, repeated=True) == first
        assert not (bench.workspace / "src/half").exists()

    async def test_other_clones_are_left_alone(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "one", "branch": "main"}), alias="first")
        bench.write("one/mine", "1")
        await bench.run("git-clone", clone(repository, {"path": "two", "branch": "main"}), alias="second")
        await bench.run("git-commit", {"path": "one", "message": "m"})
        assert (bench.workspace / "one/mine").exists()
        assert not (bench.workspace / "two/mine").exists()

    async def test_second_clone_fetches_nothing(
        self, outside: Outside, server: GitServer, repository: Repository
    ) -> None:
        await Bench(outside, "dev.1.a").run("git-clone", clone(repository, {"path": "src"}))
        server.requests.clear()
        await Bench(outside, "dev.2.a").run("git-clone", clone(repository, {"path": "src"}))
        assert server.requests == {"GET info/refs": 1, "POST git-upload-pack": 1}

    async def test_mirror_may_vanish_between_steps(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src"}, OUT))
        shutil.rmtree(outside.settings.mirror_directory)
        bench.write("out/a", "1")
        await bench.run("git-commit", {"path": "out", "message": "m"})
        await bench.run("git-push", {"path": "out"})
        assert repository.log("stage/dev") == ["m", "Initial commit"]

    async def test_damaged_mirror_is_made_anew(self, outside: Outside, repository: Repository) -> None:
        await Bench(outside, "dev.1.a").run("git-clone", clone(repository, {"path": "src"}))
        (mirror,) = outside.settings.mirror_directory.glob("*.git")
        shutil.rmtree(mirror / "objects")
        bench = Bench(outside, "dev.2.a")
        await bench.run("git-clone", clone(repository, {"path": "src"}))
        assert (bench.workspace / "src/base/a.yaml").exists()

    async def test_sparse_and_blobless(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run(
            "git-clone", clone(repository, {"path": "src", "branch": "main", "sparse": ["base"]}, blobless=True)
        )
        assert sorted(path.name for path in (bench.workspace / "src").iterdir()) == [".git", "base"]
        bench.write("src/base/a.yaml", "a: 5\n")
        await bench.run("git-commit", {"path": "src", "message": "m"})
        await bench.run("git-push", {"path": "src"})
        assert repository.files() == ["base/a.yaml", "other/b.yaml"]
        assert repository.read("base/a.yaml") == "a: 5"

    async def test_submodules(self, outside: Outside, server: GitServer, repository: Repository) -> None:
        part = server.repository("part", {"p": "1"})
        repository.git("update-ref", "refs/heads/with", repository.head() or "")
        modules = '[submodule "part"]\n\tpath = part\n\turl = ../part.git\n'
        repository.commit({".gitmodules": modules}, "modules", branch="with")
        _add_gitlink(repository, "with", "part", part.head() or "")
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src", "branch": "with"}, recurseSubmodules=True))
        assert (bench.workspace / "src/part/p").read_text() == "1"

    async def test_hooks_of_a_repository_never_run(
        self, outside: Outside, repository: Repository, tmp_path: Path
    ) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, OUT))
        (git_dir,) = (bench.workspace.parent / "git").iterdir()
        hook = git_dir / "hooks" / "pre-commit"
        hook.parent.mkdir()
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
        bench.write("out/a", "1")
        await bench.run("git-commit", {"path": "out", "message": "m"})
        assert not (tmp_path / "ran").exists()


def _add_gitlink(repository: Repository, branch: str, name: str, commit: str) -> None:
    tree = repository.git("ls-tree", branch) + f"\n160000 commit {commit}\t{name}\n"
    made = repository.git("commit-tree", repository.git("mktree", "--missing", stdin=tree), "-p", branch, "-m", "link")
    repository.git("update-ref", f"refs/heads/{branch}", made)


class TestReachingIn:
    async def test_errors_are_told_apart(self, outside: Outside, server: GitServer, repository: Repository) -> None:
        bench = Bench(outside)
        with pytest.raises(RepositoryNotFound, match="was not found"):
            await bench.run("git-clone", {"repoURL": f"{server.url}/none.git", "checkout": [{"path": "x"}]})
        with pytest.raises(RemoteUnreachable, match="could not be reached"):
            await bench.run("git-clone", {"repoURL": "http://127.0.0.1:9/x.git", "checkout": [{"path": "x"}]})
        server.fail_with = 503
        with pytest.raises(RemoteUnreachable, match="503"):
            await bench.run("git-clone", clone(repository, {"path": "x"}))
        server.fail_with = 403
        with pytest.raises(AuthenticationRefused, match="access was refused"):
            await bench.run("git-clone", clone(repository, {"path": "x"}))

    @pytest.mark.parametrize("url", ["file:///etc", "/etc", "ext::sh -c true", "git://127.0.0.1/x", "-oProxyCommand=x"])
    async def test_other_transports_are_refused(self, outside: Outside, url: str) -> None:
        with pytest.raises(StepErrored, match="address of a"):
            await Bench(outside).run("git-clone", {"repoURL": url, "checkout": [{"path": "x"}]})

    async def test_credentials_open_the_repository_and_show_nowhere(self, settings: ActivitySettings) -> None:
        with GitServer(user="tower", password="not-a-real-secret") as server:
            repository = server.repository("private", {"a": "1"})
            config = clone(repository, {"path": "src"}, OUT)
            with pytest.raises(AuthenticationRefused, match="no Secret labelled"):
                await Bench(open_outside(settings)).run("git-clone", config)
            outside = open_outside(_with_secret(settings, repository.url, "tower", "not-a-real-secret"))
            bench = Bench(outside)
            await bench.run("git-clone", config)
            bench.write("out/a", "1")
            await bench.run("git-commit", {"path": "out", "message": "m"})
            await bench.run("git-push", {"path": "out"})
            assert repository.log("stage/dev") == ["m", "Initial commit"]
            for path in settings.data_directory.rglob("*"):
                if path.is_file() and "credentials" not in path.parts:
                    assert b"not-a-real-secret" not in path.read_bytes(), path

            wrong = open_outside(_with_secret(settings, repository.url, "tower", "a-wrong-password"))
            with pytest.raises(AuthenticationRefused, match="Secret git-credentials") as refused:
                await Bench(wrong).run("git-clone", config)
            assert "a-wrong-password" not in str(refused.value)

    async def test_credentials_stay_home_over_plain_http(self, settings: ActivitySettings) -> None:
        with GitServer(user="tower", password="not-a-real-secret") as server:
            repository = server.repository("private", {"a": "1"})
            careful = _with_secret(settings, repository.url, "tower", "not-a-real-secret").model_copy(
                update={"allow_credentials_over_http": False}
            )
            with pytest.raises(AuthenticationRefused, match="TOWPATH_ALLOW_CREDENTIALS_OVER_HTTP"):
                await Bench(open_outside(careful)).run("git-clone", clone(repository, {"path": "src"}))

    async def test_instead_of_leads_elsewhere_with_credentials_of_the_written_address(
        self, settings: ActivitySettings, tmp_path: Path
    ) -> None:
        with GitServer(user="tower", password="not-a-real-secret") as server:
            server.repository("owner/private", {"a": "1"})
            config_file = tmp_path / "gitconfig"
            config_file.write_text(f'[url "{server.url}/"]\n\tinsteadOf = https://git.example.com/\n')
            url = "https://git.example.com/owner/private.git"
            redirected = _with_secret(settings, url, "tower", "not-a-real-secret").model_copy(
                update={"git_config_file": config_file}
            )
            bench = Bench(open_outside(redirected))
            await bench.run("git-clone", {"repoURL": url, "checkout": [{"path": "src"}]})
            assert (bench.workspace / "src/a").read_text() == "1"


def _with_secret(settings: ActivitySettings, url: str, user: str, password: str) -> ActivitySettings:
    directory = settings.data_directory / "credentials"
    (directory / "guestbook").mkdir(parents=True, exist_ok=True)
    path = directory / "guestbook" / "git.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: git-credentials\n"
        "  labels:\n    kargo.akuity.io/cred-type: git\n"
        f"stringData:\n  repoURL: {url}\n  username: {user}\n  password: {password}\n"
    )
    path.chmod(0o600)
    return settings.model_copy(update={"credentials_directory": directory})


class TestCommit:
    async def test_same_content_gives_the_same_commit(self, outside: Outside, repository: Repository) -> None:
        commits = set()
        recorded = None
        for name in ("dev.1.a", "dev.2.a"):
            bench = Bench(outside, name)
            recorded = await bench.run("git-clone", clone(repository, {"path": "src"}, OUT), recorded=recorded)
            await bench.run("git-clear", {"path": "out"})
            bench.write("out/all.yaml", "x: 1\n")
            commits.add((await bench.run("git-commit", {"path": "./out", "message": "render\n\nbody"}))["commit"])
        assert len(commits) == 1

    async def test_nothing_new_is_skipped_with_head(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src", "branch": "main"}))
        with pytest.raises(StepSkipped) as skipped:
            await bench.run("git-commit", {"path": "src", "message": "m"})
        assert skipped.value.output == {"commit": repository.head()}
        pushed = await bench.run("git-push", {"path": "src"})
        assert pushed == {"commit": repository.head(), "branch": "main"}
        assert repository.log() == ["first"]

    async def test_an_attempt_after_a_lost_one_finds_its_commit(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, OUT))
        bench.write("out/a", "1")
        first = await bench.run("git-commit", {"path": "out", "message": "m"})
        assert await bench.run("git-commit", {"path": "out", "message": "m"}, repeated=True) == first

    async def test_author(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        ada = {"name": "Ada", "email": "ada@example.com"}
        await bench.run("git-clone", clone(repository, OUT, author=ada))
        bench.write("out/a", "1")
        await bench.run("git-commit", {"path": "out", "message": "m"})
        bench.write("out/a", "2")
        await bench.run(
            "git-commit", {"path": "out", "message": "n", "author": {"name": "Bob", "email": "b@example.com"}}
        )
        await bench.run("git-push", {"path": "out"})
        assert repository.log("stage/dev", "%an %cn %aI")[:2] == [
            "Bob Bob 2026-05-01T12:00:00+00:00",
            "Ada Ada 2026-05-01T12:00:00+00:00",
        ]

    async def test_clear_removes_everything_but_stays_a_worktree(
        self, outside: Outside, repository: Repository
    ) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src", "branch": "main"}))
        await bench.run("git-clear", {"path": "src"})
        assert [path.name for path in (bench.workspace / "src").iterdir()] == [".git"]
        bench.write("src/only", "1")
        await bench.run("git-commit", {"path": "src", "message": "m"})
        await bench.run("git-push", {"path": "src"})
        assert repository.files() == ["only"]

    async def test_a_foreign_git_directory_is_not_believed(
        self, outside: Outside, repository: Repository, tmp_path: Path
    ) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src"}))
        bench.write("evil/config", f"[core]\n\tfsmonitor = touch {tmp_path}/ran\n")
        bench.write("fake/.git", f"gitdir: {bench.workspace}/evil\n")
        (bench.workspace / "plain").mkdir()
        for path in ("fake", "plain", "missing", "src/base"):
            for name in ("git-clear", "git-commit", "git-push"):
                config = {"path": path} | ({"message": "m"} if name == "git-commit" else {})
                with pytest.raises(StepErrored, match="working tree"):
                    await bench.run(name, config)
        assert not (tmp_path / "ran").exists()


async def committed(bench: Bench, repository: Repository, text: str = "1", name: str = "a", **out: Any) -> str:
    await bench.run("git-clone", clone(repository, {**OUT, **out}))
    bench.write(f"out/{name}", text)
    commit: str = (await bench.run("git-commit", {"path": "out", "message": f"{name}={text}"}))["commit"]
    return commit


class TestPush:
    async def test_targets(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        commit = await committed(bench, repository)
        assert await bench.run("git-push", {"path": "out"}) == {"commit": commit, "branch": "stage/dev"}
        assert await bench.run("git-push", {"path": "out", "targetBranch": "other"}) == {
            "commit": commit,
            "branch": "other",
        }
        generated = await bench.run("git-push", {"path": "out", "generateTargetBranch": True, "provider": "gitea"})
        assert generated["branch"] == "kargo/promotion/dev.01j.abc"
        assert generated["commitURL"].endswith(f"/guestbook/commit/{commit}")
        for branch in ("stage/dev", "other", "kargo/promotion/dev.01j.abc"):
            assert repository.head(branch) == commit

    async def test_moved_remote_is_integrated_by_rebase(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await committed(bench, repository)
        theirs = repository.commit({"b": "2"}, "theirs", branch="stage/dev")
        output = await bench.run("git-push", {"path": "out"})
        assert repository.head("stage/dev") == output["commit"] != theirs
        assert repository.log("stage/dev") == ["a=1", "theirs", "Initial commit"]
        assert sorted(repository.files("stage/dev")) == ["a", "b"]

    async def test_merge_policy(self, settings: ActivitySettings, repository: Repository) -> None:
        outside = open_outside(settings.model_copy(update={"git_push_integration_policy": "AlwaysMerge"}))
        bench = Bench(outside)
        mine = await committed(bench, repository)
        repository.commit({"b": "2"}, "theirs", branch="stage/dev")
        output = await bench.run("git-push", {"path": "out"})
        assert repository.log("stage/dev")[0] == "Merge branch 'stage/dev'"
        again = Bench(outside, "dev.2.a")
        await again.run(
            "git-clone", clone(repository, OUT), recorded={"commits": {"./out": repository.log("stage/dev", "%H")[-1]}}
        )
        again.write("out/a", "1")
        assert (await again.run("git-commit", {"path": "out", "message": "a=1"}))["commit"] == mine
        assert await again.run("git-push", {"path": "out"}, repeated=True) == output

    async def test_conflict_is_failed_and_pushes_nothing(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await committed(bench, repository)
        theirs = repository.commit({"a": "2"}, "theirs", branch="stage/dev")
        with pytest.raises(StepFailed, match=r"merge conflict.*stage/dev.*: a"):
            await bench.run("git-push", {"path": "out"})
        assert repository.head("stage/dev") == theirs

    async def test_force_overwrites(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        commit = await committed(bench, repository)
        repository.commit({"a": "2"}, "theirs", branch="stage/dev")
        await bench.run("git-push", {"path": "out", "force": True})
        assert repository.head("stage/dev") == commit

    async def test_protected_branch_is_errored_with_the_remotes_words(
        self, outside: Outside, repository: Repository
    ) -> None:
        bench = Bench(outside)
        await committed(bench, repository)
        repository.protect("stage/dev")
        with pytest.raises(StepErrored, match=r"pre-receive hook declined.*branch stage/dev is protected") as refused:
            await bench.run("git-push", {"path": "out"})
        assert refused.value.final

    async def test_lost_push_is_found_again(self, outside: Outside, server: GitServer, repository: Repository) -> None:
        bench = Bench(outside)
        await committed(bench, repository)
        first = await bench.run("git-push", {"path": "out"})
        server.requests.clear()
        assert await bench.run("git-push", {"path": "out"}, repeated=True) == first
        assert server.requests["POST git-receive-pack"] == 0
        repository.commit({"b": "2"}, "theirs", branch="stage/dev")
        assert await bench.run("git-push", {"path": "out"}, repeated=True) == first
        assert repository.log("stage/dev") == ["theirs", "a=1", "Initial commit"]

    async def test_lost_rebased_push_is_found_on_another_host(
        self, outside: Outside, server: GitServer, repository: Repository
    ) -> None:
        bench = Bench(outside, "dev.1.a")
        original = await committed(bench, repository)
        repository.commit({"b": "2"}, "theirs", branch="stage/dev")
        first = await bench.run("git-push", {"path": "out"})
        assert first["commit"] != original
        repository.commit({"c": "3"}, "later", branch="stage/dev")
        # Elsewhere the workspace is rebuilt, and knows nothing of the rebase.
        other = Bench(outside, "dev.2.a")
        base = repository.log("stage/dev", "%H")[-1]
        await other.run("git-clone", clone(repository, OUT), recorded={"commits": {"./out": base}})
        other.write("out/a", "1")
        assert (await other.run("git-commit", {"path": "out", "message": "a=1"}))["commit"] == original
        server.requests.clear()
        assert await other.run("git-push", {"path": "out"}, repeated=True) == first
        assert server.requests["POST git-receive-pack"] == 0
        assert repository.log("stage/dev") == ["later", "a=1", "theirs", "Initial commit"]

    async def test_rebuild_pushes_nothing_and_brings_back_what_integrating_made(
        self, outside: Outside, server: GitServer, repository: Repository
    ) -> None:
        bench = Bench(outside, "dev.1.a")
        await committed(bench, repository)
        repository.commit({"b": "2"}, "theirs", branch="stage/dev")
        pushed = await bench.run("git-push", {"path": "out"})
        bench.write("out/c", "3")
        second = await bench.run("git-commit", {"path": "out", "message": "c"})

        other = Bench(outside, "dev.2.a")
        base = repository.log("stage/dev", "%H")[-1]
        await other.run("git-clone", clone(repository, OUT), recorded={"commits": {"./out": base}})
        other.write("out/a", "1")
        await other.run("git-commit", {"path": "out", "message": "a=1"})
        server.requests.clear()
        assert await other.run("git-push", {"path": "out"}, recorded=pushed) == pushed
        assert server.requests["POST git-receive-pack"] == 0
        other.write("out/c", "3")
        assert await other.run("git-commit", {"path": "out", "message": "c"}) == second

    async def test_many_promotions_push_one_branch_at_once(self, outside: Outside, repository: Repository) -> None:
        import asyncio

        async def promote(number: int) -> None:
            await committed(bench := Bench(outside, f"dev.{number}.a"), repository, name=f"file-{number}")
            await bench.run("git-push", {"path": "out"})

        await asyncio.gather(*(promote(number) for number in range(5)))
        assert sorted(repository.files("stage/dev")) == [f"file-{number}" for number in range(5)]
        assert len(repository.log("stage/dev")) == 6

    async def test_tags(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        commit = await committed(bench, repository)
        with pytest.raises(StepErrored, match="make it with git-tag"):
            await bench.run("git-push", {"path": "out", "tag": "v1"})
        tagged = await bench.run("git-tag", {"path": "out", "tag": "v1", "message": "one"})
        assert tagged == {"commit": commit}
        with pytest.raises(StepErrored, match="exists already"):
            await bench.run("git-tag", {"path": "out", "tag": "v1", "message": "one"})
        pushed = await bench.run("git-push", {"path": "out", "tag": "v1"})
        assert pushed["tag"] == "v1"
        assert repository.git("rev-parse", "v1^{commit}") == commit
        assert await bench.run("git-push", {"path": "out", "tag": "v1"}, repeated=True) == pushed
        await bench.run("git-tag", {"path": "out", "tag": "v1", "message": "moved", "force": True})
        with pytest.raises(StepErrored, match="has a tag v1 already"):
            await bench.run("git-push", {"path": "out", "tag": "v1"})

    async def test_detached_head_needs_a_target(self, outside: Outside, repository: Repository) -> None:
        bench = Bench(outside)
        await bench.run("git-clone", clone(repository, {"path": "src", "commit": repository.head()}))
        with pytest.raises(StepErrored, match="set targetBranch"):
            await bench.run("git-push", {"path": "src"})


class TestNextClone:
    @pytest.mark.parametrize("loose", [250, 3], ids=["objects as they are", "objects repacked"])
    async def test_what_was_pushed_here_is_not_fetched_again(
        self,
        outside: Outside,
        repository: Repository,
        server: GitServer,
        monkeypatch: pytest.MonkeyPatch,
        loose: int,
    ) -> None:
        monkeypatch.setattr(mirrors, "_LOOSE", loose)
        for number in range(3):
            bench = Bench(outside, f"dev.{number}.a")
            server.requests.clear()
            await bench.run("git-clone", clone(repository, {"path": "src"}, OUT))
            # Asking what the remote has is one request; a fetch would be at least another.
            assert number == 0 or server.requests["POST git-upload-pack"] == 1
            for earlier in range(number):
                assert (bench.workspace / f"out/{earlier}.yaml").read_text() == f"n: {earlier}\n"
            bench.write(f"out/{number}.yaml", f"n: {number}\n")
            await bench.run("git-commit", {"path": "out", "message": f"commit {number}"})
            await bench.run("git-push", {"path": "out"})
        assert repository.log("stage/dev") == ["commit 2", "commit 1", "commit 0", "Initial commit"]

    async def test_what_was_integrated_is_there_whole(self, outside: Outside, repository: Repository) -> None:
        first = Bench(outside, "dev.1.a")
        await first.run("git-clone", clone(repository, OUT))
        repository.commit({"theirs.yaml": "a: 1\n"}, "theirs", branch="stage/dev")
        first.write("out/ours.yaml", "a: 1\n")
        await first.run("git-commit", {"path": "out", "message": "ours"})
        await first.run("git-push", {"path": "out"})
        second = Bench(outside, "dev.2.a")
        await second.run("git-clone", clone(repository, OUT))
        assert sorted(path.name for path in (second.workspace / "out").glob("*.yaml")) == ["ours.yaml", "theirs.yaml"]
