"""What a person sees of a promotion that waits for people, and how they answer at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import yaml

from model.questions import Question, QuestionKind, Responder
from model.steps import StepRequest, StepResult, StepStatus
from starter.progress import Lines
from tests.starter.house import Rooms
from tests.starter.test_managing import applied
from tests.workflows.house import stage

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["ticket", "count"],
    "properties": {
        "ticket": {"type": "string", "pattern": "^OPS-"},
        "count": {"type": "integer"},
        "urgent": {"type": "boolean", "default": False},
    },
}


@pytest.fixture
def waits(house: Rooms) -> Iterator[tuple[str, str]]:
    """A Project, and a promotion in it that asks; what it asks is a test's to say before."""
    name = applied(house, stage("dev", steps=[{"uses": "work", "as": "ask"}, {"uses": "push"}]))
    freight = house.wait(house.house.discover("1.0.0"))
    started = house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name, "-o", "name")
    promotion = started.stdout.strip().rpartition("/")[2]

    async def asks() -> bool:
        return (await house.house.progress(promotion)).steps[0].question is not None

    house.wait(house.house.until(asks))
    yield name, promotion
    house.house.plays.pop("work")


@pytest.fixture
def approval(house: Rooms) -> None:
    _ask(house, QuestionKind.APPROVAL, [Responder(claim="groups", value="leads")])


@pytest.fixture
def values(house: Rooms) -> None:
    _ask(house, QuestionKind.INPUT, [], input_schema=SCHEMA, display="For the change record.")


def _ask(house: Rooms, kind: QuestionKind, responders: list[Responder], **given: Any) -> None:
    def ask(request: StepRequest) -> StepResult:
        question = Question(
            kind=kind, responders=responders, asked_by=request.context.actor, asked_at=request.started_at, **given
        )
        return StepResult(status=StepStatus.RUNNING, question=question, queue=house.task_queue)

    house.house.plays["work"] = ask


@pytest.mark.usefixtures("approval")
def test_what_waits_for_whom_is_shown_and_whoever_is_asked_approves(
    house: Rooms, waits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, promotion = waits
    in_project = ("-p", project)

    # The list is the server's index, which may be some milliseconds behind.
    while "ask: approval of groups leads" not in (house.run("get", "promotions", *in_project).stdout):
        assert "Running" in house.run("get", "promotion", promotion, *in_project).stdout
    shown = yaml.safe_load(house.run("get", "promotion", promotion, *in_project, "-o", "yaml").stdout)
    assert shown["status"]["waits"] == "ask waits for approval of groups leads"
    [step] = shown["status"]["stepExecutionMetadata"]
    assert step["question"]["kind"] == "approval"
    assert step["question"]["responders"] == [{"claim": "groups", "value": "leads"}]
    assert step["question"]["askedBy"] == "subject:tester"
    followed = StringIO()
    Lines(followed).show(house.wait(house.house.progress(promotion)))
    assert "dev: ask (work): Running: waits for approval of groups leads\n" in followed.getvalue()
    log = house.run("logs", "promotion", promotion, *in_project).stdout
    assert "by subject:tester" in log
    assert "waits for approval of groups leads" in log

    result = house.run("approve", "promotion", promotion, *in_project)
    assert result.exit_code == 1
    assert "subject:tester may not answer step ask: it asks groups leads" in result.stderr
    monkeypatch.setenv("TOWPATH_ACTOR_GROUPS", "qa, leads")
    result = house.run("approve", "promotion", promotion, *in_project, "--step", "push")
    assert "step push of Promotion" in result.stderr
    result = house.run("approve", "promotion", promotion, *in_project, "--reason", "looks fine")
    assert result.stdout == f"step ask of promotion {promotion} approved by subject:tester\n"
    assert house.wait(house.house.result(promotion)).phase == "Succeeded"
    shown = json.loads(house.run("get", "promotion", promotion, *in_project, "-o", "json").stdout)
    [response] = shown["status"]["state"]["ask"]["responses"]
    assert (response["user"], response["action"], response["message"]) == ("subject:tester", "approve", "looks fine")
    assert "waits" not in shown["status"]
    again = house.run("approve", "promotion", promotion, *in_project)
    assert again.exit_code == 1
    assert f"Promotion {promotion} is over already: Succeeded" in again.stderr


@pytest.mark.usefixtures("approval")
def test_a_rejection_ends_what_waits(house: Rooms, waits: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    project, promotion = waits
    monkeypatch.setenv("TOWPATH_ACTOR_GROUPS", "leads")
    result = house.run("reject", "promotion", promotion, "-p", project, "--reason", "not today")
    assert result.stdout == f"step ask of promotion {promotion} rejected by subject:tester\n"
    done = house.wait(house.house.result(promotion))
    assert done.phase == "Failed"
    assert done.message.endswith(": not today")


@pytest.mark.usefixtures("values")
def test_values_are_typed_as_the_schema_says_and_refused_where_they_do_not_fit(
    house: Rooms, waits: tuple[str, str]
) -> None:
    project, promotion = waits
    asked = house.run("answer", "promotion", promotion, "-p", project)
    assert asked.stdout.splitlines()[1:] == [
        "For the change record.",
        "  ticket (string, required)",
        "  count (integer, required)",
        "  urgent (boolean, default false)",
    ]
    wrong = house.run("answer", "promotion", promotion, "-p", project, "--set", "ticket=17", "--set", "count=many")
    assert wrong.exit_code == 1
    assert 'count: "many" is not of type "integer"; ticket: "17" does not match "^OPS-"' in wrong.stderr
    no_values = house.run("approve", "promotion", promotion, "-p", project)
    assert "towpath answer promotion" in no_values.stderr
    unread = house.run("answer", "promotion", promotion, "-p", project, "-f", "-", stdin="- a list")
    assert "expected one object of values" in unread.stderr
    assert house.run("answer", "promotion", promotion, "-p", project, "--set", "ticket").exit_code == 2
    given = house.run(
        "answer", "promotion", promotion, "-p", project, "-f", "-", "--set", "count=3", stdin="ticket: OPS-1\ncount: 1"
    )
    assert given.exit_code == 0, given.output
    assert house.wait(house.house.result(promotion)).phase == "Succeeded"
    shown = json.loads(house.run("get", "promotion", promotion, "-p", project, "-o", "json").stdout)
    output = shown["status"]["state"]["ask"]
    assert output["values"] == {"ticket": "OPS-1", "count": 3, "urgent": False}
    assert output["respondedBy"] == "subject:tester"


def test_approving_freight_stays_as_it_was(house: Rooms) -> None:
    assert "which `promotion`" in house.run("approve", "-p", "p", "--freight", "f").stderr
    assert "exactly one of" in house.run("approve", "-p", "p", "--stage", "s").stderr
    mixed = house.run("approve", "-p", "p", "--stage", "s", "promotion", "x")
    assert "don't go with promotion" in mixed.stderr


def test_channels_of_messages_are_applied_shown_and_deleted(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    slack = {"secretRef": {"name": "slack"}, "slack": {"channelID": "C1"}}
    mail = {"smtp": {"from": "towpath@example.com", "host": "mail.example.com", "port": 587}}

    def channel(kind: str, namespace: dict[str, str], spec: dict[str, Any]) -> str:
        metadata = {"name": f"{name}-team", **namespace}
        return yaml.safe_dump(
            {"apiVersion": "ee.kargo.akuity.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        )

    both = f"{channel('MessageChannel', {'namespace': name}, slack)}---\n{channel('ClusterMessageChannel', {}, mail)}"
    done = house.run("apply", "-f", "-", stdin=both)
    assert done.stdout == (
        f"clustermessagechannel.ee.kargo.akuity.io/{name}-team created\n"
        f"messagechannel.ee.kargo.akuity.io/{name}-team created\n"
    )
    assert house.run("apply", "-f", "-", "--dry-run", stdin=both).stdout.count("unchanged") == 2
    assert "slack" in house.run("get", "messagechannels", "-p", name).stdout
    assert f"{name}-team" in house.run("get", "clustermessagechannels").stdout
    shown = json.loads(house.run("get", "messagechannel", f"{name}-team", "-p", name, "-o", "json").stdout)
    assert (shown["apiVersion"], shown["spec"]) == ("ee.kargo.akuity.io/v1alpha1", slack)
    wrong = house.run("apply", "-f", "-", stdin=channel("MessageChannel", {"namespace": name}, {**slack, **mail}))
    assert "a channel needs exactly one of slack, smtp, http; this one has slack and smtp" in wrong.stderr
    assert house.run("delete", "messagechannel", f"{name}-team", "-p", name).exit_code == 0
    assert house.run("delete", "clustermessagechannel", f"{name}-team").exit_code == 0
    gone = house.run("get", "messagechannel", f"{name}-team", "-p", name)
    assert gone.exit_code == 1
    assert "not found" in gone.stderr
