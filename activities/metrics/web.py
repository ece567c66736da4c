"""The `web` provider: an HTTP request whose answer, or a part of it found by JSONPath, is the measurement.

Source: Argo Rollouts metricproviders/webmetric.
"""

from __future__ import annotations

import json

from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_json
from model.jsonpath import JSONPath, JSONPathError
from model.providers.authentication import OAuth2
from model.providers.web import WebMetric

DEFAULT_TIMEOUT = 10


@provider("web", config=WebMetric)
async def measure(config: WebMetric, context: MetricContext) -> Reading:
    """Send the request; an answer that isn't JSON is the result as text."""
    path = _path(config)
    method = config.method or "GET"
    content = _content(config, method)
    # Of one name the last header counts, whatever its case.
    headers = {header.key.lower(): header.value for header in config.headers}
    if config.json_body is not None:
        headers["content-type"] = "application/json"
    oauth2 = _oauth2(config)
    timeout = config.timeout_seconds if config.timeout_seconds > 0 else DEFAULT_TIMEOUT
    async with MetricClient(
        timeout=timeout, verify=not config.insecure, mirrors=context.outside.settings.http_mirrors
    ) as client:
        if oauth2 is not None:
            headers["authorization"] = await client.token(oauth2, context.mask)
        answer = await client.send(method, config.url, headers=headers, content=content)
    if not answer.ok:
        raise MetricError(f"received non 2xx response code: {answer.status}")
    try:
        data = answer.json()
    except ValueError:
        return Reading(result=answer.text, value=answer.text)
    except RecursionError:
        raise MetricError("the answer is JSON nested too deeply to be read") from None
    try:
        result = path.first(data)
    except JSONPathError as error:
        raise MetricError(f"jsonPath {path.text} in the answer: {error}") from None
    return Reading(result=result, value=shown_json(result))


def _path(config: WebMetric) -> JSONPath:
    try:
        path = JSONPath(config.json_path or "{$}")
    except JSONPathError as error:
        raise MetricError(f"jsonPath {config.json_path}: {error}") from None
    if path.plain:
        # Rollouts would take the text itself for the measurement, whatever the server says.
        raise MetricError(f"jsonPath {config.json_path} is only text: put the path in braces, {{{config.json_path}}}")
    return path


def _content(config: WebMetric, method: str) -> str | None:
    if config.body and config.json_body is not None:
        raise MetricError("use either body or jsonBody, not both")
    if not config.body and config.json_body is None:
        return None
    if method == "GET":
        raise MetricError("body and jsonBody need method POST or PUT")
    return config.body or json.dumps(config.json_body, separators=(",", ":"), ensure_ascii=False)


def _oauth2(config: WebMetric) -> OAuth2 | None:
    authentication = config.authentication
    if authentication is None:
        return None
    if authentication.sigv4 is not None and authentication.sigv4.model_fields_set:
        raise MetricError("authentication.sigv4 is not supported by web metrics, only oauth2")
    if authentication.basic_auth is not None and authentication.basic_auth.model_fields_set:
        raise MetricError("authentication.basicAuth is not supported by web metrics: send an Authorization header")
    oauth2 = authentication.oauth2
    return oauth2 if oauth2 is not None and oauth2.token_url else None
