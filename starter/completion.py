"""Names for shell completion, asked of the server in a moment or not at all."""

from __future__ import annotations

import asyncio

from starter.errors import TowpathError

#: A person who presses Tab does not wait longer, in seconds.
PATIENCE = 2.0


def names_of(plural: str, project: str) -> list[str]:
    """Names of what there is of a kind; empty where nothing answers in time."""
    try:
        return asyncio.run(asyncio.wait_for(_names(plural, project), PATIENCE))
    except (TowpathError, TimeoutError):
        return []


async def _names(plural: str, project: str) -> list[str]:
    from starter.session import connect

    towpath = await connect()
    if plural == "projects":
        return await towpath.project_names()
    if not project:
        return []
    if plural == "stages":
        return [line.name for line in await towpath.stage_lines(project)]
    if plural == "warehouses":
        return [line.name for line in await towpath.warehouse_lines(project)]
    if plural == "promotions":
        return [line.name for line in await towpath.promotion_lines(project)]
    if plural == "verifications":
        return [line.name for line in await towpath.verification_lines(project)]
    if plural == "freight":
        return [record.name for record in await towpath.freight_records(project)]
    if plural == "aliases":
        return [record.alias for record in await towpath.freight_records(project) if record.alias]
    return []
