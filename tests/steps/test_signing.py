"""Signed commits and tags, with a real gpg."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps.registry import StepErrored, StepFailed
from examples.world.git_server import GitServer, Repository
from tests.steps.bench import Bench
from tests.steps.test_github_push import World, world  # noqa: F401  # a fixture

pytestmark = pytest.mark.skipif(
    not shutil.which("gpg"), reason="gpg is not on PATH: that commits are signed is NOT tested"
)

BOT = {"name": "Bot", "email": "bot@example.com"}


@dataclass
class Gpg:
    """A keyring of the test's, for making keys and for verifying."""

    home: str

    def run(self, *args: str) -> str:
        command = ["gpg", "--homedir", self.home, "--batch", "--quiet", "--pinentry-mode", "loopback", *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def key(self, who: str, passphrase: str = "") -> str:
        options = ["--passphrase", passphrase]
        self.run(*options, "--faked-system-time", "20200101T000000", "--quick-gen-key", who, "ed25519", "sign", "never")
        return self.run(*options, "--armor", "--export-secret-keys", f"={who}")

    def verified(self, repository: Repository, kind: str, name: str) -> bool:
        """Whether Git, asking this keyring, finds a good signature."""
        environment = {"GNUPGHOME": self.home, "PATH": os.environ["PATH"]}
        command = ["git", "-C", str(repository.path), f"verify-{kind}", name]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    home = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")
    yield Gpg(home)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def key(gpg: Gpg) -> str:
    return gpg.key("Bot <bot@example.com>")


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return server.repository("guestbook", {"a.yaml": "a: 1\n"})


async def cloned(bench: Bench, repository: Repository, **author: Any) -> None:
    given = {"author": {**BOT, **author}} if author else {}
    config = {"repoURL": repository.url, "checkout": [{"branch": "main", "path": "src"}], **given}
    await bench.run("git-clone", config)


async def committed(bench: Bench, text: str = "a: 2\n", **config: Any) -> str:
    bench.write("src/a.yaml", text)
    return str((await bench.run("git-commit", {"path": "src", "message": "change", **config}))["commit"])


def exposed(bench: Bench) -> list[Path]:
    """Where a key might be read by others, or lies though nobody needs it."""
    keyrings = list(bench.workspace.parent.rglob("keyring"))
    open_ones = [path for path in keyrings if path.stat().st_mode & 0o077]
    return [*Path(tempfile.gettempdir()).glob("towpath-gpg-*"), *open_ones, *bench.workspace.rglob("*.key")]


async def test_commits_and_tags_are_signed_and_pushed(
    outside: Outside, repository: Repository, gpg: Gpg, key: str
) -> None:
    bench = Bench(outside)
    await cloned(bench, repository, signingKey=key)
    commit = await committed(bench)
    await bench.run("git-tag", {"path": "src", "tag": "v1", "message": "one"})
    assert (await bench.run("git-push", {"path": "src"}))["commit"] == commit
    await bench.run("git-push", {"path": "src", "tag": "v1"})
    assert gpg.verified(repository, "commit", commit)
    assert gpg.verified(repository, "tag", "v1")
    assert repository.git("log", "-1", "--format=%an <%ae> %cn", commit) == "Bot <bot@example.com> Bot"
    assert exposed(bench) == []


async def test_a_rebuild_gives_the_same_signed_commit(
    tmp_path: Path, repository: Repository, gpg: Gpg, key: str
) -> None:
    made = []
    for host in ("one", "two"):
        settings = ActivitySettings(data_directory=tmp_path / host, allow_credentials_over_http=True)
        bench = Bench(open_outside(settings))
        await cloned(bench, repository, signingKey=key)
        commit = await committed(bench)
        made.append((commit, await bench.run("git-tag", {"path": "src", "tag": "v1", "message": "one"})))
    assert made[0] == made[1]


async def test_integrating_signs_anew(outside: Outside, repository: Repository, gpg: Gpg, key: str) -> None:
    bench = Bench(outside)
    await cloned(bench, repository, signingKey=key)
    first = await committed(bench)
    repository.commit({"b.yaml": "b: 1\n"}, "meanwhile")
    pushed = (await bench.run("git-push", {"path": "src"}))["commit"]
    assert pushed != first
    assert gpg.verified(repository, "commit", pushed)
    assert repository.log("main")[:2] == ["change", "meanwhile"]


@pytest.mark.parametrize(
    ("signed", "with_key", "policy", "comes_out"),
    [
        (True, True, "RebaseOrMerge", "rebased"),
        (False, True, "RebaseOrMerge", "merged"),
        (False, True, "RebaseOrFail", "failed"),
        (True, False, "RebaseOrMerge", "merged"),
        (False, False, "RebaseOrFail", "rebased"),
    ],
)
async def test_a_rebase_neither_takes_a_signature_nor_gives_one(
    tmp_path: Path,
    repository: Repository,
    gpg: Gpg,
    key: str,
    signed: bool,
    with_key: bool,
    policy: Any,
    comes_out: str,
) -> None:
    settings = ActivitySettings(
        data_directory=tmp_path / "data", allow_credentials_over_http=True, git_push_integration_policy=policy
    )
    bench = Bench(open_outside(settings))
    await cloned(bench, repository, **({"signingKey": key} if with_key else {"name": "Bot"}))
    await committed(bench, author={**BOT, **({"signingKey": key} if signed else {})})
    repository.commit({"b.yaml": "b: 1\n"}, "meanwhile")
    if comes_out == "failed":
        with pytest.raises(StepFailed, match="signature"):
            await bench.run("git-push", {"path": "src"})
        return
    pushed = (await bench.run("git-push", {"path": "src"}))["commit"]
    parents = repository.git("log", "-1", "--format=%P", pushed).split()
    assert len(parents) == (2 if comes_out == "merged" else 1)
    assert gpg.verified(repository, "commit", pushed) == with_key


@pytest.mark.parametrize("author", ["Bot", "Ada"])
async def test_github_signs_anew_what_the_key_had_signed(world: World, key: str, author: str) -> None:  # noqa: F811
    bench = Bench(world.outside())
    await cloned(bench, world.repository, name=author, signingKey=key)
    commit = await committed(bench)
    output = await bench.run("github-push", {"path": "src"})
    assert output["commit"] != commit
    shown = world.repository.git("log", "-1", "--format=%an|%(trailers:key=Co-authored-by,valueonly)")
    assert shown == ("app[bot]|" if author == "Bot" else "app[bot]|Ada <bot@example.com>")


async def test_the_workers_key_signs_where_no_author_is_named(
    tmp_path: Path, repository: Repository, gpg: Gpg, key: str
) -> None:
    (tmp_path / "key.asc").write_text(key)
    settings = ActivitySettings(
        data_directory=tmp_path / "data", git_signing_key_file=tmp_path / "key.asc", allow_credentials_over_http=True
    )
    bench = Bench(open_outside(settings))
    await cloned(bench, repository)
    commit = await committed(bench)
    await bench.run("git-push", {"path": "src"})
    assert gpg.verified(repository, "commit", commit)
    other = Bench(bench.outside, "dev.2.abc")
    await cloned(other, repository, name="Bot")
    commit = await committed(other, "a: 3\n")
    await other.run("git-push", {"path": "src"})
    assert not gpg.verified(repository, "commit", commit)


async def test_a_key_of_one_commit_is_removed_after_it(
    outside: Outside, repository: Repository, gpg: Gpg, key: str
) -> None:
    bench = Bench(outside)
    await cloned(bench, repository)
    commit = await committed(bench, author={**BOT, "signingKey": key})
    assert list(bench.workspace.parent.rglob("keyring")) == []
    await bench.run("git-push", {"path": "src"})
    assert gpg.verified(repository, "commit", commit)


@pytest.mark.parametrize("kind", ["no key", "a public key", "a passphrase"])
async def test_a_key_that_cannot_sign_is_refused_and_not_shown(
    outside: Outside, repository: Repository, gpg: Gpg, key: str, kind: str
) -> None:
    given = {
        "no key": lambda: "-----BEGIN PGP PRIVATE KEY BLOCK-----\nnonsense\n-----END PGP PRIVATE KEY BLOCK-----\n",
        "a public key": lambda: gpg.run("--armor", "--export", "=Bot <bot@example.com>"),
        "a passphrase": lambda: gpg.key("Locked <locked@example.com>", "open sesame"),
    }[kind]()
    bench = Bench(outside)
    with pytest.raises(StepErrored, match="passphrase" if kind == "a passphrase" else "no private GPG key") as caught:
        await cloned(bench, repository, signingKey=given)
    assert caught.value.final
    assert given.splitlines()[2] not in str(caught.value)
    assert exposed(bench) == []


async def test_without_gpg_the_step_says_so(
    outside: Outside, repository: Repository, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "git")
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Exception, match="gpg is not installed on this worker"):
        await cloned(Bench(outside), repository, signingKey=key)
