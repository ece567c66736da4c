"""Histories recorded from each release are replayed by the workflows as they are now, as a worker would."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from model.promotions import PromotionFinished, PromotionRequest
from tests.replay.histories import HISTORIES, read_history, recorded, texts
from tests.replay.record import version
from worker.sandbox import sandbox
from workflows.cluster import Cluster
from workflows.converter import data_converter
from workflows.discovery import Discovery
from workflows.fanout import FanOut
from workflows.preview import Preview
from workflows.project import Project
from workflows.promotion import Promotion
from workflows.stage import Stage
from workflows.verification import Verification
from workflows.warehouse import Warehouse

WORKFLOWS = (Cluster, Discovery, FanOut, Preview, Project, Promotion, Stage, Verification, Warehouse)


def kind_of(path: Path) -> str:
    """The type of the workflow that a history is of."""
    started = read_history(path).events[0].workflow_execution_started_event_attributes
    return str(started.workflow_type.name)


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}/{path.name.partition('.')[0]}")
async def test_workflows_do_what_their_histories_say(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=sandbox(WORKFLOWS), data_converter=data_converter())
    await replayer.replay_workflow(read_history(path))


def test_every_type_of_workflow_is_recorded() -> None:
    kinds = {kind_of(path) for path in recorded() if path.parent.name == version()}
    assert kinds == {kind.__name__ for kind in WORKFLOWS}, "run python -m tests.replay.record"


@workflow.defn(name="Promotion")
class Hasty(Promotion):
    """A Promotion of a later release that does something new, and doesn't guard it."""

    @workflow.run
    async def run(self, request: PromotionRequest) -> PromotionFinished:
        await workflow.sleep(1)
        return await super().run(request)


async def test_a_change_that_breaks_replay_is_noticed() -> None:
    replayer = Replayer(workflows=[Hasty], workflow_runner=UnsandboxedWorkflowRunner(), data_converter=data_converter())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(read_history(HISTORIES / version() / "promotion.json.gz"))


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}/{path.name.partition('.')[0]}")
def test_histories_do_not_tell_where_they_were_recorded(path: Path) -> None:
    own = re.compile(rf"(?<![\w.])/(?:home|root|tmp|work|Users|var)/\S*|\d+@{re.escape(socket.gethostname())}\b")
    found = texts(path)
    assert any(text.startswith("{") for text in found), "payloads were not read"
    assert [match[0] for text in found if (match := own.search(text))] == []
