"""Every manifest in the documents is one that Towpath takes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from activities.credentials import DirectoryCredentials
from tests.docs.manifests import errors_of
from tests.docs.pages import ROOT, Block, blocks, name, tracked

_SECRETS = {"Secret", "ConfigMap"}


def kinds(block: Block) -> set[str]:
    documents = yaml.safe_load_all(block.text)
    return {str(entry["kind"]) for entry in documents if isinstance(entry, dict) and "kind" in entry}


MANIFESTS = [block for block in blocks("yaml") if kinds(block) and not kinds(block) & _SECRETS]
CREDENTIALS = [block for block in blocks("yaml") if kinds(block) & _SECRETS]
EXAMPLES = [
    Block(name(path), "yaml", path.read_text())
    for path in tracked()
    if path.suffix == ".yaml" and path.is_relative_to(ROOT / "examples") and "manifests" in path.parts
]


def test_there_are_manifests_in_the_documents() -> None:
    assert MANIFESTS
    assert CREDENTIALS
    assert EXAMPLES


@pytest.mark.parametrize("block", [*MANIFESTS, *EXAMPLES], ids=lambda block: block.place)
async def test_manifests_are_valid(block: Block) -> None:
    assert await errors_of(block.text, block.place) == []


@pytest.mark.parametrize("block", CREDENTIALS, ids=lambda block: block.place)
def test_secrets_in_documents_are_read_by_the_worker(
    block: Block, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "shared").mkdir()
    file = tmp_path / "shared" / "example.yaml"
    file.write_text(block.text)
    file.chmod(0o600)
    credentials = DirectoryCredentials(tmp_path)
    with caplog.at_level(logging.WARNING):
        found = [
            credentials.secret("shared", entry["metadata"]["name"])
            or credentials.config_map("shared", entry["metadata"]["name"])
            for entry in yaml.safe_load_all(block.text)
        ]
    assert all(found)
    assert not caplog.records
