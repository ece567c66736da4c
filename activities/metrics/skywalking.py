"""The `skywalking` provider: a GraphQL query of Apache SkyWalking.

Source: Argo Rollouts metricproviders/skywalking; SkyWalking's query protocol.
"""

from __future__ import annotations

from activities.metrics.graphql import ask
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_json
from activities.metrics.window import duration
from model.providers.skywalking import SkyWalkingMetric

TIMEOUT = 30


@provider("skywalking", config=SkyWalkingMetric)
async def measure(config: SkyWalkingMetric, context: MetricContext) -> Reading:
    """`result` is the `data` of the answer, a map."""
    if not config.address:
        raise MetricError("address is missing: http://… of SkyWalking's OAP server")
    if not config.interval:
        raise MetricError("interval is missing: how far back the query looks, like 5m")
    since = context.now - duration("interval", config.interval)
    # Minutes, in the server's time zone, which is taken to be UTC, as where Argo Rollouts runs.
    window = {"start": f"{since:%Y-%m-%d %H%M}", "end": f"{context.now:%Y-%m-%d %H%M}", "step": "MINUTE"}
    async with MetricClient(timeout=TIMEOUT, mirrors=context.outside.settings.http_mirrors) as client:
        data = await ask(
            client, "SkyWalking", f"{config.address.rstrip('/')}/graphql", config.query, {"duration": window}
        )
    if data is None:
        raise MetricError("no results returned from SkyWalking query")
    return Reading(result=data, value=shown_json(data))
