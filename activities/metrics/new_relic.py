"""The `newRelic` provider: an NRQL query through NerdGraph.

Source: Argo Rollouts metricproviders/newrelic; New Relic's GraphQL API.
"""

from __future__ import annotations

from activities.metrics.account import account, entry
from activities.metrics.graphql import ask
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError, Reading, provider
from activities.metrics.shown import shown_json
from model.providers.new_relic import NewRelicMetric

SECRET = "newrelic"  # noqa: S105  # its name
DEFAULT_TIMEOUT = 5
#: Seconds that the way there and back may take besides.
GRACE = 10
ADDRESSES = {
    "us": "https://api.newrelic.com/graphql",
    "eu": "https://api.eu.newrelic.com/graphql",
    "staging": "https://staging-api.newrelic.com/graphql",
}
QUERY = """query ($accountId: Int!, $query: Nrql!, $timeout: Seconds!) {
  actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } }
}"""


@provider("newRelic", config=NewRelicMetric)
async def measure(config: NewRelicMetric, context: MetricContext) -> Reading:
    """`result` is the row that the query gives, a map; where it gives several, a list of them."""
    name = config.profile or SECRET
    secret = await account(context, name)
    key, number = entry(secret, name, "personal-api-key"), entry(secret, name, "account-id")
    if not number.isascii() or not number.isdigit():
        raise MetricError(f"Secret {name!r}: account-id must be a number")
    region = secret.get("region", "").strip().lower() or "us"
    if region not in ADDRESSES:
        raise MetricError(f"Secret {name!r}: region must be one of {', '.join(ADDRESSES)}")
    address = secret.get("base-url-nerdgraph", "").strip() or ADDRESSES[region]
    timeout = DEFAULT_TIMEOUT if config.timeout is None else config.timeout
    if timeout < 0:
        raise MetricError("timeout must not be negative")
    variables = {"accountId": int(number), "query": config.query, "timeout": timeout}
    mirrors = context.outside.settings.http_mirrors
    async with MetricClient(timeout=timeout + GRACE, mirrors=mirrors, redirects=False) as client:
        data = await ask(client, "New Relic", address, QUERY, variables, {"api-key": key})
    try:
        rows = data["actor"]["account"]["nrql"]["results"]
    except (KeyError, TypeError):
        raise MetricError("New Relic's answer has another shape than NerdGraph's") from None
    if not rows or rows == [{}]:
        raise MetricError("no results returned from NRQL query")
    result = rows[0] if len(rows) == 1 else rows
    return Reading(result=result, value=shown_json(result), resolved={"ResolvedNewRelicQuery": config.query})
