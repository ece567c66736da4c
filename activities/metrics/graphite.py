"""The `graphite` provider: a render query of Graphite.

Source: Argo Rollouts metricproviders/graphite; Graphite's render API.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from activities.metrics.http import Answer, MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from model.providers.graphite import GraphiteMetric

TIMEOUT = 10


@provider("graphite", config=GraphiteMetric)
async def measure(config: GraphiteMetric, context: MetricContext) -> Reading:
    """`result` is a list of the numbers of the first target, without the moments that have none."""
    parts = urlsplit(config.address)
    if not parts.scheme or not parts.netloc:
        raise MetricError("address must be a URL, like http://graphite.example.com:9000")
    # Queries are written over several lines; Graphite knows no blanks.
    asked = parse_qsl(re.sub(r"\s+", "", config.query), keep_blank_values=True)
    query = [(name, value) for name, value in asked if name != "format"]
    url = f"{config.address.rstrip('/')}/render?{urlencode([*query, ('format', 'json')])}"
    async with MetricClient(timeout=TIMEOUT, mirrors=context.outside.settings.http_mirrors) as client:
        numbers = _numbers(await client.send("GET", url))
    return Reading(result=numbers, value=f"[{','.join(f'{number:f}' for number in numbers)}]")


def _numbers(answer: Answer) -> list[float]:
    if answer.status >= 400:
        raise MetricError(f"error response: {answer.text[:500] or answer.status}")
    try:
        said: Any = answer.json()
        points = said[0]["datapoints"] if said else []
        if not points:
            raise MetricError("no values found")
        return [float(value) for value, _ in points if value is not None]
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        raise MetricError("Graphite's answer has another shape than its render API says") from None
