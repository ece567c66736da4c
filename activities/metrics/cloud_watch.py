"""The `cloudWatch` provider: queries of Amazon CloudWatch's metrics.

Source: Argo Rollouts metricproviders/cloudwatch; CloudWatch's GetMetricData over AWS JSON 1.0.
"""

from __future__ import annotations

import json
from typing import Any

from activities.aws_signature import signature_headers
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_float
from activities.metrics.sigv4 import keys_of
from activities.metrics.window import duration
from model.base import Json
from model.providers.cloud_watch import CloudWatchMetric, MetricDataQuery, MetricStat

#: The Secret with AWS' keys and region, as in Argo Rollouts' documentation.
SECRET = "cloudwatch-secret"  # noqa: S105  # its name
TARGET = "GraniteServiceVersion20100801.GetMetricData"
TIMEOUT = 30
#: Pages of one answer that are read at most.
MAX_PAGES = 20


@provider("cloudWatch", config=CloudWatchMetric)
async def measure(config: CloudWatchMetric, context: MetricContext) -> Reading:
    """`result` is the list of MetricDataResults: `result[0].Values`, newest first."""
    now = context.now.timestamp()
    request: dict[str, Json] = {
        "StartTime": now - duration("interval", config.interval or "5m").total_seconds(),
        "EndTime": now,
        "MetricDataQueries": [_query(query) for query in config.metric_data_queries],
    }
    results: list[Json] = []
    messages: list[Json] = []
    async with MetricClient(timeout=TIMEOUT, mirrors=context.outside.settings.http_mirrors, redirects=False) as client:
        keys = await keys_of(context, client, SECRET)
        url = f"https://monitoring.{keys.region}.amazonaws.com/"
        for _ in range(MAX_PAGES):
            body = json.dumps(request).encode()
            headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": TARGET}
            signature = signature_headers(
                keys, service="monitoring", method="POST", url=url, body=body, now=context.now, headers=headers
            )
            answer = await client.send("POST", url, headers=headers | signature, content=body)
            said = _said(answer.status, answer.text)
            results += said.get("MetricDataResults") or []
            messages += said.get("Messages") or []
            if not said.get("NextToken"):
                break
            request["NextToken"] = said["NextToken"]
        else:
            raise MetricError(f"CloudWatch's answer has more than {MAX_PAGES} pages: ask for less")
    return _reading(_merged(results), messages)


def _query(query: MetricDataQuery) -> dict[str, Json]:
    fields = {
        "Id": query.id,
        "Expression": query.expression,
        "Label": query.label,
        "MetricStat": _statistic(query.metric_stat) if query.metric_stat is not None else None,
        "Period": _seconds(query.id, query.period) if query.period is not None else None,
        "ReturnData": query.return_data,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _statistic(statistic: MetricStat) -> dict[str, Json]:
    metric = statistic.metric
    fields = {
        "Metric": {
            "MetricName": metric.metric_name,
            **({"Namespace": metric.namespace} if metric.namespace is not None else {}),
            **(
                {"Dimensions": [{"Name": dimension.name, "Value": dimension.value} for dimension in metric.dimensions]}
                if metric.dimensions
                else {}
            ),
        },
        "Period": _seconds(metric.metric_name, statistic.period),
        "Stat": statistic.stat,
        "Unit": statistic.unit or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _seconds(where: str, period: int | str) -> int:
    try:
        return int(period)
    except ValueError:
        raise MetricError(f"metricDataQueries ({where}): period must be a number of seconds") from None


def _said(status: int, text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if status != 200:
        kind = str(said.get("__type", "")).rpartition("#")[2] if isinstance(said, dict) else ""
        reason = (said.get("message") or said.get("Message") or "") if isinstance(said, dict) else ""
        raise MetricError(f"CloudWatch answered HTTP {status}{f': {kind}: {reason}' if kind else ''}")
    if not isinstance(said, dict):
        raise MetricError("CloudWatch answered with something else than JSON")
    return said


def _merged(results: list[Json]) -> list[Json]:
    """The results of several pages, each one once."""
    merged: dict[tuple[str, str], Json] = {}
    for result in results:
        key = str(result.get("Id")), str(result.get("Label"))
        if known := merged.get(key):
            known["Values"] += result.get("Values") or []
            known["Timestamps"] += result.get("Timestamps") or []
        else:
            merged[key] = result | {
                "Values": list(result.get("Values") or []),
                "Timestamps": list(result.get("Timestamps") or []),
            }
    return list(merged.values())


def _reading(results: list[Json], messages: list[Json]) -> Reading:
    try:
        shown = " ".join(f"[{' '.join(shown_float(float(value)) for value in result['Values'])}]" for result in results)
    except (TypeError, ValueError):
        raise MetricError("CloudWatch's answer has another shape than GetMetricData's") from None
    metadata = {"messages": json.dumps(messages)} if messages else {}
    return Reading(result=results, value=f"[{shown}]", metadata=metadata)
