"""What a benchmark found, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from worker.embedded import server_binary


@dataclass(frozen=True)
class Figure:
    """One number."""

    name: str
    value: float
    #: `s`, `ms`, `per s`, `events`, …; `×` is a ratio of two numbers of the same run.
    unit: str
    #: What it was measured against or made of.
    note: str = ""
    #: What a ratio must not exceed; None: no bound is set.
    reach: float | None = None

    @property
    def reached(self) -> bool:
        return self.reach is None or self.value <= self.reach

    @property
    def shown(self) -> str:
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        return f"{self.value:,.{digits}f} {self.unit}"


def spread(values: Sequence[float], unit: str = "s", scale: float = 1.0) -> str:
    """Median, least and most of several measurements, in words."""
    low, mid, high = (f"{value * scale:.3g}" for value in (min(values), median(values), max(values)))
    return f"median {mid} {unit} of {len(values)} ({low} to {high})"


def machine() -> dict[str, Any]:
    """The machine and its load now. What else runs on it slows everything that is measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "sync_ms": round(_sync_milliseconds(), 2),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "temporal": _version(str(server_binary())),
        "git": _version("git"),
    }


def state(seen: dict[str, Any]) -> str:
    """The machine in one line."""
    load = " ".join(f"{load:g}" for load in seen["load"])
    sync = f"a sync to disk {seen['sync_ms']} ms"
    return (
        f"{seen['cores']} cores, load {load}, {sync}, {seen['platform']}, Python {seen['python']}, {seen['temporal']}"
    )


def table(title: str, figures: Sequence[Figure]) -> str:
    """The figures in columns, ratios first."""
    ordered = sorted(figures, key=lambda figure: figure.unit != "×")
    names = max(len(figure.name) for figure in ordered)
    values = max(len(figure.shown) for figure in ordered)
    lines = [title]
    for figure in ordered:
        bound = "" if figure.reach is None else f" [{'reached' if figure.reached else 'MISSED'}: ≤ {figure.reach:g}]"
        lines.append(f"  {figure.name:<{names}}  {figure.shown:>{values}}  {figure.note}{bound}".rstrip())
    return "\n".join(lines)


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [asdict(figure) for figure in figures]


def _sync_milliseconds() -> float:
    """How long the disk takes to keep 4 KB: the server waits for that several times in every workflow task."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(25):
            begun = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return 1000 * median(took)


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip().splitlines()[0]
