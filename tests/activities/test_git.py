"""Git runs alone: without the machine's configuration or prompts, killed when told, credentials for one host."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from activities.credentials import Credential
from activities.git.command import GitCommand, error_of
from activities.git.errors import (
    AuthenticationRefused,
    DiskFull,
    GitError,
    GitTimeout,
    InvalidRef,
    MirrorBroken,
    PushOutdated,
    PushRefused,
    RefNotFound,
    RemoteUnreachable,
    RepositoryNotFound,
    TransportRefused,
)
from activities.git.hosts import commit_url
from activities.git.mirrors import Git
from activities.git.refs import Remote, branch_ref, commit_id, tag_ref
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer
from tests.patience import PATIENCE


@pytest.fixture
def settings(tmp_path: Path) -> ActivitySettings:
    return ActivitySettings(data_directory=tmp_path / "data", allow_credentials_over_http=True)


REMOTE = Remote("https://git.example.com/a.git")


@pytest.mark.parametrize(
    ("command", "out", "words", "kind", "says"),
    [
        ("fetch", "", "fatal: Authentication failed for 'https://x/'", AuthenticationRefused, "no Secret labelled"),
        ("fetch", "", "fatal: could not read Username for 'https://x': x", AuthenticationRefused, "was refused"),
        ("fetch", "", "fatal: unable to access 'x': The requested URL returned error: 403", AuthenticationRefused, ""),
        ("fetch", "", "fatal: repository 'https://x/' not found", RepositoryNotFound, "was not found"),
        ("fetch", "", "fatal: unable to access 'x': The requested URL returned error: 404", RepositoryNotFound, ""),
        (
            "fetch",
            "",
            "fatal: unable to access 'x': Could not resolve host: x",
            RemoteUnreachable,
            "could not be reached",
        ),
        ("fetch", "", "fatal: unable to access 'x': The requested URL returned error: 502", RemoteUnreachable, "502"),
        (
            "fetch",
            "",
            "fatal: unable to access 'x': SSL certificate problem: expired",
            RemoteUnreachable,
            "certificate",
        ),
        ("fetch", "", "fatal: remote error: upload-pack: not our ref 12", RefNotFound, ""),
        ("fetch", "", "fatal: transport 'file' not allowed", TransportRefused, "TOWPATH_GIT_TRANSPORTS"),
        ("fetch", "", "error: file write error: No space left on device", DiskFull, "disk is full"),
        ("fetch", "", "fatal: something new", GitError, "something new"),
        ("push", "!\tHEAD:refs/heads/a\t[rejected] (fetch first)", "error: failed to push", PushOutdated, ""),
        ("push", "!\tHEAD:refs/heads/a\t[rejected] (non-fast-forward)", "error: failed", PushOutdated, ""),
        (
            "push",
            "!\tHEAD:refs/heads/a\t[remote rejected] (cannot lock ref 'x': is at 1 but expected 2)",
            "",
            PushOutdated,
            "",
        ),
        (
            "push",
            "!\tHEAD:refs/heads/a\t[remote rejected] (protected branch hook declined)",
            "remote: error: GH006: Protected branch update failed.",
            PushRefused,
            "protected branch hook declined; error: GH006",
        ),
        ("push", "", "fatal: unable to access 'x': The requested URL returned error: 403", AuthenticationRefused, ""),
    ],
)
def test_errors_by_what_git_says(
    settings: ActivitySettings, command: str, out: str, words: str, kind: type[GitError], says: str
) -> None:
    error = error_of([command], words, out, REMOTE, settings)
    assert type(error) is kind
    assert says in str(error)


def test_a_damaged_local_repository_is_told_apart(settings: ActivitySettings) -> None:
    assert type(error_of(["log"], "fatal: bad object 1", "", None, settings)) is MirrorBroken
    assert type(error_of(["rebase"], "error: you have unstaged changes", "", None, settings)) is GitError


@pytest.mark.parametrize("name", ["main", "stage/dev", "kargo/promotion/dev.01j.abc", "a-b", "ä", "v1.2.3"])
def test_good_names(name: str) -> None:
    assert branch_ref(name) == f"refs/heads/{name}"
    assert tag_ref(name) == f"refs/tags/{name}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a*",
        "/a",
        "a/",
        "a.lock",
        ".a",
        "a/.b",
        "@",
        "a@{1}",
        "a\n",
        "a\\b",
        "a//b",
        "a.",
    ],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidRef):
        branch_ref(name)


def test_commit_ids() -> None:
    assert commit_id("ABCDEF1") == "abcdef1"
    for text in ("main", "abc", "-abcdef1", "abcdef1~1", ""):
        with pytest.raises(InvalidRef):
            commit_id(text)


@pytest.mark.parametrize(
    "url", ["https://h/x", "http://h:1/x.git", "ssh://git@h/x", "git@github.com:o/r.git", "github.com:o/r"]
)
def test_good_addresses(url: str) -> None:
    assert Remote(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/x",
        "./x",
        "file:///x",
        "ext::sh -c id",
        "git://h/x",
        "https://",
        "https:///x",
        "-x@h:y",
        "h:-x",
        "https://u:word@h/x",
        "ssh://-oProxyCommand=x/y",
        "https://h/a b",
    ],
)
def test_bad_addresses(url: str) -> None:
    with pytest.raises(TransportRefused) as refused:
        Remote(url)
    assert "word" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize(
    ("url", "provider", "page"),
    [
        ("https://github.com/O/r.git", None, "https://github.com/o/r/commit/c"),
        ("git@github.com:o/r.git", None, "https://github.com/o/r/commit/c"),
        ("https://gitlab.com/g/s/r", None, "https://gitlab.com/g/s/r/-/commit/c"),
        ("https://bitbucket.org/o/r", None, "https://bitbucket.org/o/r/commits/c"),
        ("https://dev.azure.com/o/p/_git/r", None, "https://dev.azure.com/o/p/_git/r/commit/c"),
        ("https://git.example.com/o/r", None, None),
        ("https://git.example.com/o/r", "gitlab", "https://git.example.com/o/r/-/commit/c"),
    ],
)
def test_address_of_a_commit(url: str, provider: str | None, page: str | None) -> None:
    assert commit_url(url, "c", provider) == page  # type: ignore[arg-type]  # a Literal, from the table


def test_only_safe_transports_can_be_allowed(tmp_path: Path) -> None:
    for transport in ("file", "ext", "git"):
        with pytest.raises(ValueError, match="can't be allowed"):
            ActivitySettings(data_directory=tmp_path, git_transports=[transport])


async def test_transport_that_the_operator_forbids(settings: ActivitySettings) -> None:
    git = Git(settings.model_copy(update={"git_transports": ["https"]}))
    with GitServer() as server:
        with pytest.raises(TransportRefused, match="TOWPATH_GIT_TRANSPORTS"):
            await git.refs(Remote(server.repository("a", {"a": "1"}).url))
        assert not server.requests


async def test_nothing_of_the_machine_is_inherited(
    settings: ActivitySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Someone\n[core]\n\tpager = nope\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'user.email=x@y'")
    output = await GitCommand(settings).run("config", "--get-regexp", "^(user|core.pager)", cwd=tmp_path, accept=(0, 1))
    assert output.out == ""


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that takes requests and never answers."""
    asked = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.git", asked
    finally:
        server.close()


def _git_processes() -> set[int]:
    """Children of this process, and theirs."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]) for line in found.splitlines() if "127.0.0.1" in line and "git" in line.split()[2]}


async def test_hanging_remote_is_given_up(settings: ActivitySettings) -> None:
    git = Git(settings.model_copy(update={"git_transfer_timeout": 0.5}))
    async with silent_server() as (url, _):
        with pytest.raises(GitTimeout, match=r"took longer than 0\.5 s"):
            await git.refs(Remote(url))
        assert not [pid for pid in _git_processes() if _mentions(pid, url)]


async def test_cancelling_kills_git_and_its_children(settings: ActivitySettings) -> None:
    async with silent_server() as (url, asked):
        running = asyncio.create_task(Git(settings).refs(Remote(url)))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        assert [pid for pid in _git_processes() if _mentions(pid, url)]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for _ in range(200):
            if not [pid for pid in _git_processes() if _mentions(pid, url)]:
                return
            await asyncio.sleep(0.02)
        pytest.fail("git is still running")


def _mentions(pid: int, url: str) -> bool:
    try:
        return url in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


async def test_too_much_output_is_refused(settings: ActivitySettings) -> None:
    with GitServer() as server:
        url = server.repository("a", {"a": "1"}).url
        git = Git(settings.model_copy(update={"git_output_limit": 10}))
        with pytest.raises(GitError, match="TOWPATH_GIT_OUTPUT_LIMIT"):
            await git.refs(Remote(url))


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Username for 'https://git.example.com:8443': ", "bot"),
        ("Password for 'https://bot@git.example.com:8443': ", "word"),
        ("Username for 'https://git.example.com': ", ""),
        ("Password for 'https://bot@evil.example.com': ", ""),
        ("Password for 'https://git.example.com:8443.evil.example': ", ""),
    ],
)
async def test_credentials_are_for_one_host(settings: ActivitySettings, prompt: str, answer: str) -> None:
    remote = Remote("https://git.example.com:8443/a", Credential("s", "bot", "word"))
    async with GitCommand(settings)._environment(remote) as environment:
        assert not any("word" in f"{value}" for key, value in environment.items() if key != "TOWPATH_GIT_PASSWORD")
        done = subprocess.run(  # noqa: ASYNC221  # a shell script of a few lines
            [environment["GIT_ASKPASS"], prompt], env=environment, capture_output=True, text=True, check=False
        )
    assert done.stdout.strip() == answer


async def test_refs_and_history(settings: ActivitySettings) -> None:
    with GitServer() as server:
        repository = server.repository("a", {"a": "1"})
        repository.git("tag", "-a", "v1", "-m", "one", "main")
        second = repository.commit({"a": "2"}, "second")
        repository.commit({"b": "2"}, "side", branch="side/x")
        git, remote = Git(settings), Remote(repository.url)
        refs = await git.refs(remote)
        assert (refs.default, refs.head, set(refs.branches)) == ("main", second, {"main", "side/x"})
        assert refs.tags == {"v1": repository.git("rev-parse", "v1^{commit}")}
        assert refs.tag_objects == {"v1": repository.git("rev-parse", "v1")}
        assert set((await git.refs(remote, branches=["main"], tags=[])).branches) == {"main"}
        history = await git.history(remote, second, limit=5)
        assert [commit.subject for commit in history] == ["second", "first"]
        assert history[0].id == second


async def test_two_workers_share_a_mirror(settings: ActivitySettings) -> None:
    with GitServer() as server:
        repository = server.repository("a", {"a": "1"})
        remote, head = Remote(repository.url), repository.head() or ""
        paths = await asyncio.gather(*(Git(settings).fetched(remote, [head]) for _ in range(4)))
        assert len(set(paths)) == 1
        assert server.requests["POST git-upload-pack"] == 1
        assert os.listdir(paths[0] / "objects" / "pack")


async def test_a_server_without_filters_gives_a_whole_clone(settings: ActivitySettings) -> None:
    with GitServer() as server:
        repository = server.repository("a", {"a": "1"})
        repository.git("config", "uploadpack.allowFilter", "false")
        path = await Git(settings).fetched(Remote(repository.url), [repository.head() or ""], blobless=True)
        assert path.name.endswith("-blobless.git")
        assert list((path / "objects" / "pack").glob("*.pack"))
