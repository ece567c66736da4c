"""The providers of vendors against servers on loopback that answer as theirs do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activities.metrics.registry import MetricContext, Reading, find_provider, load_providers, provider
from activities.outside import Outside
from model.base import Json, Manifest
from model.providers.kayenta import KayentaMetric
from model.references import VerificationPhase as Phase
from tests.analysis.measuring import measure, report_of, request_for
from tests.analysis.outside import outside_in
from tests.analysis.server import Answered, Asked, MetricServer

pytestmark = pytest.mark.asyncio

KEYS = {"api-key": "an-api-key-1", "app-key": "an-app-key-1"}


def with_mirror(outside: Outside, address: str, server: MetricServer) -> Outside:
    outside.settings.http_mirrors[address] = server.url
    return outside


def datadog(**fields: Json) -> Json:
    return {"datadog": {"query": "avg:errors{*}", **fields}}


@pytest.mark.parametrize(
    ("said", "condition", "phase", "value"),
    [
        ({"series": [{"pointlist": [[1, 9.0], [2, 0.25]]}]}, "result < 1", Phase.SUCCESSFUL, "0.25"),
        ({"series": []}, "default(result, 0) == 0", Phase.SUCCESSFUL, "[]"),
        ({"series": []}, "result > 1", Phase.ERROR, ""),
        ({"series": [{"pointlist": [[1]]}]}, "true", Phase.ERROR, ""),
    ],
)
async def test_datadog_v1(
    server: MetricServer, tmp_path: Path, said: Json, condition: str, phase: Phase, value: str
) -> None:
    server.answer("/api/v1/query", said)
    outside = outside_in(tmp_path, datadog=KEYS | {"address": server.url})
    measured = await measure(outside, datadog(interval="10m"), successCondition=condition)
    assert (measured.phase, measured.value) == (phase, value), measured.message
    [asked] = server.asked
    assert (asked.headers["dd-api-key"], asked.headers["dd-application-key"]) == ("an-api-key-1", "an-app-key-1")
    assert int(asked.query["to"][0]) - int(asked.query["from"][0]) == 600


def scalar(*columns: Json) -> Json:
    return {"data": {"attributes": {"columns": list(columns)}}}


@pytest.mark.parametrize(
    ("said", "condition", "value", "metadata"),
    [
        (scalar({"type": "number", "values": [3.5]}), "result == 3.5", "3.5", {}),
        (scalar({"type": "number", "values": [None]}), "isNil(result)", "[]", {}),
        (
            scalar({"type": "group", "values": [["a"], ["b"]]}, {"type": "number", "values": [None, 2.0]}),
            "max(result) == 2",
            "[2]",
            {"groups": '[{"name":"b","value":2.0}]'},
        ),
    ],
)
async def test_datadog_v2_with_a_formula(
    server: MetricServer, tmp_path: Path, said: Json, condition: str, value: str, metadata: dict[str, str]
) -> None:
    server.answer("/api/v2/query/scalar", said)
    outside = outside_in(tmp_path, mine=KEYS | {"address": server.url})
    queries = {"a": "sum:errors{*}", "b": "sum:requests{*}"}
    secret = {"name": "mine", "namespaced": True}
    asked = {"datadog": {"apiVersion": "v2", "queries": queries, "formula": "a / b", "secretRef": secret}}
    measured = await measure(outside, asked, successCondition=condition)
    assert (measured.phase, measured.value, measured.metadata) == (Phase.SUCCESSFUL, value, metadata), measured.message
    attributes = server.asked[0].json()["data"]["attributes"]
    assert attributes["formulas"] == [{"formula": "a / b"}]
    assert [(query["name"], query["aggregator"]) for query in attributes["queries"]] == [("a", "last"), ("b", "last")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"query": ""}, "give either query or queries"),
        ({"queries": {"a": "x"}}, "not both"),
        ({"formula": "a"}, "a formula needs queries"),
        ({"query": "", "apiVersion": "v2", "queries": {"a": "x", "b": "y"}}, "several queries need a formula"),
        ({"aggregator": "sum"}, "an aggregator needs apiVersion v2"),
        ({"requestTimeout": "0s"}, "requestTimeout must be longer than nothing"),
        ({"secretRef": {"name": "gone", "namespaced": True}}, "there is no Secret 'gone' in Project 'demo'"),
    ],
)
async def test_datadog_says_what_does_not_fit(tmp_path: Path, fields: dict[str, Json], message: str) -> None:
    measured = await measure(outside_in(tmp_path, datadog=KEYS), datadog(**fields))
    assert measured.phase is Phase.ERROR
    assert message in measured.message


@pytest.mark.parametrize(
    ("rows", "condition", "value"),
    [
        ([{"rate": 0.99}], "result.rate > 0.9", '{"rate":0.99}'),
        ([{"average.duration": 1}, {"average.duration": 2}], "result[1]['average.duration'] == 2", None),
    ],
)
async def test_new_relic(
    server: MetricServer, tmp_path: Path, rows: list[Json], condition: str, value: str | None
) -> None:
    server.answer("/graphql", {"data": {"actor": {"account": {"nrql": {"results": rows}}}}})
    secret = {"personal-api-key": "a-key-4711", "account-id": "1234567", "region": "eu"}
    outside = with_mirror(outside_in(tmp_path, newrelic=secret), "https://api.eu.newrelic.com", server)
    request = request_for({"newRelic": {"query": "SELECT 1"}}, successCondition=condition)
    report = await report_of(outside, request)
    assert report.measurement is not None
    assert report.measurement.phase is Phase.SUCCESSFUL, report.measurement.message
    assert value is None or report.measurement.value == value
    assert report.metadata == {"ResolvedNewRelicQuery": "SELECT 1"}
    [asked] = server.asked
    assert asked.headers["api-key"] == "a-key-4711"
    assert asked.json()["variables"] == {"accountId": 1234567, "query": "SELECT 1", "timeout": 5}


async def test_new_relic_says_what_is_wrong_with_the_query(server: MetricServer, tmp_path: Path) -> None:
    server.answer("/", {"errors": [{"message": "NRQL Syntax Error"}], "data": None})
    secret = {"personal-api-key": "a-key-4711", "account-id": "1", "base-url-nerdgraph": f"{server.url}/"}
    measured = await measure(outside_in(tmp_path, other=secret), {"newRelic": {"profile": "other", "query": "x"}})
    assert (measured.phase, measured.message) == (Phase.ERROR, "New Relic: NRQL Syntax Error")


async def test_graphite(server: MetricServer, outside: Outside) -> None:
    server.answer("/g/render", [{"target": "t", "datapoints": [[1.5, 1], [None, 2], [2, 3]]}])
    asked = {"graphite": {"address": f"{server.url}/g", "query": "target=sumSeries(\n  a,\n  b)&from=-5min"}}
    measured = await measure(outside, asked, successCondition="result[1] == 2")
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, "[1.500000,2.000000]"), measured.message
    assert server.asked[0].query == {"target": ["sumSeries(a,b)"], "from": ["-5min"], "format": ["json"]}
    server.answer("/g/render", [])
    assert (await measure(outside, asked)).message == "no values found"


CSV = (
    "#datatype,string,long,dateTime:RFC3339,{kind}\r\n#group,false,false,false,false\r\n#default,_result,,,\r\n"
    ",result,table,_time,_value\r\n,,0,2024-01-01T00:00:00Z,{first}\r\n,,0,2024-01-01T00:01:00Z,{second}\r\n\r\n"
)


@pytest.mark.parametrize(
    ("kind", "first", "second", "condition", "value"),
    [
        ("double", "0.5", "2", "result[0] == 0.5 && result[1] == 2", "[0.5 2]"),
        ("long", "7", "8", "result[0] + result[1] == 15", "[7 8]"),
        ("boolean", "true", "false", "result[0] && !result[1]", "[true false]"),
        ("string", '"a,b"', "c", "result[0] == 'a,b'", "[a,b c]"),
    ],
)
async def test_influxdb(
    server: MetricServer, tmp_path: Path, kind: str, first: str, second: str, condition: str, value: str
) -> None:
    server.answer("/api/v2/query", CSV.format(kind=kind, first=first, second=second).encode())
    outside = outside_in(tmp_path, influxdb={"address": server.url, "authToken": "a-token-1", "org": "acme"})
    measured = await measure(outside, {"influxdb": {"query": "from(bucket: 1)"}}, successCondition=condition)
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, value), measured.message
    [asked] = server.asked
    assert (asked.headers["authorization"], asked.query) == ("Token a-token-1", {"org": ["acme"]})


async def test_influxdb_refuses(server: MetricServer, tmp_path: Path) -> None:
    outside = outside_in(tmp_path, influxdb={"address": server.url, "authToken": "a-token-1", "org": "acme"})
    server.answer("/api/v2/query", {"code": "invalid", "message": "undefined identifier x"}, 400)
    assert (await measure(outside, {"influxdb": {"query": "x"}})).message == "invalid: undefined identifier x"
    server.answer("/api/v2/query", b"#datatype,string,string\r\n,error,reference\r\n,too much,897\r\n")
    assert (await measure(outside, {"influxdb": {"query": "x"}})).message == "InfluxDB: too much"


@pytest.mark.parametrize(
    ("series", "condition", "value"),
    [
        ([[[0, 9.0], [4e9, 1.0], [2e9, 0.5]]], "result == 0.5", "0.50"),
        ([[[0, 1.0]], [[0, 2.0]]], "result[1] == 2", "[1.00,2.00]"),
        ([], "true", None),
    ],
)
async def test_wavefront(
    server: MetricServer, tmp_path: Path, series: list[Any], condition: str, value: str | None
) -> None:
    server.answer("/api/v2/chart/api", {"timeseries": [{"data": data} for data in series]})
    outside = outside_in(tmp_path, **{"wavefront-api-tokens": {"acme.wavefront.com": "a-token-1"}})
    with_mirror(outside, "https://acme.wavefront.com", server)
    asked = {"wavefront": {"address": "acme.wavefront.com", "query": "ts(x)"}}
    measured = await measure(outside, asked, successCondition=condition)
    if value is None:
        assert "no time series" in measured.message
    else:
        assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, value), measured.message
    assert server.asked[0].headers["authorization"] == "Bearer a-token-1"
    other = await measure(outside, {"wavefront": {"address": "evil.example.com", "query": "ts(x)"}})
    assert "no API token for the address" in other.message


async def test_skywalking(server: MetricServer, outside: Outside) -> None:
    server.answer("/graphql", {"data": {"apdex": {"values": [{"value": 9900}]}}})
    asked = {"skywalking": {"address": server.url, "query": "query q($duration: Duration!) {}", "interval": "3m"}}
    measured = await measure(outside, asked, successCondition="all(result.apdex.values, asFloat(.value) >= 9900)")
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, '{"apdex":{"values":[{"value":9900}]}}')
    assert server.asked[0].json()["variables"]["duration"]["step"] == "MINUTE"


async def test_cloud_watch_reads_every_page_of_a_signed_request(server: MetricServer, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "id-4711", "AWS_SECRET_ACCESS_KEY": "key-4711", "AWS_REGION": "eu-central-1"}
    outside = outside_in(tmp_path, **{"cloudwatch-secret": keys})
    with_mirror(outside, "https://monitoring.eu-central-1.amazonaws.com", server)

    def pages(asked: Asked) -> Answered:
        last = "NextToken" in asked.json()
        found = {"Id": "rate", "Label": "rate", "Values": [0.5] if last else [0.25], "Timestamps": [1]}
        return Answered({"MetricDataResults": [found], **({} if last else {"NextToken": "t"})})

    server.routes["/"] = pages
    stat = {"metric": {"namespace": "app", "metricName": "errors", "dimensions": [{"name": "a", "value": "b"}]}}
    queries = [
        {"id": "rate", "expression": "errors / 2"},
        {"id": "errors", "metricStat": stat | {"period": "300", "stat": "Sum", "unit": "Count"}, "returnData": False},
    ]
    measured = await measure(
        outside,
        {"cloudWatch": {"interval": "30m", "metricDataQueries": queries}},
        successCondition="len(result[0].Values) == 2 and all(result[0].Values, {# <= 0.5})",
    )
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, "[[0.25 0.5]]"), measured.message
    asked = server.asked[0]
    assert asked.headers["x-amz-target"] == "GraniteServiceVersion20100801.GetMetricData"
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target" in asked.headers["authorization"]
    assert asked.json()["MetricDataQueries"][1]["MetricStat"] == {
        "Metric": {"MetricName": "errors", "Namespace": "app", "Dimensions": [{"Name": "a", "Value": "b"}]},
        "Period": 300,
        "Stat": "Sum",
        "Unit": "Count",
    }


async def test_cloud_watch_refusal_says_why(server: MetricServer, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "id-4711", "AWS_SECRET_ACCESS_KEY": "key-4711", "AWS_REGION": "eu-central-1"}
    outside = outside_in(tmp_path, **{"cloudwatch-secret": keys})
    with_mirror(outside, "https://monitoring.eu-central-1.amazonaws.com", server)
    server.answer("/", {"__type": "com.amazonaws#AccessDenied", "message": "not yours"}, 403)
    measured = await measure(outside, {"cloudWatch": {"metricDataQueries": [{"id": "a", "expression": "x"}]}})
    assert measured.message == "CloudWatch answered HTTP 403: AccessDenied: not yours"


def kayenta(server: MetricServer) -> Json:
    side = {"scope": "s", "region": "r", "step": 60}
    accounts = dict.fromkeys(("metricsAccountName", "configurationAccountName", "storageAccountName"), "acc")
    scope = {"name": "default", "controlScope": side, "experimentScope": side}
    return {
        "kayenta": {
            "address": server.url,
            "application": "guestbook",
            "canaryConfigName": "my-test",
            **accounts,
            "threshold": {"pass": 90, "marginal": 75},
            "scopes": [scope],
        }
    }


@pytest.mark.parametrize(("score", "phase"), [(90, Phase.SUCCESSFUL), (75.9, Phase.INCONCLUSIVE), (74, Phase.FAILED)])
async def test_kayenta_is_looked_at_until_it_has_a_score(
    server: MetricServer, outside: Outside, score: float, phase: Phase
) -> None:
    server.answer("/canaryConfig", [{"id": "c1", "name": "my-test"}])
    server.answer("/canary/c1", {"canaryExecutionId": "e1"})
    server.answer("/canary/e1", {"complete": False})
    begun = await measure(outside, kayenta(server), interval="5m")
    assert (begun.phase, begun.metadata) == (Phase.RUNNING, {"canaryExecutionId": "e1"}), begun.message
    scope = server.asked[1].json()["scopes"]["default"]["controlScope"]
    assert scope["location"] == "r"
    assert scope["start"] < scope["end"]
    again = request_for(kayenta(server)).model_copy(update={"in_flight": begun})
    running = (await report_of(outside, again)).measurement
    assert running is not None
    assert running.phase is Phase.RUNNING
    server.answer("/canary/e1", {"complete": True, "result": {"judgeResult": {"score": {"score": score}}}})
    ended = (await report_of(outside, again)).measurement
    assert ended is not None
    assert (ended.phase, ended.value) == (phase, str(int(score)))


async def test_kayenta_fields_are_those_of_manifests() -> None:
    with pytest.raises(ValueError, match="pass"):
        KayentaMetric.model_validate({"threshold": {"marginal": 1}})


class Oracle(Manifest):
    """Configuration of a provider that another package brings."""

    answer: int


async def test_provider_of_another_package_is_found_by_its_entry_point(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.metrics.registry.PROVIDERS", {})
    groups: list[str] = []

    class Entry:
        def load(self) -> None:
            @provider("acme/oracle", config=Oracle)
            async def oracle(config: Oracle, _: MetricContext) -> Reading:
                return Reading(result=config.answer, value=json.dumps(config.answer))

    def entries(group: str) -> list[Entry]:
        groups.append(group)
        return [Entry()]

    monkeypatch.setattr("activities.metrics.registry.entry_points", entries)
    load_providers()
    assert groups == ["towpath.metrics"]
    assert find_provider("acme/oracle").config is Oracle
    monkeypatch.setattr("activities.verification.load_providers", lambda: None)
    measured = await measure(outside, {"plugin": {"acme/oracle": {"answer": 42}}}, successCondition="result == 42")
    assert (measured.phase, measured.value) == (Phase.SUCCESSFUL, "42"), measured.message
