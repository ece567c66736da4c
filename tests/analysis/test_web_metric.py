"""The `web` provider against a real HTTP server."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from activities.metrics.http import MAX_BODY
from activities.outside import Outside
from model.arguments import Argument, SecretKey
from model.base import Json
from model.references import VerificationPhase as Phase
from tests.analysis.conftest import TOKEN
from tests.analysis.measuring import measure, report_of, request_for
from tests.analysis.server import Answered, Asked, MetricServer, metric_server, self_signed

pytestmark = pytest.mark.asyncio

TOKEN_ARGUMENT = Argument(name="token", secret=SecretKey(name="api", key="token"))


def web(server: MetricServer, path: str = "/", **fields: Json) -> Json:
    return {"web": {"url": f"{server.url}{path}", **fields}}


@pytest.mark.parametrize(
    ("body", "json_path", "condition", "value"),
    [
        ({"n": 112}, "{$.n}", "result < 200", "112"),
        ({"n": 112.0}, "{$.n}", "result < 200 && asInt(result) == 112", "112"),
        ({"n": 0.25}, "{.n}", "result <= 0.25", "0.25"),
        ({"n": "112"}, "{.n}", "asInt(result) == 112 && asFloat(result) > 111.5", '"112"'),
        ({"ok": True}, "{.ok}", "result", "true"),
        ({"n": None}, "{.n}", "isNil(result) && default(result, 5) == 5", "null"),
        ({"n": 1}, "{.n}", "!isNil(result) && default(result, 5) == 1", "1"),
        ({"n": 1}, "{.n}", "!isNaN(result) && !isInf(result)", "1"),
        ({"a": [3, 4]}, "{.a}", "len(result) == 2 && result[0] == 3", "[3,4]"),
        ({"b": {"y": 1, "x": 2}}, "{.b}", "result.x > result.y", '{"x":2,"y":1}'),
        ({"a": [{"v": 7}, {"v": 8}]}, "{.a[*].v}", "result == 7", "7"),
        ({"n": 1}, "", "result.n == 1", '{"n":1}'),
        (b"all good", "", 'result == "all good"', "all good"),
        (b"all good", "{.ignored}", 'result contains "good"', "all good"),
        (b'{"n": NaN}', "{.n}", 'result contains "NaN"', '{"n": NaN}'),
    ],
)
async def test_answer_becomes_the_result(
    server: MetricServer, outside: Outside, body: Json, json_path: str, condition: str, value: str
) -> None:
    server.answer("/", body)
    measured = await measure(outside, web(server, jsonPath=json_path), successCondition=condition)
    assert (measured.phase, measured.message) == (Phase.SUCCESSFUL, "")
    assert measured.value == value


@pytest.mark.parametrize(
    ("conditions", "phase"),
    [
        ({}, Phase.SUCCESSFUL),
        ({"successCondition": "result > 200"}, Phase.FAILED),
        ({"failureCondition": "result > 200"}, Phase.SUCCESSFUL),
        ({"successCondition": "result < 100", "failureCondition": "result > 200"}, Phase.INCONCLUSIVE),
    ],
)
async def test_conditions_judge(
    server: MetricServer, outside: Outside, conditions: dict[str, Json], phase: Phase
) -> None:
    server.answer("/", {"n": 150})
    assert (await measure(outside, web(server, jsonPath="{.n}"), **conditions)).phase is phase


@pytest.mark.parametrize(
    ("body", "condition", "complaint"),
    [
        ({"n": "abc"}, "result < 3", 'could not evaluate successCondition "result < 3"'),
        ({"n": 1}, "result + 1", "expected bool, but got int"),
        ({"n": 1}, "reslt == 1", "unknown name reslt"),
        ({"n": 1}, "result ==", "could not evaluate"),
        ({"n": "x"}, "asInt(result) == 1", "asInt()"),
        ({"n": "1_0"}, "asFloat(result) == 10", "asFloat()"),
        ({"n": None}, "result < 3", "metric result is nil or empty"),
        ({"n": []}, "result[0] < 3", "metric result is nil or empty"),
    ],
)
async def test_condition_that_can_not_be_evaluated_is_an_error(
    server: MetricServer, outside: Outside, body: Json, condition: str, complaint: str
) -> None:
    server.answer("/", body)
    measured = await measure(outside, web(server, jsonPath="{.n}"), successCondition=condition)
    assert measured.phase is Phase.ERROR
    assert complaint in measured.message


@pytest.mark.parametrize("status", [300, 400, 404, 429, 500, 503])
async def test_status_outside_2xx_is_an_error(server: MetricServer, outside: Outside, status: int) -> None:
    server.answer("/", {"n": 1}, status)
    measured = await measure(outside, web(server))
    assert (measured.phase, measured.message) == (Phase.ERROR, f"received non 2xx response code: {status}")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"jsonPath": "{.missing}"}, "jsonPath {.missing} in the answer: missing is not found"),
        ({"jsonPath": "$.n"}, "put the path in braces, {$.n}"),
        ({"jsonPath": "{.n"}, "'}' is missing"),
        ({"body": "x"}, "need method POST or PUT"),
        ({"jsonBody": {}}, "need method POST or PUT"),
        ({"method": "POST", "body": "x", "jsonBody": {}}, "not both"),
        ({"method": "DELETE"}, "method"),
        ({"urls": "x"}, "urls"),
        ({"authentication": {"oauth2": {"tokenUrl": "http://127.0.0.1:1/"}}}, "needs clientId and clientSecret"),
        ({"authentication": {"basicAuth": {"username": "u"}}}, "basicAuth is not supported"),
        ({"authentication": {"sigv4": {"region": "eu"}}}, "sigv4 is not supported"),
    ],
)
async def test_wrong_configuration_is_an_error(
    server: MetricServer, outside: Outside, fields: dict[str, Json], complaint: str
) -> None:
    server.answer("/", {"n": 1})
    measured = await measure(outside, web(server, **fields))
    assert measured.phase is Phase.ERROR
    assert complaint in measured.message


async def test_body_and_headers_are_sent(server: MetricServer, outside: Outside) -> None:
    server.answer("/", {})
    headers = [{"key": "X-One", "value": "first"}, {"key": "x-one", "value": "second"}]
    await measure(outside, web(server, method="PUT", body="plain", headers=headers))
    content_type = [{"key": "Content-Type", "value": "text/plain"}]
    await measure(outside, web(server, method="POST", jsonBody={"k": [1]}, headers=content_type))
    put, post = server.asked
    assert (put.method, put.body, put.headers["x-one"]) == ("PUT", b"plain", "second")
    assert (post.method, post.json(), post.headers["content-type"]) == ("POST", {"k": [1]}, "application/json")


async def test_slow_server_is_an_error_after_the_timeout(server: MetricServer, outside: Outside) -> None:
    release = threading.Event()

    def hang(_: Asked) -> Answered:
        release.wait(20)
        return Answered({})

    server.routes["/"] = hang
    try:
        measured = await measure(outside, web(server, timeoutSeconds=1))
    finally:
        release.set()
    assert measured.phase is Phase.ERROR
    assert "no answer within 1 seconds" in measured.message


async def test_unreachable_server_is_an_error(outside: Outside) -> None:
    with metric_server() as gone:
        pass
    measured = await measure(outside, web(gone, "/path?key=hidden"))
    assert measured.phase is Phase.ERROR
    assert measured.message.startswith(f"GET {gone.url}/path: ")
    assert "hidden" not in measured.message


async def test_answer_too_large_is_an_error(server: MetricServer, outside: Outside) -> None:
    server.answer("/", b"x" * (MAX_BODY + 1))
    measured = await measure(outside, web(server))
    assert (measured.phase, measured.message) == (
        Phase.ERROR,
        f"GET {server.url}/: the answer is larger than {MAX_BODY} bytes",
    )


async def test_json_nested_too_deeply_is_an_error(server: MetricServer, outside: Outside) -> None:
    server.answer("/", b"[" * 100_000)
    measured = await measure(outside, web(server))
    assert measured.phase is Phase.ERROR
    assert "nested too deeply" in measured.message


async def test_redirects_are_followed(server: MetricServer, outside: Outside) -> None:
    server.answer("/old", status=302, Location="/new")
    server.answer("/new", {"n": 1})
    assert (await measure(outside, web(server, "/old"))).value == '{"n":1}'


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "http://100.100.100.200/",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
    ],
)
async def test_link_local_and_metadata_addresses_are_refused(
    server: MetricServer, outside: Outside, target: str
) -> None:
    direct = await measure(outside, {"web": {"url": target}})
    server.answer("/redirect", status=307, Location=target)
    redirected = await measure(outside, web(server, "/redirect"))
    for measured in (direct, redirected):
        assert measured.phase is Phase.ERROR
        assert "link-local and metadata addresses are refused" in measured.message


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/hostname", "127.0.0.1/x", "http://", "http://[x"])
async def test_only_http_is_spoken(outside: Outside, url: str) -> None:
    assert (await measure(outside, {"web": {"url": url}})).phase is Phase.ERROR


async def test_certificate_is_verified_unless_insecure(
    tmp_path: Path, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    with metric_server(context) as server:
        server.answer("/", {"n": 1})
        distrusted = await measure(outside, web(server))
        assert distrusted.phase is Phase.ERROR
        assert "certificate verify failed" in distrusted.message
        assert (await measure(outside, web(server, insecure=True))).phase is Phase.SUCCESSFUL
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert (await measure(outside, web(server))).phase is Phase.SUCCESSFUL


async def test_secret_in_a_header_is_sent_but_never_shown(server: MetricServer, outside: Outside) -> None:
    def echo(asked: Asked) -> Answered:
        return Answered({"you sent": asked.headers["authorization"]})

    server.routes["/"] = echo
    headers = [{"key": "Authorization", "value": "Bearer {{args.token}}"}]
    measured = await measure(outside, web(server, headers=headers), TOKEN_ARGUMENT)
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert measured.value == '{"you sent":"Bearer *****"}'
    failing = await measure(
        outside, web(server, headers=headers), TOKEN_ARGUMENT, successCondition="result == '{{args.token}}' + 1"
    )
    assert failing.phase is Phase.ERROR
    assert TOKEN not in failing.model_dump_json()
    assert "*****" in failing.message


async def test_missing_secret_ends_the_run(server: MetricServer, outside: Outside) -> None:
    argument = Argument(name="token", secret=SecretKey(name="api", key="other"))
    report = await report_of(outside, request_for(web(server), argument))
    assert report.measurement is None
    assert report.unresolved == (
        "Unable to resolve metric arguments: argument 'token': "
        "there is no key 'other' in a Secret 'api' of Project 'demo'"
    )
    assert server.asked == []


async def test_oauth2_token_is_fetched_and_sent(server: MetricServer, outside: Outside) -> None:
    server.answer("/token", {"access_token": "fresh-token-0815", "token_type": "bearer"})
    server.routes["/"] = lambda asked: Answered({"seen": asked.headers.get("authorization")})
    oauth2 = {
        "tokenUrl": f"{server.url}/token",
        "clientId": "me",
        "clientSecret": "{{args.token}}",
        "scopes": ["a", "b"],
    }
    measured = await measure(outside, web(server, authentication={"oauth2": oauth2}), TOKEN_ARGUMENT)
    token, request = server.asked
    assert token.method == "POST"
    assert token.headers["authorization"].startswith("Basic ")
    assert token.body == b"grant_type=client_credentials&scope=a+b"
    assert request.headers["authorization"] == "Bearer fresh-token-0815"
    assert measured.value == '{"seen":"Bearer *****"}'


async def test_oauth2_falls_back_to_credentials_in_the_form(server: MetricServer, outside: Outside) -> None:
    def token(asked: Asked) -> Answered:
        if b"client_secret=" not in asked.body:
            return Answered({"error": "invalid_client"}, 401)
        return Answered({"access_token": "fresh-token-0815"})

    server.routes["/token"] = token
    server.answer("/", {})
    oauth2 = {"tokenUrl": f"{server.url}/token", "clientId": "me", "clientSecret": "mine"}
    assert (await measure(outside, web(server, authentication={"oauth2": oauth2}))).phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(("body", "status"), [({}, 500), ({}, 200), (b"<html>", 200), ([], 200)])
async def test_oauth2_without_a_token_is_an_error(
    server: MetricServer, outside: Outside, body: Json, status: int
) -> None:
    server.answer("/token", body, status)
    oauth2 = {"tokenUrl": f"{server.url}/token", "clientId": "me", "clientSecret": "mine"}
    measured = await measure(outside, web(server, authentication={"oauth2": oauth2}))
    assert measured.phase is Phase.ERROR
    assert measured.message.startswith("oauth2: the token server")


async def test_unknown_provider_is_an_error_that_names_those_there_are(outside: Outside) -> None:
    measured = await measure(outside, {"wib": {}})
    assert (measured.phase, measured.message) == (
        Phase.ERROR,
        "metric provider 'wib' is not supported; did you mean web?",
    )
