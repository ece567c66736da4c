"""The step send-message: Slack, mail and HTTP, against servers on loopback."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.mask import Mask, remember
from activities.messages.delivery import MAX_MESSAGE
from activities.project_state import ProjectState
from activities.settings import ActivitySettings
from activities.steps.catalog import load_steps
from activities.steps.check import problems_of
from activities.steps.registry import STEPS, NotYet, StepContext, StepErrored, StepFailed
from model.admission.message_channel import check_message_channel
from model.findings import Finding
from model.resources import MessageChannel
from tests.steps.contexts import run_step, step_context
from tests.steps.mail_server import MailServer, certificate
from tests.steps.test_http import Site, site
from tests.workflows.house import house, project

__all__ = ["site"]

load_steps()

TOKEN = "the-token-of-the-channel"
SECRETS = {
    "slack": {"apiKey": TOKEN},
    "bearer": {"bearerToken": TOKEN},
    "raw": {"authorization": f"Custom {TOKEN}"},
    "mail": {"username": "towpath", "password": TOKEN},
    "other": {"unrelated": "x"},
}
SLACK = {"slack": {"channelID": "C1"}, "secretRef": {"name": "slack"}}


class Channels:
    """What a Project and the cluster hold; nothing else is asked of them here."""

    def __init__(self, **specs: dict[str, Any]) -> None:
        self.specs = specs

    async def message_channel(self, project: str, name: str) -> dict[str, Any] | None:
        spec = self.specs.get(name)
        return None if spec is None or (name == "all") is bool(project) else {"spec": spec}


class Secrets:
    """Of Project demo and of the cluster."""

    def secret(self, place: str, name: str) -> dict[str, str] | None:
        found = SECRETS.get(name) if place in ("demo", "_cluster") else None
        return found and {key: remember(value) for key, value in found.items()}


def context_of(tmp_path: Path, site: Site | None = None, *, repeated: bool = False, **specs: Any) -> StepContext:
    mirrors = {"https://slack.com": site.url, "https://hooks.example.com": site.url} if site else {}
    outside = SimpleNamespace(
        settings=ActivitySettings(http_mirrors=mirrors), state=Channels(**specs), credentials=Secrets()
    )
    return step_context(tmp_path, outside=outside, repeated=repeated, alias="task-1::tell")


def told(name: str = "c", kind: str = "MessageChannel", **config: Any) -> dict[str, Any]:
    return {"channel": {"kind": kind, "name": name}, "message": "hello", **config}


async def send(context: StepContext, **config: Any) -> dict[str, Any]:
    return await run_step("send-message", told(**config), context)


# Slack


async def test_slack_gets_the_message_and_says_its_thread(site: Site, tmp_path: Path) -> None:
    site.answer("/api/chat.postMessage", {"ok": True, "ts": "1700000000.000100"})
    context = context_of(tmp_path, site, c=SLACK)
    mask = Mask()
    with mask.collecting():
        assert await send(context) == {"slack": {"threadTS": "1700000000.000100"}}
    [request] = site.requests
    assert request["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert json.loads(request["body"]) == {"channel": "C1", "text": "hello"}
    assert TOKEN not in mask.text(f"said {TOKEN}")
    answer = await send(context, slack={"channelID": "C2", "threadTS": "17.1"})
    assert answer == {"slack": {"threadTS": "17.1"}}
    assert json.loads(site.requests[1]["body"]) == {"channel": "C2", "text": "hello", "thread_ts": "17.1"}


async def test_an_encoded_message_has_slacks_own_fields(site: Site, tmp_path: Path) -> None:
    site.answer("/api/chat.postMessage", {"ok": True, "ts": "1"})
    context = context_of(tmp_path, site, c=SLACK)
    text = "blocks: [{type: divider}]\nicon_emoji: ':fire:'\nicon_url: https://example.com/i.png\nchannel: C9\n"
    await send(context, message=text, encodingType="yaml", slack={"channelID": "C2"})
    assert json.loads(site.requests[0]["body"]) == {
        "channel": "C9",
        "blocks": [{"type": "divider"}],
        "icon_emoji": ":fire:",
    }
    assert context.warnings == ["slack is not read: with encodingType"]
    for message, encoding, reason in (
        ("{", "json", "it is not JSON"),
        ("[1]", "json", "must be an object"),
        ("token: x", "yaml", "unknown field token"),
        ("text: 3", "yaml", "must be texts"),
    ):
        with pytest.raises(StepFailed, match=reason):
            await send(context, message=message, encodingType=encoding)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        ("channel_not_found", StepFailed, "give the channel's ID"),
        ("not_in_channel", StepFailed, "invite the app"),
        ("invalid_blocks", StepFailed, "invalid_blocks"),
        ("invalid_auth", StepErrored, "refused the token"),
        ("internal_error", StepErrored, "in trouble"),
        ("ratelimited", NotYet, "takes no more for now"),
    ],
)
async def test_what_slack_refuses_is_told(
    site: Site, tmp_path: Path, error: str, raised: type[Exception], reason: str
) -> None:
    site.answer("/api/chat.postMessage", {"ok": False, "error": error})
    with pytest.raises(raised, match=reason):
        await send(context_of(tmp_path, site, c=SLACK))


async def test_slack_is_left_alone_for_as_long_as_it_asks(site: Site, tmp_path: Path) -> None:
    for header, pause in (({"Retry_After": "7"}, 7), ({}, 30), ({"Retry_After": "86400"}, 3600)):
        site.answer("/api/chat.postMessage", b"", 429, **header)
        with pytest.raises(NotYet) as waiting:
            await send(context_of(tmp_path, site, c=SLACK))
        assert waiting.value.after == timedelta(seconds=pause)


@pytest.mark.parametrize("status", [200, 302, 503])
async def test_an_answer_that_is_not_slacks_is_an_error(site: Site, tmp_path: Path, status: int) -> None:
    site.answer("/api/chat.postMessage", b"<html>", status, Content_Type="text/html", Location="/elsewhere")
    with pytest.raises(StepErrored, match=f"HTTP {status} with text/html, not with JSON"):
        await send(context_of(tmp_path, site, c=SLACK))
    # Nothing with the token in it went anywhere else.
    assert len(site.requests) == 1


# What is the same for all


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"name": "nowhere"}, "there is no MessageChannel nowhere in Project demo: apply it"),
        ({"name": "c", "kind": "ClusterMessageChannel"}, "there is no ClusterMessageChannel c"),
        ({"name": "lacking"}, "there is no Secret gone in the worker's credentials of demo"),
        ({"name": "wrong"}, "its Secret has no apiKey"),
    ],
)
async def test_what_is_not_there_is_named(tmp_path: Path, config: dict[str, Any], reason: str) -> None:
    lacking = {**SLACK, "secretRef": {"name": "gone"}}
    wrong = {**SLACK, "secretRef": {"name": "other"}}
    with pytest.raises(StepErrored, match=reason):
        await send(context_of(tmp_path, c=SLACK, lacking=lacking, wrong=wrong), **config)


async def test_a_message_whose_worker_was_lost_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    with pytest.raises(StepErrored, match=r"nobody knows whether that arrived.*retry\.errorThreshold") as error:
        await send(context_of(tmp_path, site, repeated=True, c=SLACK))
    # Where retries are configured, the next attempt sends.
    assert not error.value.final
    assert site.requests == []


async def test_a_channel_of_the_cluster_has_the_clusters_secret(site: Site, tmp_path: Path) -> None:
    site.answer("/api/chat.postMessage", {"ok": True, "ts": "1"})
    await send(context_of(tmp_path, site, all=SLACK), name="all", kind="ClusterMessageChannel")
    assert site.requests[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, ""),
        ({"message": "x" * (MAX_MESSAGE + 1)}, "at most"),
        ({"message": {"text": "x"}}, "message: "),
        ({"encodingType": "xml"}, "xml is not supported yet"),
        ({"smtp": {"to": ["a@example.com"] * 51}}, "at most 50 recipients"),
        ({"slack": {"channel": "C1"}}, "unknown field"),
        ({"channel": {"kind": "Channel", "name": "c"}}, "channel.kind"),
    ],
)
def test_configs_are_checked(config: dict[str, Any], problem: str) -> None:
    problems = "; ".join(problems_of(STEPS["send-message"], {**told(), **config}, templates=True))
    assert problem in problems
    assert bool(problems) == bool(problem)


async def test_the_channel_is_the_one_that_was_applied_last(
    time_skipping: WorkflowEnvironment, site: Site, tmp_path: Path
) -> None:
    site.answer("/api/chat.postMessage", {"ok": True, "ts": "1"})
    async with house(time_skipping) as h:
        outside = SimpleNamespace(
            settings=ActivitySettings(http_mirrors={"https://slack.com": site.url}),
            state=ProjectState(h.client),
            credentials=Secrets(),
        )
        h.project = "demo"
        await h.apply(project("demo"))
        context = step_context(tmp_path, outside=outside)
        with pytest.raises(StepErrored, match="there is no MessageChannel team in Project demo: apply it"):
            await send(context, name="team")
        for channel_id in ("C1", "C2"):
            spec = {"slack": {"channelID": channel_id}, "secretRef": {"name": "slack"}}
            await h.apply({"kind": "MessageChannel", "metadata": {"name": "team"}, "spec": spec})
            await send(context, name="team")
    assert [json.loads(request["body"])["channel"] for request in site.requests] == ["C1", "C2"]


# Mail


def smtp(server: MailServer, **changes: Any) -> dict[str, Any]:
    return {
        "smtp": {"from": "towpath@example.com", "host": "127.0.0.1", "port": server.port, "useTLS": False, **changes}
    }


async def test_a_mail_is_sent_to_the_first_and_copied_to_the_others(tmp_path: Path) -> None:
    async with MailServer(login=f"towpath {TOKEN}") as server:
        channel = {**smtp(server, to=["a@example.com", "B <b@example.com>"]), "secretRef": {"name": "mail"}}
        context = context_of(tmp_path, c=channel)
        await send(context, message="Grüße\n.\n", slack={"channelID": "C1"})
        html = {"to": "c@example.com", "subject": "Déployé 🚀", "html": True}
        await send(context, message="<b>hello</b>", smtp=html)
        fields = {"subject": "S", "body": "B", "to": ["d@example.com"], "html": False}
        await send(context, message=json.dumps(fields), encodingType="json")
    plain, rich, encoded = server.mails
    assert (plain["From"], plain["To"], plain["Cc"]) == ("towpath@example.com", "a@example.com", "B <b@example.com>")
    assert plain["Subject"] == f"Promotion {context.promotion} of Project demo"
    assert plain["Message-ID"] == f"<{context.promotion}.task-1.tell@demo.towpath>"
    assert plain["Date"].datetime == context.started_at
    assert plain.get_content().splitlines()[:2] == ["Grüße", "."]
    assert (rich["To"], rich["Subject"], rich.get_content_type()) == ("c@example.com", "Déployé 🚀", "text/html")
    assert (encoded["Subject"], encoded.get_content().strip()) == ("S", "B")
    assert server.recipients == ["a@example.com", "b@example.com", "c@example.com", "d@example.com"]
    assert context.warnings == ["slack is not read: MessageChannel c is of another kind"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"to": "a@example.com\r\nBcc: everybody@example.com"}, "line break"),
        ({"to": "a@example.com", "subject": "x\r\nBcc: everybody@example.com"}, "line break"),
        ({"to": "nobody"}, "is not a mail address"),
        ({"to": "a@example.com,b@example.com"}, "is not a mail address"),
        ({"to": "a@example.com", "subject": "x" * 501}, "at most 500"),
        ({}, "nobody gets it"),
    ],
)
async def test_nothing_becomes_another_header(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    async with MailServer() as server:
        with pytest.raises(StepFailed, match=reason):
            await send(context_of(tmp_path, c=smtp(server)), smtp=options)
        assert server.commands == []


@pytest.mark.parametrize(
    ("answers", "raised", "reason"),
    [
        ({"RCPT TO:<A@": "550 no such user"}, StepFailed, "no recipient was taken: 550 no such user"),
        ({"RCPT TO:<A@": "451 later"}, StepErrored, "451 later"),
        ({"MAIL FROM": "553 not you"}, StepFailed, "553 not you"),
        ({"DATA": "554 spam"}, StepFailed, "554 spam"),
        ({"DATA": "421 busy"}, StepErrored, "421 busy"),
        ({"AUTH": "535 no"}, StepErrored, "user or password refused"),
    ],
)
async def test_what_the_mail_server_refuses_is_told(
    tmp_path: Path, answers: dict[str, str], raised: type[Exception], reason: str
) -> None:
    async with MailServer(login="x", answers=answers) as server:
        channel = {**smtp(server, to=["a@example.com"]), "secretRef": {"name": "mail"}}
        if "AUTH" not in answers:
            channel.pop("secretRef")
        with pytest.raises(raised, match=reason):
            await send(context_of(tmp_path, c=channel))


async def test_of_several_recipients_those_who_were_refused_are_named(tmp_path: Path) -> None:
    async with MailServer(answers={"RCPT TO:<B@": "550 unknown"}) as server:
        context = context_of(tmp_path, c=smtp(server, to=["a@example.com", "b@example.com"]))
        await send(context)
        assert len(server.mails) == 1
    assert context.warnings == ["b@example.com didn't get it: 550 unknown"]


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_mail_servers_certificate_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    async with MailServer(tls=certificate(tmp_path), implicit=implicit) as server:
        if implicit:
            monkeypatch.setattr("activities.messages.mail.TLS_PORT", server.port)
        channel = smtp(server, to=["a@example.com"], useTLS=True, host="localhost")
        with pytest.raises(StepErrored, match=r"its certificate can't be verified.*insecureSkipVerify"):
            await send(context_of(tmp_path, c=channel))
        channel["smtp"]["insecureSkipVerify"] = True
        await send(context_of(tmp_path, c=channel))
        assert len(server.mails) == 1


async def test_tls_is_not_taken_away_silently(tmp_path: Path) -> None:
    async with MailServer() as server:
        with pytest.raises(StepErrored, match="useTLS: false sends it unprotected"):
            await send(context_of(tmp_path, c=smtp(server, to=["a@example.com"], useTLS=True)))
        assert server.mails == []


async def test_a_mail_server_at_a_metadata_address_is_refused(tmp_path: Path) -> None:
    channel = {"smtp": {"from": "a@example.com", "to": ["b@example.com"], "host": "169.254.169.254", "port": 25}}
    with pytest.raises(StepErrored, match="link-local and metadata addresses are refused"):
        await send(context_of(tmp_path, c=channel))


# HTTP


def http(**changes: Any) -> dict[str, Any]:
    return {"http": {"url": "https://hooks.example.com/notify", **changes}}


async def test_a_request_carries_the_message_as_it_is(site: Site, tmp_path: Path) -> None:
    site.answer("/notify", {"ok": True})
    channel = {
        **http(headers=[{"name": "X-Source", "value": "towpath"}], queryParams=[{"name": "q", "value": "a b"}]),
        "secretRef": {"name": "bearer"},
    }
    assert await send(context_of(tmp_path, site, c=channel)) == {"http": {"status": 200}}
    [request] = site.requests
    assert (request["method"], request["body"], request["query"]) == ("POST", b"hello", "q=a+b")
    headers = request["headers"]
    assert (headers["Authorization"], headers["X-Source"]) == (f"Bearer {TOKEN}", "towpath")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_an_encoded_message_goes_over_the_channels_settings(site: Site, tmp_path: Path) -> None:
    site.answer("/other", {"state": "taken"})
    channel = {**http(headers=[{"name": "X-A", "value": "1"}]), "secretRef": {"name": "raw"}}
    message = {
        "url": "https://hooks.example.com/other",
        "method": "PUT",
        "body": {"text": "hello"},
        "headers": {"x-a": "2"},
        "queryParams": {"p": "1"},
        "successExpression": "response.body.state == 'taken'",
    }
    context = context_of(tmp_path, site, c=channel)
    await send(context, message=json.dumps(message), encodingType="json")
    [request] = site.requests
    assert (request["method"], request["query"], json.loads(request["body"])) == ("PUT", "p=1", {"text": "hello"})
    assert (request["headers"]["X-A"], request["headers"]["Authorization"]) == ("2", f"Custom {TOKEN}")
    message["url"] = "https://elsewhere.example.com/other"
    with pytest.raises(StepFailed, match=r"leads to another host.*Secret is not sent there"):
        await send(context, message=json.dumps(message), encodingType="json")


@pytest.mark.parametrize(
    ("status", "settings", "raised", "reason"),
    [
        (204, {}, None, ""),
        (404, {}, StepFailed, "the answer was HTTP 404"),
        (502, {}, StepErrored, "the answer was HTTP 502"),
        (429, {"successExpression": "true"}, NotYet, "takes no more for now"),
        (404, {"successExpression": "response.status == 404"}, None, ""),
        (200, {"failureExpression": "response.body contains 'no'"}, StepFailed, "meets failureExpression"),
        (200, {"successExpression": "false"}, StepFailed, "does not meet successExpression"),
        (200, {"successExpression": "1"}, StepErrored, "must be true or false"),
    ],
)
async def test_the_answer_decides(
    site: Site, tmp_path: Path, status: int, settings: dict[str, Any], raised: type[Exception] | None, reason: str
) -> None:
    site.answer("/notify", b"oh no", status, Content_Type="text/html")
    context = context_of(tmp_path, site, c=http(**settings))
    if raised is None:
        await send(context)
        return
    with pytest.raises(raised, match=reason):
        await send(context)


async def test_a_redirect_to_a_metadata_address_is_refused(site: Site, tmp_path: Path) -> None:
    site.answer("/notify", b"", 307, Location="http://169.254.169.254/latest/meta-data")
    with pytest.raises(StepErrored, match="link-local and metadata addresses are refused"):
        await send(context_of(tmp_path, site, c=http()))


async def test_a_secret_is_not_sent_without_tls(site: Site, tmp_path: Path) -> None:
    channel = {"http": {"url": site.url}, "secretRef": {"name": "bearer"}}
    with pytest.raises(StepErrored, match="is not encrypted, so its Secret is not sent"):
        await send(context_of(tmp_path, site, c=channel))
    assert site.requests == []


# The manifests


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SLACK, ""),
        ({"slack": {"channelID": "C1"}}, "Slack needs a Secret with apiKey"),
        ({}, "exactly one of slack, smtp, http"),
        ({**SLACK, **http()}, "this one has slack and http"),
        ({"smtp": {"from": "a", "host": "h", "port": 25}}, "is not a mail address"),
        ({"http": {"url": "file:///etc/passwd"}}, "http:// or https://"),
    ],
)
def test_a_channel_is_checked_when_it_is_applied(spec: dict[str, Any], reason: str) -> None:
    channel = MessageChannel.model_validate({"metadata": {"name": "c", "namespace": "demo"}, "spec": spec})
    found: list[Finding] = list(check_message_channel(channel))
    assert [finding.message for finding in found if reason not in finding.message] == []
    assert bool(found) == bool(reason)
