"""What the logs of an AnalysisRun's Jobs are made of."""

from __future__ import annotations

from typing import Any

import pytest

from starter.errors import InvalidInput, NotFound, TowpathError
from web.api.job_logs import job_logs

KEPT = "==> pod-1 test <==\nline 1\nline 2\n\n==> pod-1 helper <==\naside\n"


def run(**logs: list[str]) -> dict[str, Any]:
    """An AnalysisRun with these job metrics, each with the logs of its measurements, and one that asks the web."""
    metrics: list[dict[str, Any]] = [{"name": name, "provider": {"job": {}}} for name in logs]
    results = [
        {"name": name, "measurements": [{"metadata": {"logs": text}} for text in texts]} for name, texts in logs.items()
    ]
    return {
        "metadata": {"name": "dev.1"},
        "spec": {"metrics": [*metrics, {"name": "web", "provider": {"web": {}}}]},
        "status": {"metricResults": results},
    }


def test_the_only_job_metric_is_meant() -> None:
    assert job_logs(run(smoke=[KEPT, "==> pod-2 test <==\nagain\n"])) == f"{KEPT}\n==> pod-2 test <==\nagain\n"
    assert job_logs(run(smoke=[])) == ""


def test_one_container_is_shown_alone() -> None:
    assert job_logs(run(smoke=[KEPT]), container="helper") == "==> pod-1 helper <==\naside"
    assert job_logs(run(smoke=[KEPT]), "smoke", "test") == "==> pod-1 test <==\nline 1\nline 2"


@pytest.mark.parametrize(
    ("logs", "metric", "container", "error", "says"),
    [
        ({}, "", "", NotFound, "has no job metrics"),
        ({"a": []}, "web", "", NotFound, "no job metric named 'web'"),
        ({"a": [], "b": []}, "", "", InvalidInput, "several job metrics (a, b)"),
        ({"a": [KEPT]}, "", "other", NotFound, "no logs of a container named 'other'"),
    ],
)
def test_what_can_not_be_shown_is_said(
    logs: dict[str, list[str]], metric: str, container: str, error: type[TowpathError], says: str
) -> None:
    with pytest.raises(error) as refused:
        job_logs(run(**logs), metric, container)
    assert says in str(refused.value)
