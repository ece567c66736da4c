"""Logs of an AnalysisRun's Jobs, as the measurements keep them (Kargo: pkg/server/get_analysisrun_logs.go)."""

from __future__ import annotations

import re

from starter.errors import InvalidInput, NotFound
from starter.shapes import Resource

_HEAD = re.compile(r"^==> (\S+) (\S+) <==$", re.MULTILINE)


def job_logs(run: Resource, metric: str = "", container: str = "") -> str:
    """The last lines that the containers of a metric's Jobs wrote, by measurement, each under the name of its pod.

    `metric` empty: the only one with a Job. `container` empty: all of them. Raises NotFound, InvalidInput.
    """
    name = run["metadata"]["name"]
    metrics = run.get("spec", {}).get("metrics") or []
    jobs = [entry["name"] for entry in metrics if "job" in (entry.get("provider") or {})]
    if metric and metric not in jobs:
        raise NotFound(f"AnalysisRun {name} has no job metric named {metric!r}")
    if not jobs:
        raise NotFound(f"AnalysisRun {name} has no job metrics")
    if not metric and len(jobs) > 1:
        raise InvalidInput(f"AnalysisRun {name} has several job metrics ({', '.join(jobs)}): say metricName")
    chosen = metric or jobs[0]
    results = run.get("status", {}).get("metricResults") or []
    result: Resource = next((entry for entry in results if entry.get("name") == chosen), {})
    kept = [str((entry.get("metadata") or {}).get("logs") or "") for entry in result.get("measurements") or []]
    if not container:
        return "\n".join(text for text in kept if text)
    parts = [part for text in kept for part in _of(text, container)]
    if not parts:
        raise NotFound(f"metric {chosen} of AnalysisRun {name} has no logs of a container named {container!r}")
    return "\n".join(parts)


def _of(text: str, container: str) -> list[str]:
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [text[head.start() : end].strip("\n") for head, end in zip(heads, ends, strict=True) if head[2] == container]
