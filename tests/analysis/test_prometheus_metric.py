"""The `prometheus` provider against a server that speaks its HTTP API, and the real one where it is installed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
import yaml

from activities.outside import Outside
from model.base import Json
from model.references import VerificationPhase as Phase
from tests.analysis.measuring import measure, report_of, request_for
from tests.analysis.outside import outside_in
from tests.analysis.server import Answered, Asked, MetricServer
from tests.patience import PATIENCE
from worker.embedded import free_port

pytestmark = pytest.mark.asyncio

WINDOW = {"start": 'now() - duration("1h")', "end": "now()", "step": "5m"}


def prometheus(server: MetricServer, query: str = "up", **fields: Json) -> Json:
    return {"prometheus": {"address": server.url, "query": query, **fields}}


def success(kind: str, result: Json, **fields: Json) -> Json:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **fields}


def vector(*values: str) -> Json:
    return success("vector", [{"metric": {"i": str(i)}, "value": [1.5, value]} for i, value in enumerate(values)])


@pytest.mark.parametrize(
    ("said", "condition", "phase", "value"),
    [
        (vector("0.99"), "result[0] >= 0.95", Phase.SUCCESSFUL, "[0.99]"),
        (vector("1", "0.5"), "all(result, # > 0.6)", Phase.FAILED, "[1,0.5]"),
        (vector(), "len(result) == 0", Phase.SUCCESSFUL, "[]"),
        (vector("NaN"), "isNaN(result[0])", Phase.SUCCESSFUL, "[NaN]"),
        (vector("+Inf", "1e-07"), "isInf(result[0])", Phase.SUCCESSFUL, "[+Inf,0.0000001]"),
        (vector(), "result[0] > 1", Phase.ERROR, ""),
        (success("scalar", [1.5, "42"]), "result == 42", Phase.SUCCESSFUL, "42"),
        (success("string", [1.5, "x"]), "true", Phase.ERROR, ""),
        (success("vector", None), "true", Phase.ERROR, ""),
        ([], "true", Phase.ERROR, ""),
        ({"status": "error", "errorType": "bad_data", "error": "parse error"}, "true", Phase.ERROR, ""),
    ],
)
async def test_answer_becomes_the_result(
    server: MetricServer, outside: Outside, said: Json, condition: str, phase: Phase, value: str
) -> None:
    server.answer("/api/v1/query", said)
    measured = await measure(outside, prometheus(server), successCondition=condition)
    assert (measured.phase, measured.value) == (phase, value), measured.message


async def test_query_is_posted_and_kept_with_the_warnings(server: MetricServer, outside: Outside) -> None:
    server.answer("/api/v1/query", vector("1") | {"warnings": ["slow", "late"]})
    report = await report_of(
        outside, request_for(prometheus(server, "sum(up)", headers=[{"key": "X-A", "value": "b"}]))
    )
    assert report.measurement is not None
    assert report.measurement.metadata == {"warnings": '"slow", "late"'}
    assert report.metadata == {"ResolvedPrometheusQuery": "sum(up)"}
    [asked] = server.asked
    assert (asked.method, parse_qs(asked.body.decode())["query"], asked.headers["x-a"]) == ("POST", ["sum(up)"], "b")


async def test_server_without_post_is_asked_by_get(server: MetricServer, outside: Outside) -> None:
    server.routes["/api/v1/query"] = lambda asked: (
        Answered(vector("1")) if asked.method == "GET" and asked.query["query"] == ["up"] else Answered({}, 405)
    )
    assert (await measure(outside, prometheus(server))).phase is Phase.SUCCESSFUL


async def test_range_query_gives_all_samples_in_a_row(server: MetricServer, outside: Outside) -> None:
    series = [{"metric": {}, "values": [[1, "1"], [2, "2"]]}, {"metric": {}, "values": [[1, "3"]]}]
    server.answer("/api/v1/query_range", success("matrix", series))
    measured = await measure(outside, prometheus(server, rangeQuery=WINDOW), successCondition="sum(result) == 6")
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, "[1,2,3]")
    sent = {name: values[0] for name, values in parse_qs(server.asked[0].body.decode()).items()}
    assert float(sent["end"]) - float(sent["start"]) == pytest.approx(3600)
    assert sent["step"] == "300"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"timeout": -1}, "timeout must be positive"),
        ({"address": ""}, "address is missing"),
        ({"address": "prometheus:9090"}, "address must be a URL"),
        ({"rangeQuery": WINDOW | {"start": "1 + 1"}}, "rangeQuery.start must give a time, not int"),
        ({"rangeQuery": WINDOW | {"step": "often"}}, "rangeQuery.step: 'often' is not a duration"),
        ({"authentication": {"basicAuth": {"username": "u"}}}, "basicAuth needs username and password"),
        ({"authentication": {"sigv4": {"region": "eu-central-1"}}}, "there is no Secret 'aws' in Project 'demo'"),
        ({"adress": "x"}, "prometheus: adress: Extra inputs"),
    ],
)
async def test_what_can_not_be_asked_says_why(
    server: MetricServer, outside: Outside, fields: dict[str, Json], message: str
) -> None:
    measured = await measure(outside, prometheus(server, **fields))
    assert measured.phase is Phase.ERROR
    assert message in measured.message
    assert server.asked == []


async def test_authentication_is_sent_and_never_shown(server: MetricServer, tmp_path: Path) -> None:
    aws = {
        "AWS_ACCESS_KEY_ID": "an-id-4711",
        "AWS_SECRET_ACCESS_KEY": "a-key-4711",
        "AWS_SESSION_TOKEN": "a-token-4711",
    }
    outside = outside_in(tmp_path, profile=aws)

    def echo(asked: Asked) -> Answered:
        said = " ".join((asked.headers["authorization"], asked.headers.get("x-amz-security-token", "")))
        return Answered({"status": "error", "errorType": "denied", "error": said}, 403)

    server.routes["/api/v1/query"] = echo
    server.answer("/token", {"access_token": "a-token-4712"})
    oauth2 = {"tokenUrl": f"{server.url}/token", "clientId": "i", "clientSecret": "s"}
    for way, secret in (
        ({"basicAuth": {"username": "alice", "password": "a-pass-4711"}}, "Basic YWxpY2U6YS1wYXNzLTQ3MTE="),
        ({"oauth2": oauth2}, "Bearer a-token-4712"),
        ({"sigv4": {"profile": "profile", "region": "eu-central-1"}}, "a-token-4711"),
    ):
        measured = await measure(outside, prometheus(server, authentication=way))
        headers = server.asked[-1].headers
        assert secret in f"{headers['authorization']} {headers.get('x-amz-security-token', '')}"
        assert measured.message.startswith("denied: ")
        assert secret.rpartition(" ")[2] not in measured.message
    assert "/eu-central-1/aps/aws4_request" in server.asked[-1].headers["authorization"]


async def test_redirect_is_not_followed_with_credentials(server: MetricServer, outside: Outside) -> None:
    server.routes["/api/v1/query"] = lambda _: Answered({}, 302, {"Location": f"{server.url}/elsewhere"})
    assert (await measure(outside, prometheus(server))).phase is Phase.ERROR
    assert len(server.asked) == 1


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
async def test_real_prometheus_answers(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": []}))
    port = free_port(0)
    arguments = (
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("prometheus", *arguments, stdout=silent, stderr=silent)
    try:
        address = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    if (await client.get(f"{address}/-/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
        asked = {"address": address}
        for fields, condition, value in (
            ({"query": "vector(42)"}, "result[0] == 42", "[42]"),
            ({"query": "scalar(vector(0.5))"}, "result == 0.5", "0.5"),
            ({"query": "vector(1)", "rangeQuery": WINDOW | {"step": "30m"}}, "sum(result) == 3", "[1,1,1]"),
        ):
            measured = await measure(outside, {"prometheus": {**asked, **fields}}, successCondition=condition)
            assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, value), measured.message
        wrong = await measure(outside, {"prometheus": {**asked, "query": "sum("}})
        assert wrong.message.startswith("bad_data: ")
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)
