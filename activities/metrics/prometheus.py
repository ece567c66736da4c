"""The `prometheus` provider: a PromQL query at this moment, or over a window.

Source: Argo Rollouts metricproviders/prometheus; Prometheus' HTTP API.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from activities.aws_signature import signature_headers
from activities.metrics.http import Answer, MetricClient, basic_authorization
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_float, shown_floats
from activities.metrics.sigv4 import keys_of
from activities.metrics.window import duration, moment
from model.providers.authentication import Authentication
from model.providers.prometheus import PrometheusMetric

DEFAULT_TIMEOUT = 30
#: The Secret with AWS' keys where `sigv4.profile` names none.
AWS_SECRET = "aws"  # noqa: S105  # its name


@provider("prometheus", config=PrometheusMetric)
async def measure(config: PrometheusMetric, context: MetricContext) -> Reading:
    """`result` is a number for a scalar, a list of numbers for a vector, and for a matrix all its samples in a row."""
    url, form = _request(config, context)
    timeout = DEFAULT_TIMEOUT if config.timeout is None else config.timeout
    if timeout <= 0:
        raise MetricError("timeout must be positive: seconds for the query")
    mirrors = context.outside.settings.http_mirrors
    async with MetricClient(timeout=timeout, verify=not config.insecure, mirrors=mirrors, redirects=False) as client:
        answer = await _asked(client, config, context, url, form)
    return _reading(answer, config.query)


def _request(config: PrometheusMetric, context: MetricContext) -> tuple[str, dict[str, str]]:
    address = config.address or context.outside.settings.prometheus_address
    if not address:
        raise MetricError("address is missing: http://… of the Prometheus server (or set TOWPATH_PROMETHEUS_ADDRESS)")
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        raise MetricError("address must be a URL, like http://prometheus.example.com:9090")
    base = f"{address.rstrip('/')}/api/v1"
    window = config.range_query
    if window is None:
        return f"{base}/query", {"query": config.query, "time": f"{context.now.timestamp():.3f}"}
    start = moment("rangeQuery.start", window.start, context.now)
    end = moment("rangeQuery.end", window.end, context.now)
    step = duration("rangeQuery.step", window.step).total_seconds()
    return f"{base}/query_range", {
        "query": config.query,
        "start": f"{start:.3f}",
        "end": f"{end:.3f}",
        "step": f"{step:g}",
    }


async def _asked(
    client: MetricClient, config: PrometheusMetric, context: MetricContext, url: str, form: dict[str, str]
) -> Answer:
    """POST, as long queries don't fit in a URL; GET where the server or what stands before it knows no POST."""
    headers = {header.key.lower(): header.value for header in config.headers}
    encoded = urlencode(form)
    authorization = _Authorization(config.authentication or Authentication(), context, client)
    body = encoded.encode()
    posted = headers | {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.send(
        "POST", url, headers=posted | await authorization.headers("POST", url, body), content=body
    )
    if answer.status not in (405, 501):
        return answer
    url = f"{url}?{encoded}"
    return await client.send("GET", url, headers=headers | await authorization.headers("GET", url, b""))


class _Authorization:
    """How the requests of one measurement are authenticated."""

    def __init__(self, authentication: Authentication, context: MetricContext, client: MetricClient) -> None:
        self._context, self._client = context, client
        basic, oauth2, sigv4 = authentication.basic_auth, authentication.oauth2, authentication.sigv4
        self._basic = basic if basic is not None and (basic.username or basic.password) else None
        self._oauth2 = oauth2 if oauth2 is not None and oauth2.token_url else None
        self._sigv4 = sigv4 if sigv4 is not None and sigv4.model_fields_set else None
        if sum(way is not None for way in (self._basic, self._oauth2, self._sigv4)) > 1:
            raise MetricError("authentication: give one of basicAuth, oauth2 and sigv4")
        if self._basic is not None and not (self._basic.username and self._basic.password):
            raise MetricError("authentication.basicAuth needs username and password")

    async def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        if self._basic is not None:
            return {
                "authorization": basic_authorization(self._basic.username, self._basic.password, self._context.mask)
            }
        if self._oauth2 is not None:
            return {"authorization": await self._client.token(self._oauth2, self._context.mask)}
        if self._sigv4 is not None:
            keys = await keys_of(
                self._context,
                self._client,
                self._sigv4.profile or AWS_SECRET,
                region=self._sigv4.region,
                role_arn=self._sigv4.role_arn,
            )
            return signature_headers(keys, service="aps", method=method, url=url, body=body, now=self._context.now)
        return {}


def _reading(answer: Answer, query: str) -> Reading:
    try:
        said: Any = answer.json()
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or "status" not in said:
        raise MetricError(f"Prometheus answered HTTP {answer.status} with something else than its JSON")
    if said["status"] != "success":
        raise MetricError(f"{said.get('errorType', 'error')}: {said.get('error', f'HTTP {answer.status}')}")
    if not answer.ok:
        raise MetricError(f"received non 2xx response code: {answer.status}")
    try:
        kind, found = said["data"]["resultType"], said["data"]["result"]
        match kind:
            case "scalar":
                number = float(found[1])
                reading = Reading(result=number, value=shown_float(number))
            case "vector" | "matrix":
                numbers = [float(sample[1]) for series in found for sample in _samples(series)]
                reading = Reading(result=numbers, value=shown_floats(numbers))
            case _:
                raise MetricError(f"a query that gives a {kind} can't be judged: only scalar, vector and matrix")
    except (KeyError, IndexError, TypeError, ValueError):
        raise MetricError("Prometheus' answer has another shape than its HTTP API says") from None
    if warnings := said.get("warnings"):
        reading.metadata["warnings"] = ", ".join(f'"{warning}"' for warning in warnings)
    reading.resolved = {"ResolvedPrometheusQuery": query} if query else {}
    return reading


def _samples(series: dict[str, Any]) -> list[Any]:
    """The samples of one series. One of histograms alone has none, as in Prometheus' Go client."""
    if "values" in series:
        return list(series["values"])
    return [series["value"]] if "value" in series else []
