"""Verifications as the command line shows them: metrics of several providers, their values, and the logs of a Job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from activities.verification import Verifications
from tests.analysis.jobs import PROVIDER, Cluster, cluster
from tests.analysis.server import MetricServer, metric_server
from tests.starter.house import Rooms, in_project, manifests
from tests.workflows.house import project, stage, warehouse


def template(server: MetricServer) -> dict[str, Any]:
    metrics = [
        {
            "name": "status",
            "interval": "1s",
            "count": "{{args.times}}",
            "successCondition": "result == 'ok'",
            "provider": {"web": {"url": f"{server.url}/health", "jsonPath": "{$.status}"}},
        },
        {
            "name": "errors",
            "successCondition": "result[0] < 0.01",
            "provider": {"prometheus": {"address": server.url, "query": "rate(errors[1m])"}},
        },
        {"name": "smoke", "provider": PROVIDER},
    ]
    spec = {"args": [{"name": "times", "value": "2"}], "metrics": metrics}
    metadata = {"name": "checks"}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": metadata, "spec": spec}


def applied(house: Rooms, *items: dict[str, Any]) -> str:
    name = house.project()
    owned = in_project(name, [warehouse(), *items])
    result = house.run("apply", "-f", "-", stdin=manifests(project(name), *owned))
    assert result.exit_code == 0, result.output
    house.house.project = name
    return name


async def ends(world: Cluster, log: str) -> None:
    world.end(await world.job(), "Complete", log)


@pytest.mark.parametrize("word", ["verifications", "analysisruns"])
def test_where_there_is_none_the_word_is_that_of_the_question(house: Rooms, word: str) -> None:
    name = applied(house, stage("dev"))
    assert house.run("get", word, "-p", name).stderr == f"No {word} found in Project {name}.\n"


def test_a_run_is_listed_and_shown_with_values_and_logs(house: Rooms, tmp_path: Path) -> None:
    with metric_server() as server, cluster(tmp_path) as (world, outside):
        server.answer("/health", {"status": "ok"})
        found = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.002"]}]}
        server.answer("/api/v1/query", {"status": "success", "data": found})
        outside.settings.job_namespace = "demo"
        house.house.verifications = Verifications(outside)
        verification = {
            "analysisTemplates": [{"name": "checks"}],
            "analysisRunMetadata": {"labels": {"team": "web"}, "annotations": {"example.com/why": "release"}},
        }
        name = applied(house, template(server), stage("dev", verification=verification))
        freight = house.wait(house.house.discover("1.0.0"))
        ending = asyncio.run_coroutine_threadsafe(ends(world, "3 checks passed\n"), house.loop)
        promoted = house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name, "--wait")
        assert promoted.exit_code == 0, promoted.output

        async def verified() -> Any:
            status = (await house.house.stage("dev"))["status"]
            history = status["freightHistory"][0].get("verificationHistory", [{}])
            return history[0].get("phase") == "Successful" and history[0]["id"]

        run = house.wait(house.house.until(verified))
        ending.result(5)
        assert run in house.run("get", "verifications", "-p", name, "--stage", "dev").stdout
        shown = yaml.safe_load(house.run("get", "verification", run, "-p", name, "-o", "yaml").stdout)
        assert (shown["kind"], shown["metadata"]["labels"]["team"]) == ("AnalysisRun", "web")
        assert shown["metadata"]["annotations"]["example.com/why"] == "release"
        assert shown["status"]["runSummary"] == {"count": 3, "successful": 3}

        text = house.run("logs", "verification", run, "-p", name).stdout
        assert "metric status: Successful\n  counts   2 successful" in text
        assert text.count('Successful  value "ok"') == 2
        assert "value [0.002]" in text
        assert "job demo/smoke." in text
        assert "    3 checks passed" in text
        alone = house.run("logs", run, "-p", name, "--metric", "smoke").stdout
        assert "3 checks passed" in alone
        assert "metric status" not in alone
        unknown = house.run("logs", run, "-p", name, "--metric", "smok")
        assert unknown.exit_code == 1
        assert "has no metric 'smok'; it has " in unknown.stderr
