"""`python -m bench`: run benchmarks, print tables, and write the figures as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench import (
    api,
    cloning,
    discovery,
    expressions,
    fanout,
    freight,
    listing,
    looks,
    polling,
    promotion,
    structured,
    throughput,
    warehouses,
)
from bench.figures import Figure, as_json, machine, state, table
from workflows.leaving import leave

RESULTS = Path(__file__).parent / "results"

Measure = Callable[..., Awaitable[list[Figure]]]

#: Name, what it measures, and how.
BENCHMARKS: dict[str, tuple[str, Measure]] = {
    "promotion": ("one guestbook promotion, against a shell script", promotion.measure),
    "throughput": ("20 Stages promoted at once", throughput.measure),
    "fanout": ("promote to all downstream Stages", fanout.measure),
    "polling": ("a Warehouse that finds nothing new", polling.measure),
    "discovery": ("an unchanged poll, for each type of subscription", discovery.measure),
    "looks": ("large registries and repositories looked at, against the naive way", looks.measure),
    "warehouses": ("1,000 Warehouses at a 5-minute interval", warehouses.measure),
    "freight": ("a Warehouse with 2,000 pieces of Freight", freight.measure),
    "listing": ("a Project's Stages listed", listing.measure),
    "api": ("the REST API: lists, and many who watch", api.measure),
    "expressions": ("expressions of a promotion step", expressions.measure),
    "yaml-update": ("yaml-update of a large file", structured.measure),
    "git-clone": ("git-clone of a repository with a long history", cloning.measure),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    listed = "; ".join(f"{name}: {title}" for name, (title, _) in BENCHMARKS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure, by default all. {listed}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes: a first impression")
    parser.add_argument("--output", type=Path, help="file of the JSON; by default one in bench/results, by time")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    chosen = [name for name in BENCHMARKS if name in options.names or not options.names]
    return asyncio.run(run(chosen, quick=options.quick, output=options.output))


async def run(names: list[str], *, quick: bool, output: Path | None) -> int:
    """Measure, one after the other. Returns the exit code: 1 where a bound was missed."""
    if (task := asyncio.current_task()) is not None:
        # Cancelled as by Ctrl-C, so that everything that was started is stopped.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    result: dict[str, Any] = {"quick": quick, "benchmarks": {}}
    missed = False
    for name in names:
        title, measure = BENCHMARKS[name]
        before, begun = machine(), time.perf_counter()
        figures = await measure(quick=quick)
        result["benchmarks"][name] = {
            "title": title,
            "machine": before,
            "load_after": machine()["load"],
            "seconds": round(time.perf_counter() - begun, 1),
            "figures": as_json(figures),
        }
        print(table(f"{name}: {title}", figures), flush=True)
        print(f"  ({state(before)})\n", flush=True)
        missed = missed or not all(figure.reached for figure in figures)
    path = output or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return int(missed)


if __name__ == "__main__":
    # A process that used Temporal's SDK may abort at its end; nothing is left to do.
    try:
        code = main()
    except SystemExit as end:
        sys.exit(end.code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        code = 130
    leave(code)
