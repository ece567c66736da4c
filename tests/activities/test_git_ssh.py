"""Git over SSH, against a real SSH server: whose key opens, whose host key is believed, and what is left behind."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.credentials import Credential
from activities.git import ssh
from activities.git.errors import AuthenticationRefused, GitError, HostKeyRefused, RepositoryNotFound, TransportRefused
from activities.git.mirrors import Git
from activities.git.refs import Remote
from activities.outside import open_outside
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer
from tests.ssh_host import SshHost, locked_key, private_key, ssh_host
from tests.steps.bench import Bench

pytestmark = pytest.mark.skipif(
    shutil.which("ssh") is None, reason="Git over SSH needs OpenSSH's client: install openssh-client"
)


@pytest.fixture
def server() -> Iterator[GitServer]:
    with GitServer() as server:
        yield server


@pytest.fixture
def host(server: GitServer) -> Iterator[SshHost]:
    server.repository("app", {"a.yaml": "a: 1\n"})
    with ssh_host(server.root) as host:
        yield host


def git_of(data: Path, **settings: object) -> Git:
    return Git(ActivitySettings.model_validate({"data_directory": data, **settings}))


def credential(host: SshHost, **changes: str) -> Credential:
    return Credential(**{"secret": "deploy-key", "ssh_private_key": host.private_key, **changes})


async def test_a_key_opens_the_repository_and_is_gone_afterwards(tmp_path: Path, host: SshHost) -> None:
    git = git_of(tmp_path)
    refs = await git.refs(Remote(host.url("app"), credential(host)))

    await git.fetched(Remote(host.url("app"), credential(host)), [refs.head])

    assert refs.default == "main"
    assert [command.partition(" ")[0] for command in host.commands] == ["git-upload-pack"] * 2
    assert list((tmp_path / "ssh").glob("key-*")) == []


async def test_the_keys_file_is_its_owners_alone_while_git_runs(tmp_path: Path, host: SshHost) -> None:
    settings = ActivitySettings(data_directory=tmp_path)
    async with ssh.Ssh(settings).command("app", credential(host)):
        (directory,) = (tmp_path / "ssh").glob("key-*")
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "key")]
    assert modes == [0o700, 0o600]


async def test_what_a_killed_worker_left_is_deleted(tmp_path: Path, host: SshHost) -> None:
    left = tmp_path / "ssh" / "key-left"
    left.mkdir(parents=True)
    git = git_of(tmp_path, git_transfer_timeout=0.0001, git_timeout=0.0001)
    with pytest.raises(GitError):
        await git.refs(Remote(host.url("app"), credential(host)))
    assert not left.exists()


async def test_the_first_host_key_is_remembered_and_no_other_believed(tmp_path: Path, server: GitServer) -> None:
    server.repository("app", {"a.yaml": "a: 1\n"})
    git = git_of(tmp_path)
    with ssh_host(server.root) as host:
        await git.refs(Remote(host.url("app"), credential(host)))
    known = tmp_path / "ssh" / "known_hosts"
    with ssh_host(server.root) as other:
        known.write_text(known.read_text().replace(f":{host.port} ", f":{other.port} "))
        with pytest.raises(HostKeyRefused, match="its host key is another one than it was"):
            await git.refs(Remote(other.url("app"), credential(other)))


async def test_strict_believes_what_the_operator_or_the_secret_names(tmp_path: Path, host: SshHost) -> None:
    remote = Remote(host.url("app"), credential(host))
    file = tmp_path / "the operator's known hosts"
    file.write_text(host.known_hosts)
    with pytest.raises(HostKeyRefused, match="TOWPATH_GIT_SSH_KNOWN_HOSTS_FILE, or to the Secret as sshKnownHosts"):
        await git_of(tmp_path, git_ssh_host_keys="Strict").refs(remote)

    assert (await git_of(tmp_path, git_ssh_host_keys="Strict", git_ssh_known_hosts_file=file).refs(remote)).head
    told = Remote(host.url("app"), credential(host, ssh_known_hosts=host.known_hosts))
    assert (await git_of(tmp_path, git_ssh_host_keys="Strict").refs(told)).head


async def test_what_the_secret_says_of_host_keys_counts_alone(tmp_path: Path, host: SshHost) -> None:
    wrong = host.known_hosts.replace("127.0.0.1", "192.0.2.1")
    with pytest.raises(HostKeyRefused):
        await git_of(tmp_path).refs(Remote(host.url("app"), credential(host, ssh_known_hosts=wrong)))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("hello", "is not a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "can't be read"),
        (private_key(), "access was refused with the credentials of Secret deploy-key"),
        ("", "holds no sshPrivateKey"),
    ],
    ids=["no key", "damaged", "another key", "password"],
)
async def test_a_key_that_does_not_open_says_why(tmp_path: Path, host: SshHost, key: str, says: str) -> None:
    with pytest.raises(AuthenticationRefused, match=says) as caught:
        await git_of(tmp_path).refs(Remote(host.url("app"), credential(host, ssh_private_key=key, password="hidden")))
    assert "PRIVATE KEY-----\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["OpenSSH", "PEM", "PKCS8"])
async def test_a_key_with_a_passphrase_says_so(tmp_path: Path, host: SshHost, form: str) -> None:
    locked = credential(host, ssh_private_key=locked_key(tmp_path, form))
    with pytest.raises(AuthenticationRefused, match=r"Secret deploy-key: .* has a passphrase.*ssh-keygen -p"):
        await git_of(tmp_path).refs(Remote(host.url("app"), locked))


async def test_windows_line_ends_in_a_key_do_not_matter(tmp_path: Path, host: SshHost) -> None:
    key = host.private_key.strip().replace("\n", "\r\n")
    assert (await git_of(tmp_path).refs(Remote(host.url("app"), credential(host, ssh_private_key=key)))).head


async def test_a_repository_that_is_not_there_is_told_from_one_that_is_closed(tmp_path: Path, host: SshHost) -> None:
    with pytest.raises(RepositoryNotFound):
        await git_of(tmp_path).refs(Remote(host.url("gone"), credential(host)))


async def test_a_key_does_not_open_https(tmp_path: Path) -> None:
    with pytest.raises(AuthenticationRefused, match="which opens ssh:// addresses alone"):
        await git_of(tmp_path).refs(
            Remote("https://127.0.0.1:1/app.git", Credential("deploy-key", ssh_private_key="k"))
        )


async def test_without_an_ssh_client_the_error_names_it(
    tmp_path: Path, host: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(GitError, match="ssh is not installed on this worker"):
        await git_of(tmp_path).refs(Remote(host.url("app"), credential(host)))


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-oProxyCommand=touch/app.git",
        "ssh://git@-oProxyCommand=touch/app.git",
        "-oProxyCommand=touch:app.git",
        "git@-oProxyCommand=touch:app.git",
        "ssh://git:word@127.0.0.1/app.git",
        "git@127.0.0.1:-app.git",
    ],
)
def test_an_address_that_could_be_an_option_is_refused(url: str) -> None:
    with pytest.raises(TransportRefused):
        Remote(url)


@pytest.mark.parametrize("short", [False, True], ids=["ssh://", "git@host:path"])
async def test_clone_commit_and_push_over_ssh(tmp_path: Path, server: GitServer, host: SshHost, short: bool) -> None:
    url, config = host.url("app"), {}
    if short:
        # The short form knows no ports: this is how an operator has it go to another one.
        url = "git@git.example.com:app.git"
        file = tmp_path / "gitconfig"
        file.write_text(f'[url "{host.url("")[:-5]}/"]\n\tinsteadOf = git@git.example.com:\n')
        config = {"git_config_file": file}
    secrets = tmp_path / "credentials" / "guestbook"
    secrets.mkdir(parents=True)
    key = "\n    ".join(host.private_key.splitlines())
    (secrets / "key.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: deploy-key\n  labels: {kargo.akuity.io/cred-type: git}\n"
        f"stringData:\n  repoURL: {url.removesuffix('.git')}\n  sshPrivateKey: |\n    {key}\n"
    )
    (secrets / "key.yaml").chmod(0o600)
    settings = {"data_directory": tmp_path / "data", "credentials_directory": tmp_path / "credentials", **config}
    bench = Bench(open_outside(ActivitySettings.model_validate(settings)))
    await bench.run("git-clone", {"repoURL": url, "checkout": [{"branch": "main", "path": "src"}]})
    bench.write("src/a.yaml", "a: 2\n")
    await bench.run("git-commit", {"path": "src", "message": "Over SSH"})

    output = await bench.run("git-push", {"path": "src"})

    assert output["commit"] == server_head(server)


def server_head(server: GitServer) -> str:
    return (server.root / "app.git" / "refs" / "heads" / "main").read_text().strip()
