"""Asking a GraphQL API over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping

from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricError
from model.base import Json


async def ask(
    client: MetricClient,
    what: str,
    url: str,
    query: str,
    variables: Mapping[str, Json],
    headers: Mapping[str, str] | None = None,
) -> Json:
    """The `data` of the answer. Raises MetricError, naming `what` was asked."""
    sent = {"content-type": "application/json", "accept": "application/json"} | dict(headers or {})
    answer = await client.send(
        "POST", url, headers=sent, content=json.dumps({"query": query, "variables": dict(variables)})
    )
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and (errors := said.get("errors")):
        first = errors[0] if isinstance(errors, list) else errors
        raise MetricError(f"{what}: {first.get('message', '') if isinstance(first, dict) else first}")
    if not answer.ok:
        raise MetricError(f"{what}: received non 2xx response code: {answer.status}")
    if not isinstance(said, dict):
        raise MetricError(f"{what} answered with something else than GraphQL's JSON")
    return said.get("data")
