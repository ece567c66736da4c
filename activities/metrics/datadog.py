"""The `datadog` provider: a query of Datadog's metrics.

Source: Argo Rollouts metricproviders/datadog; Datadog's API: `/api/v1/query`, `/api/v2/query/scalar`.
"""

from __future__ import annotations

import json
from typing import Any

from activities.metrics.account import account, entry
from activities.metrics.http import Answer, MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_float, shown_floats
from activities.metrics.window import duration
from model.base import Json
from model.providers.datadog import DatadogMetric

SECRET = "datadog"  # noqa: S105  # its name
ADDRESS = "https://api.datadoghq.com"
#: So many groups are kept beside the value: those with the lowest and the highest values.
MAX_GROUPS = 100


@provider("datadog", config=DatadogMetric)
async def measure(config: DatadogMetric, context: MetricContext) -> Reading:
    """`result` is a number, or a list of numbers where a v2 query is grouped; nil without data."""
    name = config.secret_ref.name or SECRET
    secret = await account(context, name, shared=not (config.secret_ref.name and config.secret_ref.namespaced))
    headers = {
        "content-type": "application/json",
        "dd-api-key": entry(secret, name, "api-key"),
        "dd-application-key": entry(secret, name, "app-key"),
    }
    address = secret.get("address", "").strip().rstrip("/") or ADDRESS
    to = int(context.now.timestamp())
    since = to - int(duration("interval", config.interval).total_seconds())
    timeout = duration("requestTimeout", config.request_timeout).total_seconds()
    mirrors = context.outside.settings.http_mirrors
    async with MetricClient(timeout=timeout, mirrors=mirrors, redirects=False) as client:
        if config.api_version == "v1":
            params = {"query": config.query, "from": str(since), "to": str(to)}
            return _timeseries(
                _said(await client.send("GET", f"{address}/api/v1/query", headers=headers, params=params))
            )
        content = json.dumps(_scalar_request(config, since, to))
        return _scalar(
            _said(await client.send("POST", f"{address}/api/v2/query/scalar", headers=headers, content=content))
        )


def _scalar_request(config: DatadogMetric, since: int, to: int) -> Json:
    queries = config.queries or {"query": config.query}
    aggregator = config.aggregator or "last"
    return {
        "data": {
            "type": "scalar_request",
            "attributes": {
                "from": since * 1000,
                "to": to * 1000,
                "queries": [
                    {"aggregator": aggregator, "data_source": "metrics", "name": name, "query": query}
                    for name, query in queries.items()
                ],
                "formulas": [{"formula": config.formula}] if config.formula else [],
            },
        }
    }


def _said(answer: Answer) -> Any:
    if answer.status in (401, 403):
        raise MetricError(f"received authentication error response code: {answer.status} {answer.text[:500]}")
    if answer.status != 200:
        raise MetricError(f"received non 2xx response code: {answer.status} {answer.text[:500]}")
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise MetricError("Datadog answered with something else than JSON") from None


def _timeseries(said: Any) -> Reading:
    """The last point of the first series."""
    try:
        series = said.get("series") or []
        if not series or not series[0].get("pointlist"):
            return Reading(result=None, value=json.dumps(series, separators=(",", ":")))
        point = series[0]["pointlist"][-1]
        if len(point) != 2:
            raise MetricError("a point of Datadog's answer doesn't have two values")
        # A moment without a value is null; Go reads it as 0.
        value = 0.0 if point[1] is None else float(point[1])
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise MetricError("Datadog's answer has another shape than its API v1 says") from None
    return Reading(result=value, value=shown_float(value))


def _scalar(said: Any) -> Reading:
    try:
        data = said["data"]
        if errors := data.get("errors"):
            raise MetricError(f"there were errors in the query: {errors}")
        columns = data["attributes"].get("columns") or []
        numbers: Any = next((column for column in columns if column.get("type", "") in ("", "number")), {"values": []})
        labels = [column["values"] for column in columns if column.get("type") == "group"]
        rows = [(place, float(value)) for place, value in enumerate(numbers["values"]) if value is not None]
        groups = [{"name": _group(labels, place), "value": value} for place, value in rows] if labels else []
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise MetricError("Datadog's answer has another shape than its API v2 says") from None
    values = [value for _, value in rows]
    if not values:
        return Reading(result=None, value="[]")
    if not labels:
        return Reading(result=values[0], value=shown_float(values[0]))
    return Reading(result=values, value=shown_floats(values), metadata=_metadata(groups))


def _group(labels: list[Any], place: int) -> str:
    """The tags of one row, from each column that names some. Raises ValueError where one is missing."""
    tags: list[str] = []
    for column in labels:
        found = column[place]
        if not isinstance(found, list) or not found:
            raise ValueError("a row of a grouped answer has no tag")
        tags += map(str, found)
    return ",".join(tags)


def _metadata(groups: list[dict[str, Json]]) -> dict[str, str]:
    truncated = len(groups) > MAX_GROUPS
    if truncated:
        ordered = sorted(groups, key=lambda group: float(group["value"]))
        groups = ordered[: MAX_GROUPS // 2] + ordered[-MAX_GROUPS // 2 :]
    kept = {"groups": json.dumps(groups, separators=(",", ":"), ensure_ascii=False)}
    return kept | ({"groups_truncated": "true"} if truncated else {})
