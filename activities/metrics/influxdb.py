"""The `influxdb` provider: a Flux query of InfluxDB 2.

Source: Argo Rollouts metricproviders/influxdb; InfluxDB's API: `/api/v2/query` and annotated CSV.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from activities.metrics.account import account, entry
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_float
from model.base import Json
from model.providers.influxdb import InfluxdbMetric

SECRET = "influxdb"  # noqa: S105  # its name
TIMEOUT = 30
_DIALECT = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}


@provider("influxdb", config=InfluxdbMetric)
async def measure(config: InfluxdbMetric, context: MetricContext) -> Reading:
    """`result` is a list of the `_value` of every row of every table."""
    name = config.profile or SECRET
    secret = await account(context, name)
    address, org = entry(secret, name, "address"), entry(secret, name, "org")
    headers = {
        "authorization": f"Token {entry(secret, name, 'authToken')}",
        "content-type": "application/json",
        "accept": "text/csv",
    }
    content = json.dumps({"query": config.query, "type": "flux", "dialect": _DIALECT})
    mirrors = context.outside.settings.http_mirrors
    async with MetricClient(timeout=TIMEOUT, mirrors=mirrors, redirects=False) as client:
        answer = await client.send(
            "POST", f"{address.rstrip('/')}/api/v2/query", params={"org": org}, headers=headers, content=content
        )
    if not answer.ok:
        try:
            said = answer.json()
            reason = f"{said['code']}: {said['message']}"
        except (ValueError, KeyError, TypeError, RecursionError):
            reason = f"received non 2xx response code: {answer.status}"
        raise MetricError(reason)
    try:
        values = list(_values(answer.text))
    except (csv.Error, ValueError, IndexError):
        raise MetricError("InfluxDB's answer is not annotated CSV") from None
    if not values:
        raise MetricError("no results returned from flux query")
    return Reading(result=values, value=f"[{' '.join(map(_shown, values))}]")


def _values(text: str) -> Iterator[Json]:
    """The values of annotated CSV: tables, each with its annotations and a header, one after the other."""
    datatypes: list[str] = []
    defaults: list[str] = []
    header: list[str] = []
    for row in csv.reader(text.splitlines()):
        if not row:
            header = []
        elif row[0].startswith("#"):
            header = []
            if row[0] == "#datatype":
                datatypes = row
            elif row[0] == "#default":
                defaults = row
        elif not header:
            header = row
        elif "error" in header:
            raise MetricError(f"InfluxDB: {row[header.index('error')]}")
        elif "_value" not in header:
            yield None
        else:
            place = header.index("_value")
            yield _value(row[place] or (defaults[place] if len(defaults) > place else ""), datatypes[place])


def _value(text: str, datatype: str) -> Json:
    """A value by its type. Raises ValueError."""
    if not text and datatype != "string":
        return None
    match datatype:
        case "double":
            return float(text)
        case "long" | "unsignedLong":
            return int(text)
        case "boolean":
            return text.lower() in ("true", "t", "1")
        case _:
            return text


def _shown(value: Json) -> str:
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return shown_float(value)
        case _:
            return str(value)
