"""The page about the architecture names the workflows, their ids and their messages as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from model import names
from tests.docs.pages import ROOT
from workflows.cluster import Cluster
from workflows.discovery import Discovery
from workflows.fanout import FanOut
from workflows.preview import Preview
from workflows.project import Project
from workflows.promotion import Promotion
from workflows.stage import Stage
from workflows.verification import Verification
from workflows.warehouse import Warehouse

PAGE = (ROOT / "docs" / "architecture.md").read_text()
RUN = "{stage}.{ulid}.{freight[:7]}"
WORKFLOWS: dict[type, str] = {
    Cluster: names.CLUSTER,
    Project: names.project_id("{project}"),
    Warehouse: names.warehouse_id("{project}", "{name}"),
    Stage: names.stage_id("{project}", "{name}"),
    Discovery: names.discovery_id("{project}", "{warehouse}"),
    Promotion: names.promotion_id("{project}", RUN),
    Verification: names.verification_id("{project}", RUN.replace("freight", "collection")),
    FanOut: names.fanout_id("{project}", RUN),
    Preview: names.preview_id("{project}", RUN),
}


def rows(name: str) -> list[list[str]]:
    """The cells of all rows of tables that begin with this workflow's name."""
    found = re.findall(rf"^\| `{name}` \|(.*)\|$", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in found]


@pytest.mark.parametrize("kind", WORKFLOWS, ids=lambda kind: kind.__name__)
def test_ids_and_messages_of_workflows_are_those_of_the_page(kind: type) -> None:
    owns, messages = rows(kind.__name__)
    assert f"`{WORKFLOWS[kind]}`" in owns[0]
    definition: Any = vars(kind)["__temporal_workflow_definition"]
    for cell, defined in zip(messages, (definition.signals, definition.updates, definition.queries), strict=True):
        assert sorted(re.findall(r"`(\w+)`", cell)) == sorted(defined)


def test_every_workflow_stands_on_the_page() -> None:
    files = {path.stem for path in (ROOT / "workflows").glob("*.py") if "@workflow.defn" in path.read_text()}
    assert files == {kind.__module__.rpartition(".")[2] for kind in WORKFLOWS}


def test_every_room_stands_on_the_page() -> None:
    contract = (ROOT / "pyproject.toml").read_text().partition("root_packages = [")[2].partition("]")[0]
    assert set(re.findall(r'"(\w+)"', contract)) == set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE))
