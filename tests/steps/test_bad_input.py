"""What bad input gets: Failed or Errored, with a message that names the field or file, and the reason.

The step's alias stands beside it, in the record that a Promotion keeps of each step.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps.catalog import load_steps
from activities.steps.registry import STEPS
from activities.steps.runtime import step_activity
from model.references import (
    FreightOrigin,
    FreightReference,
    Image,
    RequestedOrigin,
    SubscribedRepo,
    collect,
)
from model.steps import ERRORED, FAILED, PlannedStep, PromotionContext, StepRequest

load_steps()
IMAGE = "ghcr.io/team/app"
YAML = {"a.yaml": "a: [1, 2]\nb: {c: 1}\n"}

#: What is in the workspace; step and config; how it ends; what the message says.
CASES: dict[str, tuple[Mapping[str, str], str, dict[str, Any], str, str]] = {
    "a key that doesn't exist": (
        YAML, "yaml-update", {"path": "a.yaml", "updates": [{"key": "b.d", "value": 1}]},
        ERRORED, r"^a\.yaml: key 'b\.d' is not there: nothing at 'd'",
    ),
    "an array index out of range": (
        YAML, "yaml-update", {"path": "a.yaml", "updates": [{"key": "a.2", "value": 1}]},
        ERRORED, r"^a\.yaml: key 'a\.2' is not there: nothing at '2'",
    ),
    "an index out of range in an expression": (
        YAML, "yaml-parse", {"path": "a.yaml", "outputs": [{"name": "x", "fromExpression": "a[2]"}]},
        ERRORED, r"output x: index out of range: 2 \(array length is 2\) \(1:2\)",
    ),
    "invalid YAML": (
        {"a.yaml": "a: 1\nb: c: d\n"}, "yaml-update", {"path": "a.yaml", "updates": [{"key": "a", "value": 1}]},
        ERRORED, r"^a\.yaml: line 2, column 5: mapping values are not allowed",
    ),
    "invalid YAML that is read": (
        {"a.yaml": "a: 1\nb: c: d\n"}, "yaml-parse",
        {"path": "a.yaml", "outputs": [{"name": "x", "fromExpression": "a"}]},
        ERRORED, r"^a\.yaml can't be read: line 2, column 5",
    ),
    "an expression of the wrong type": (
        {}, "file-write", {"path": "a", "contents": "${{ 1 + 1 }}"},
        FAILED, r"^the config of file-write is not valid: contents: Input should be a valid string",
    ),
    "a wrong type below a list": (
        {}, "http", {"url": "http://127.0.0.1", "headers": [{"name": "n", "value": "${{ 5 }}"}]},
        FAILED, r"headers\[0\]\.value: Input should be a valid string",
    ),
    "a missing output": (
        {}, "file-write", {"path": "a", "contents": "${{ outputs['clone'].commits }}"},
        ERRORED, r"^config: contents: ",
    ),
    "an ambiguous image": (
        {}, "file-write", {"path": "a", "contents": f"${{{{ imageFrom('{IMAGE}').Tag }}}}"},
        ERRORED, rf"^config: contents: .*{IMAGE}",
    ),
    "an archive that isn't one": ({"a.tar": "x"}, "untar", {"inPath": "a.tar", "outPath": "o"}, ERRORED, r"a\.tar"),
    "a file that isn't there": (
        {}, "json-update", {"path": "no.json", "updates": [{"key": "a", "value": 1}]},
        ERRORED, r"^no\.json can't be read: No such file",
    ),
    "images of two Warehouses": (
        {}, "kustomize-set-image", {"path": "src"}, ERRORED, rf"both .* subscribe to .*{IMAGE}",
    ),
    "a chart that isn't there": (
        {}, "helm-template", {"path": "app", "outPath": "o.yaml", "releaseName": "r"}, ERRORED, r"app|helm",
    ),
    "no worktree": ({}, "git-commit", {"path": "src", "message": "m"}, ERRORED, r"^src is not a working tree"),
}  # fmt: skip


async def run(outside: Outside, name: str, config: dict[str, Any]) -> None:
    piece = FreightReference(name="f", origin=FreightOrigin(name="web"), images=[Image(repo_url=IMAGE, tag="1")])
    origins = [
        RequestedOrigin(origin=FreightOrigin(name=name), subscriptions=[SubscribedRepo(kind="image", repo_url=IMAGE)])
        for name in ("web", "api")
    ]
    context = PromotionContext(
        project="demo", stage="dev", promotion="dev.p", freight=piece, collection=collect(piece), origins=origins
    )
    step = PlannedStep(alias="bad", kind=STEPS[name].kind, config=config)
    request = StepRequest(context=context, workspace="dev.p", step=step, index=1, started_at=datetime.now(UTC))
    await ActivityEnvironment().run(step_activity(STEPS[name], outside, asyncio.Semaphore(1)), request)


@pytest.mark.parametrize("case", CASES)
async def test_bad_input(tmp_path: Path, case: str) -> None:
    files, name, config, outcome, says = CASES[case]
    outside = open_outside(ActivitySettings(data_directory=tmp_path / "data"))
    workspace = outside.workspaces.claim("dev.p")
    for path, text in files.items():
        (workspace / path).write_text(text)
    with pytest.raises(ApplicationError) as caught:
        await run(outside, name, config)
    assert caught.value.type == outcome
    assert re.search(says, caught.value.message), caught.value.message
