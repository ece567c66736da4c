"""The `wavefront` provider: a ts() query of Wavefront (VMware Aria Operations for Applications).

Source: Argo Rollouts metricproviders/wavefront; Wavefront's API: `/api/v2/chart/api`.
"""

from __future__ import annotations

from typing import Any

from activities.metrics.account import account
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from model.providers.wavefront import WavefrontMetric

SECRET = "wavefront-api-tokens"  # noqa: S105  # its name
TIMEOUT = 30


@provider("wavefront", config=WavefrontMetric)
async def measure(config: WavefrontMetric, context: MetricContext) -> Reading:
    """`result` is the value nearest to now; where there are several time series, a list of them."""
    tokens = await account(context, SECRET)
    token = tokens.get(config.address, "").strip()
    if not config.address or not token:
        raise MetricError(f"Secret {SECRET!r} has no API token for the address {config.address!r}")
    now = int(context.now.timestamp())
    # One moment, for which the API looks outside too: else there is hardly ever a point.
    params = {"q": config.query, "s": str(now * 1000), "e": str(now * 1000), "g": "s", "p": "1", "i": "true"}
    mirrors = context.outside.settings.http_mirrors
    async with MetricClient(timeout=TIMEOUT, mirrors=mirrors, redirects=False) as client:
        answer = await client.send(
            "GET",
            f"https://{config.address}/api/v2/chart/api",
            params=params,
            headers={"authorization": f"Bearer {token}", "accept": "application/json"},
        )
    if not answer.ok:
        raise MetricError(f"received non 2xx response code: {answer.status} {answer.text[:500]}")
    try:
        return _reading(answer.json(), now)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        raise MetricError("Wavefront's answer has another shape than its API says") from None


def _reading(said: Any, now: int) -> Reading:
    if said.get("errorType"):
        raise MetricError(f"Wavefront: {said['errorType']}: {said.get('errorMessage', '')}")
    series = said.get("timeseries") or []
    if not series:
        raise MetricError("no time series found in response from Wavefront")
    nearest = [min(entry["data"], key=lambda point: abs(point[0] - now)) for entry in series]
    values = [float(value) for _, value in nearest]
    shown = [f"{value:.2f}" for value in values]
    moments = [str(int(moment)) for moment, _ in nearest]
    drifts = [str(int(moment - now)) for moment, _ in nearest]
    metadata = {"timestamps": _joined(moments), "drift": _joined(drifts)}
    if said.get("warnings"):
        metadata["warnings"] = str(said["warnings"])
    return Reading(result=values[0] if len(values) == 1 else values, value=_joined(shown), metadata=metadata)


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
