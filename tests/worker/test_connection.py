"""Where a client looks for Temporal, and what it says when nothing is there."""

from __future__ import annotations

import asyncio
import fcntl
import socket
from pathlib import Path

import pytest

from workflows import connection
from workflows.connection import USUAL_ADDRESS, ServerUnreachable, connect, reason, target
from workflows.record import ServerRecord, lock_file, read_record, running_server, write_record
from workflows.settings import ClientSettings, SettingsInvalid

RECORD = ServerRecord(address="127.0.0.1:4711", namespace="barge", pid=1, server_pid=2)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE", "TEMPORAL_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))


@pytest.fixture
def settings(tmp_path: Path) -> ClientSettings:
    return ClientSettings(data_directory=tmp_path)


def test_temporals_own_variables_come_first(settings: ClientSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "canal")
    found = target(settings)
    assert (found.address, found.namespace, found.local) == ("temporal.example:7233", "canal", False)


def test_a_profile_is_read(settings: ClientSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporal.toml").write_text('[profile.cloud]\naddress = "cloud.example:7233"\nnamespace = "c"\n')
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    assert target(settings).address == "cloud.example:7233"


def test_an_unknown_profile_is_named(settings: ClientSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "clowd")
    with pytest.raises(SettingsInvalid, match="clowd"):
        target(settings)


def test_a_running_server_of_this_machine_is_found(settings: ClientSettings, tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    with lock_file(tmp_path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = target(settings)
    assert (found.address, found.namespace, found.local) == ("127.0.0.1:4711", "barge", True)


def test_a_stale_record_is_not_believed(settings: ClientSettings, tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    lock_file(tmp_path).touch()
    assert read_record(tmp_path) == RECORD
    assert running_server(tmp_path) is None
    assert target(settings).address == USUAL_ADDRESS


def test_a_damaged_record_is_no_record(settings: ClientSettings, tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{")
    with lock_file(tmp_path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert target(settings).address == USUAL_ADDRESS


def unused_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_no_server_says_where_and_what_to_do(settings: ClientSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    address = unused_address()
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(ServerUnreachable, match=rf"{address}: connection refused.*`towpath up`") as caught:
        await connect(settings)
    assert caught.value.address == address


async def test_a_server_that_never_answers_is_given_up(
    settings: ClientSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(ServerUnreachable, match="no answer within"):
            await connect(settings)


async def test_something_else_on_the_port_is_told_apart(
    settings: ClientSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(24)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ServerUnreachable, match="not a Temporal server"):
            await connect(settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('ConnectError("dns error", Custom { error: "failed to lookup" })', "there is no host of that name"),
        ('Status { code: Unauthenticated, message: "Request unauthorized." }', "it refuses the credentials"),
        ("invalid peer certificate: UnknownIssuer", "the TLS connection can't be made"),
        ('Status { code: Unknown, message: "the canal is frozen" }', "the canal is frozen"),
    ],
)
def test_errors_of_the_sdk_are_put_into_words(text: str, words: str) -> None:
    assert reason(text).startswith(words)
