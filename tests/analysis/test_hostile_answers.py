"""What every provider makes of an answer that isn't one: a stated reason and an Error, and nothing asked elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from activities.metrics.http import MetricClient
from model.base import Json
from model.references import VerificationPhase as Phase
from tests.analysis.measuring import measure
from tests.analysis.outside import outside_in
from tests.analysis.server import Answered, Asked, MetricServer

pytestmark = pytest.mark.asyncio

METADATA_SERVICE = "http://169.254.169.254"
AWS = {"AWS_ACCESS_KEY_ID": "id-4711", "AWS_SECRET_ACCESS_KEY": "key-4711", "AWS_REGION": "eu-central-1"}
SIDE = {"scope": "s", "region": "r", "step": 60}
ACCOUNTS = dict.fromkeys(("metricsAccountName", "configurationAccountName", "storageAccountName"), "acc")
KAYENTA = {
    "application": "guestbook",
    "canaryConfigName": "my-test",
    **ACCOUNTS,
    "threshold": {"pass": 90, "marginal": 75},
    "scopes": [{"name": "default", "controlScope": SIDE, "experimentScope": SIDE}],
}


@dataclass
class Case:
    """How a provider is pointed at a server: by its manifest, its Secret, or where its own address is mirrored."""

    provider: Callable[[str], Json]
    secrets: Callable[[str], dict[str, dict[str, str]]] = lambda url: {}
    mirror: str = ""


CASES = {
    "web": Case(lambda url: {"web": {"url": f"{url}/v"}}),
    "prometheus": Case(lambda url: {"prometheus": {"address": url, "query": "up"}}),
    "graphite": Case(lambda url: {"graphite": {"address": url, "query": "target=a"}}),
    "skywalking": Case(lambda url: {"skywalking": {"address": url, "query": "query q {}", "interval": "3m"}}),
    "kayenta": Case(lambda url: {"kayenta": {"address": url, **KAYENTA}}),
    "influxdb": Case(
        lambda url: {"influxdb": {"query": "x"}},
        lambda url: {"influxdb": {"address": url, "authToken": "token-4711", "org": "acme"}},
    ),
    "datadog": Case(
        lambda url: {"datadog": {"query": "avg:errors{*}"}},
        lambda url: {"datadog": {"address": url, "api-key": "key-4711", "app-key": "key-4712"}},
    ),
    "newRelic": Case(
        lambda url: {"newRelic": {"query": "SELECT 1"}},
        lambda url: {"newrelic": {"personal-api-key": "k-4711", "account-id": "1", "base-url-nerdgraph": f"{url}/"}},
    ),
    "wavefront": Case(
        lambda url: {"wavefront": {"address": "acme.example.com", "query": "ts(x)"}},
        lambda url: {"wavefront-api-tokens": {"acme.example.com": "token-4711"}},
        "https://acme.example.com",
    ),
    "cloudWatch": Case(
        lambda url: {"cloudWatch": {"metricDataQueries": [{"id": "a", "expression": "x"}]}},
        lambda url: {"cloudwatch-secret": AWS},
        "https://monitoring.eu-central-1.amazonaws.com",
    ),
}
GARBAGE = (b"\xff\xfe<html>\x00", b"[]", b'{"data": 7, "series": 7, "status": "success", "timeseries": 7}', b"null")


async def said(case: Case, url: str, directory: Path) -> str:
    """The message of a measurement from that server, which can't be one."""
    outside = outside_in(directory, **case.secrets(url))
    if case.mirror:
        outside.settings.http_mirrors[case.mirror] = url
    measured = await measure(outside, case.provider(url), successCondition="result.a.b[0] > 1")
    assert measured.phase is Phase.ERROR
    assert measured.message
    assert "4711" not in measured.message
    assert "unexpected" not in measured.message
    return measured.message


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_link_local_addresses_are_refused(case: Case, tmp_path: Path) -> None:
    assert "link-local and metadata addresses are refused" in await said(case, METADATA_SERVICE, tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_redirect_to_a_link_local_address_leads_nowhere(
    server: MetricServer, case: Case, tmp_path: Path
) -> None:
    server.otherwise = Answered({}, 302, {"Location": f"{METADATA_SERVICE}/latest/meta-data/iam"})
    message = await said(case, server.url, tmp_path)
    assert "link-local and metadata addresses are refused" in message or "302" in message, message
    assert len(server.asked) == 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_garbage_is_an_error_that_says_so(server: MetricServer, case: Case, tmp_path: Path) -> None:
    for number, body in enumerate(GARBAGE):
        server.otherwise = Answered(body)
        await said(case, server.url, tmp_path / str(number))


@pytest.mark.parametrize("case", [CASES["kayenta"], CASES["wavefront"]], ids=["kayenta", "wavefront"])
async def test_silence_is_an_error_after_the_timeout(
    server: MetricServer, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def silent(_: Asked) -> Answered:
        over.wait(10)
        return Answered({})

    opened = MetricClient.__aenter__

    async def impatient(client: MetricClient) -> MetricClient:
        client._timeout = 0.2
        return await opened(client)

    monkeypatch.setattr(MetricClient, "__aenter__", impatient)
    server.otherwise = silent
    try:
        assert "no answer within 0.2 seconds" in await said(case, server.url, tmp_path)
    finally:
        over.set()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.secrets("")])
async def test_a_secret_that_is_missing_is_named(server: MetricServer, name: str, tmp_path: Path) -> None:
    case = CASES[name]
    [secret] = case.secrets("")
    measured = await measure(outside_in(tmp_path), case.provider(server.url))
    assert measured.phase is Phase.ERROR
    assert f"there is no Secret {secret!r} in Project 'demo'" in measured.message
    empty = await measure(outside_in(tmp_path / "empty", **{secret: {"else": "x"}}), case.provider(server.url))
    assert empty.phase is Phase.ERROR
    assert f"Secret {secret!r} has no" in empty.message
    assert server.asked == []


ROLE = "arn:aws:iam::123456789012:role/metrics"


async def test_a_role_is_assumed_and_its_keys_sign(server: MetricServer, tmp_path: Path) -> None:
    credentials = {"AccessKeyId": "role-id-1", "SecretAccessKey": "role-key-1", "SessionToken": "role-token-1"}

    def sts(asked: Asked) -> Answered:
        form = parse_qs(asked.body.decode())
        assert "/eu-central-1/sts/aws4_request" in asked.headers["authorization"]
        assert (form["Action"], form["RoleArn"]) == (["AssumeRole"], [ROLE])
        return Answered({"AssumeRoleResponse": {"AssumeRoleResult": {"Credentials": credentials}}})

    server.routes["/"] = sts
    server.answer("/api/v1/query", {"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}})
    outside = outside_in(tmp_path, aws=AWS)
    outside.settings.http_mirrors["https://sts.eu-central-1.amazonaws.com"] = server.url
    sigv4 = {"region": "eu-central-1", "roleArn": ROLE}
    asked = {"prometheus": {"address": server.url, "query": "up", "authentication": {"sigv4": sigv4}}}
    measured = await measure(outside, asked, successCondition="result == 7")
    assert measured.phase is Phase.SUCCESSFUL, measured.message
    assert [request.path for request in server.asked] == ["/", "/api/v1/query"]
    signed = server.asked[1].headers
    assert "Credential=role-id-1/" in signed["authorization"]
    assert signed["x-amz-security-token"] == "role-token-1"


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (Answered({"Error": {"Code": "AccessDenied"}}, 403), f"AWS refused the role {ROLE} (HTTP 403)"),
        (Answered(b"<xml/>"), "with something else than keys"),
    ],
)
async def test_a_role_that_is_refused_says_why(
    server: MetricServer, tmp_path: Path, answered: Answered, message: str
) -> None:
    server.routes["/"] = answered
    outside = outside_in(tmp_path, aws=AWS)
    outside.settings.http_mirrors["https://sts.eu-central-1.amazonaws.com"] = server.url
    sigv4 = {"region": "eu-central-1", "roleArn": ROLE}
    asked = {"prometheus": {"address": server.url, "query": "up", "authentication": {"sigv4": sigv4}}}
    measured = await measure(outside, asked)
    assert measured.phase is Phase.ERROR
    assert message in measured.message
    assert "key-4711" not in measured.message
