"""The Secret that opens a provider, by the names that Argo Rollouts gives it.

There it lies in the controller's namespace; here it is the Project's own, or a shared one.
"""

from __future__ import annotations

import asyncio

from activities.metrics.registry import MetricContext, MetricError


async def account(context: MetricContext, name: str, *, shared: bool = True) -> dict[str, str]:
    """The values of a Secret of the Project; where it has none of that name and `shared`, of a shared generic one.

    Raises MetricError where there is none.
    """
    credentials = context.outside.credentials
    found = await asyncio.to_thread(credentials.secret, context.project, name)
    if found is None and shared:
        found = await asyncio.to_thread(credentials.shared_secret, name)
    if found is None:
        where = f"Project {context.project!r}{' or among the shared ones that are labelled generic' if shared else ''}"
        raise MetricError(f"there is no Secret {name!r} in {where}")
    return found


def entry(secret: dict[str, str], name: str, key: str) -> str:
    """A key that the Secret must have. Raises MetricError."""
    value = secret.get(key, "").strip()
    if not value:
        raise MetricError(f"Secret {name!r} has no key {key!r}")
    return value
