"""Asking for refs without Git: the same answers as `git ls-remote` gives, for less, and Git where it isn't ordinary."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from activities.credentials import Credential
from activities.git import smart_http
from activities.git.errors import AuthenticationRefused, GitError, RemoteBusy, RemoteUnreachable, RepositoryNotFound
from activities.git.mirrors import Git
from activities.git.refs import Remote
from activities.git.smart_http import SmartHttp
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer, Repository
from tests.patience import PATIENCE

LOGIN = Credential(secret="git-login", username="deployer", password="not-a-secret")


@pytest.fixture
def server() -> Iterator[GitServer]:
    with GitServer() as server:
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    repository = server.repository("app", {"a": "1"})
    repository.git("tag", "-a", "v1", "-m", "one", "main")
    repository.git("tag", "v1.1", "main")
    repository.commit({"b": "2"}, "side", branch="side/x")
    repository.commit({"b": "2"}, "longer", branch="main-2")
    repository.git("update-ref", "refs/pull/7/head", repository.head() or "")
    return repository


@pytest.fixture
async def git(tmp_path: Path) -> AsyncIterator[Git]:
    git = Git(ActivitySettings(data_directory=tmp_path / "data"))
    git.http = SmartHttp(git.command)
    yield git
    await git.http.aclose()


@pytest.mark.parametrize(
    ("branches", "tags"),
    [(None, None), (["main"], []), ([], None), (None, []), (["main", "side/x"], ["v1"]), (["gone"], ["gone"])],
)
async def test_the_answer_is_that_of_git(
    git: Git, repository: Repository, branches: list[str] | None, tags: list[str] | None
) -> None:
    remote = Remote(repository.url)

    found = await git.refs(remote, branches=branches, tags=tags)

    assert found == await Git(git.settings).refs(remote, branches=branches, tags=tags)
    assert found.default == "main"


async def test_empty_repository_has_no_refs(git: Git, server: GitServer) -> None:
    assert (await git.refs(Remote(server.repository("empty").url))).branches == {}


async def test_who_has_answered_once_is_asked_once_and_for_little(
    git: Git, server: GitServer, repository: Repository
) -> None:
    remote = Remote(repository.url)
    await git.refs(remote, branches=["side/x"], tags=[])
    server.requests.clear()
    server.sent = 0

    await git.refs(remote, branches=["side/x"], tags=[])

    assert server.requests == {"POST git-upload-pack": 1}
    # A line for HEAD and one for the branch; a listing of all would have seven.
    assert server.sent < 200


async def test_host_that_speaks_an_older_version_is_left_to_git(
    git: Git, server: GitServer, repository: Repository
) -> None:
    server.version_2 = False
    for expected in ({"GET info/refs": 2}, {"GET info/refs": 1}):
        server.requests.clear()
        found = await git.refs(Remote(repository.url), branches=["main"], tags=[])
        assert found.branches == {"main": repository.head()}
        assert server.requests == expected


async def test_repository_that_changed_its_ways_is_asked_by_git_and_then_as_new(
    git: Git, server: GitServer, repository: Repository
) -> None:
    remote = Remote(repository.url)
    await git.refs(remote)
    repository.path.rename(repository.path.with_name("moved.git"))
    with pytest.raises(RepositoryNotFound):
        await git.refs(remote)
    repository.path.with_name("moved.git").rename(repository.path)

    assert (await git.refs(remote)).head == repository.head()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthenticationRefused), (403, AuthenticationRefused), (404, RepositoryNotFound), (500, RemoteUnreachable)],
)
async def test_failures_have_the_words_of_git(
    git: Git, server: GitServer, repository: Repository, status: int, expected: type[GitError]
) -> None:
    server.fail_with = status
    with pytest.raises(expected) as quick:
        await git.refs(Remote(repository.url))
    with pytest.raises(expected) as plain:
        await Git(git.settings).refs(Remote(repository.url))
    assert str(quick.value) == str(plain.value)


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [(429, "", None), (429, "90", timedelta(seconds=90)), (503, "5", timedelta(seconds=5))],
)
async def test_host_that_wants_to_be_left_alone_says_for_how_long(
    git: Git, server: GitServer, repository: Repository, status: int, header: str, expected: timedelta | None
) -> None:
    server.fail_with, server.retry_after = status, header
    with pytest.raises(RemoteBusy) as caught:
        await git.refs(Remote(repository.url))
    assert caught.value.retry_after == expected
    assert server.requests.total() == 1


async def test_slow_host_is_unreachable(
    git: Git, repository: Repository, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smart_http, "TOTAL_TIMEOUT", 0.0)
    with pytest.raises(RemoteUnreachable, match="did not answer in time"):
        await git.refs(Remote(repository.url))


@pytest.mark.parametrize("allowed", [True, False])
async def test_credentials_go_where_they_may(tmp_path: Path, allowed: bool) -> None:
    git = Git(ActivitySettings(data_directory=tmp_path, allow_credentials_over_http=allowed))
    git.http = SmartHttp(git.command)
    with GitServer(user=LOGIN.username, password=LOGIN.password) as server:
        repository = server.repository("app", {"a": "1"})
        if allowed:
            assert (await git.refs(Remote(repository.url, LOGIN))).head == repository.head()
            # Sent at once: Git would first be refused.
            assert server.requests == {"GET info/refs": 1, "POST git-upload-pack": 1}
        else:
            with pytest.raises(AuthenticationRefused):
                await git.refs(Remote(repository.url, LOGIN))
    await git.http.aclose()


@pytest.mark.parametrize(
    ("config", "quick"),
    [
        ('[url "{url}/"]\n\tinsteadOf = https://git.example.com/\n', True),
        ('[url "{url}/"]\n\tinsteadOf = https://git.example.com/\n[http]\n\tuserAgent = odd\n', False),
    ],
)
async def test_operators_settings_for_http_are_left_to_git(
    tmp_path: Path, server: GitServer, repository: Repository, config: str, quick: bool
) -> None:
    file = tmp_path / "gitconfig"
    file.write_text(config.format(url=server.url))
    git = Git(ActivitySettings(data_directory=tmp_path / "data", git_config_file=file))
    git.http = SmartHttp(git.command)
    remote = Remote("https://git.example.com/app.git")

    for _ in range(2):
        assert (await git.refs(remote)).head == repository.head()

    assert server.requests["GET info/refs"] == (1 if quick else 2)
    await git.http.aclose()


class _Host(BaseHTTPRequestHandler):
    """Answers every request with the server's answer, and notes cookies."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.cookies.append(self.headers.get("Cookie"))
        self.server.paths.append(self.path)
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
        pass


@pytest.fixture
def host() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    server.daemon_threads, server.block_on_close = True, False
    server.cookies, server.paths = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "answer",
    [
        (301, {"Location": "http://127.0.0.1:1/elsewhere"}, b""),
        (200, {"Content-Type": "text/html"}, b"<html>"),
        (200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b"<html>"),
        (200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b"ffffversion 2\n"),
        (200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b""),
    ],
)
async def test_odd_answers_are_left_to_git_and_cookies_are_not_kept(
    git: Git, host: Any, answer: tuple[int, dict[str, str], bytes]
) -> None:
    host.answer = answer[0], {**answer[1], "Set-Cookie": "session=1"}, answer[2]
    remote = Remote(f"http://127.0.0.1:{host.server_address[1]}/app.git")
    assert git.http is not None

    assert await git.http.refs(remote, ["HEAD"]) is None
    await git.http.refs(remote, ["HEAD"])

    assert set(host.cookies) == {None}
    assert set(host.paths) == {"/app.git/info/refs?service=git-upload-pack"}


async def test_listing_is_bounded(tmp_path: Path, repository: Repository) -> None:
    git = Git(ActivitySettings(data_directory=tmp_path, git_output_limit=100))
    git.http = SmartHttp(git.command)
    with pytest.raises(GitError, match="more than 100 bytes"):
        await asyncio.wait_for(git.refs(Remote(repository.url)), PATIENCE)
    await git.http.aclose()
