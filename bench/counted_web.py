"""`towpath web`, with the calls that it makes to Temporal counted: written to the file that is its argument."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from starter.calls import Calls
from starter.client import Towpath
from web.process import run_web
from workflows.settings import WebSettings, load_settings

#: Seconds between two counts.
PERIOD = 0.5


class CountedCalls(Calls):
    """Counts lists of visibility, and queries."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls.temporal, calls.task_queue)
        self.lists = self.queries = 0

    async def executions(self, query: str, limit: int | None = None) -> Any:
        self.lists += 1
        return await super().executions(query, limit)

    async def query(self, *arguments: Any, **options: Any) -> Any:
        self.queries += 1
        return await super().query(*arguments, **options)


async def main(counts: Path) -> None:
    towpath = await Towpath.connect("subject:bench")
    calls = CountedCalls(towpath.calls)
    towpath.calls = calls

    async def write() -> None:
        while True:
            draft = counts.with_suffix(".new")
            draft.write_text(json.dumps({"lists": calls.lists, "queries": calls.queries}))
            draft.replace(counts)
            await asyncio.sleep(PERIOD)

    writing = asyncio.create_task(write())
    try:
        await run_web(load_settings(WebSettings), towpath, lambda url: print(f"ready {url}", flush=True))
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
