"""What the worker logs can be read by people and programs, and holds no secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from activities.mask import Mask, remember
from worker.log import configure


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("the token is canal-token-1", "the token is ***"),
        ("GET https://barge:canal-word@git.example/repo", "GET https://***@git.example/repo"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic YTpi'}", "{'authorization': 'Basic ***'}"),
        ("see https://git.example:8443/repo", "see https://git.example:8443/repo"),
    ],
)
def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], message: str, kept: str) -> None:
    configure(secrets=["canal-token-1"])
    logging.getLogger("towpath.worker").info("%s", message)
    assert capsys.readouterr().err.rstrip().endswith(f"INFO    towpath.worker: {kept}")


def test_secrets_in_tracebacks_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure(form="json", secrets=["canal-token-1"])
    try:
        raise ValueError("refused: canal-token-1")
    except ValueError:
        logging.getLogger("towpath.worker").exception("it failed")
    text = capsys.readouterr().err
    assert "canal-token-1" not in text
    assert "ValueError: refused: ***" in json.loads(text)["error"]


def test_what_a_step_read_as_a_secret_is_masked_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    with Mask().collecting():
        remember("canal-word")
        logging.getLogger("towpath.worker").warning("cloning with canal-word")
    assert "cloning with ***" in capsys.readouterr().err


def test_json_lines_say_which_run_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure(form="json")
    about = {"activity_type": "git-clone", "workflow_id": "promotion/p/dev.1.2", "namespace": "default"}
    logging.getLogger("temporalio.activity").warning("slow", extra={"temporal_activity": about})
    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "temporalio.activity", "slow")
    assert (entry["activity_type"], entry["workflow_id"]) == ("git-clone", "promotion/p/dev.1.2")


def test_libraries_are_heard_only_when_they_warn(capsys: pytest.CaptureFixture[str]) -> None:
    configure("DEBUG")
    logging.getLogger("httpx").info("GET /")
    logging.getLogger("towpath.worker").debug("hello")
    assert "GET /" not in (text := capsys.readouterr().err)
    assert "hello" in text
