"""A workflow and an activity that stand in for the real ones in the tests of this room."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow


@workflow.defn
class Tow:
    """Waits until it is let go, then runs one activity."""

    def __init__(self) -> None:
        self.released = False

    @workflow.signal
    def release(self) -> None:
        self.released = True

    @workflow.query
    def waits(self) -> bool:
        return not self.released

    @workflow.run
    async def run(self, cargo: str) -> str:
        await workflow.wait_condition(lambda: self.released)
        carried: str = await workflow.execute_activity(
            "carry", cargo, result_type=str, start_to_close_timeout=timedelta(seconds=20)
        )
        return carried


@workflow.defn
class Soak:
    """Sleeps for two days."""

    @workflow.run
    async def run(self) -> str:
        await asyncio.sleep(48 * 3600)
        return "soaked"


@activity.defn(name="carry")
async def carry(cargo: str) -> str:
    return f"{cargo} is there"
