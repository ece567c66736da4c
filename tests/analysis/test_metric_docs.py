"""The page about metrics has a valid example of every provider, and logs show what a Job said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from activities.metrics.conditions import check_syntax
from activities.metrics.registry import PROVIDERS, load_providers
from model.admission.analysis_template import check_analysis_template
from model.arguments import fill_arguments
from model.resources import AnalysisTemplate
from model.supported import unsupported
from starter.commands.logs import verification_log

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_every_provider_stands_on_the_page() -> None:
    load_providers()
    assert {name for name in PROVIDERS if "/" not in name} | {"plugin"} == set(
        re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["metadata"]["name"])
def test_example_is_valid(example: dict[str, object]) -> None:
    load_providers()
    template = AnalysisTemplate.model_validate(example)
    assert list(check_analysis_template(template)) == []
    assert unsupported(template) == []
    for metric in template.shown()["spec"]["metrics"]:
        filled = fill_arguments(metric, {"service": "shop"})
        check_syntax("successCondition", filled.get("successCondition", ""))
        [(kind, config)] = filled["provider"].items()
        if kind != "plugin":
            PROVIDERS[kind].read_config(config)


def test_logs_show_what_the_pods_of_a_job_said() -> None:
    metadata = {"job-name": "m.1", "job-namespace": "demo", "logs": "==> pod test <==\nfine\n"}
    measurement = {"phase": "Successful", "finishedAt": "2024-01-01T00:00:00Z", "metadata": metadata}
    status = {
        "phase": "Successful",
        "metricResults": [{"name": "m", "phase": "Successful", "measurements": [measurement]}],
    }
    lines = verification_log({"metadata": {"name": "v"}, "status": status})
    assert lines[-3:] == ["    job demo/m.1", "    ==> pod test <==", "    fine"]
