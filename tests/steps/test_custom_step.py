"""A package that brings a step: the example, installed as pip would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In a process of its own: what is registered stays registered.
_USE = """
import asyncio, json, sys
from pathlib import Path
from activities.steps.catalog import load_steps
from activities.steps.check import check_steps, describe_steps
from model.steps import CheckStepsRequest, DescribeStepsRequest, StepUse
from tests.steps.contexts import run_step, step_context

async def main():
    load_steps()
    shown = (await describe_steps(DescribeStepsRequest(name="say-hello"))).steps[0]
    uses = [StepUse(where="here", uses="say-hello", config={"name": "x", "outpath": "y"})]
    problems = (await check_steps(CheckStepsRequest(uses=uses))).problems
    config = {"name": "Ann", "outPath": "../d/hello.txt"}
    context = step_context(Path(sys.argv[1]))
    outputs = [await run_step("say-hello", config, context) for _ in range(2)]
    print(json.dumps({
        "effect": shown.kind.effect, "required": shown.config_schema["required"],
        "description": shown.description, "problems": [problem.message for problem in problems],
        "outputs": outputs,
    }))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built and installed into a directory, without a look at the network."""
    target = tmp_path_factory.mktemp("installed")
    install = ["-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    where = ["--python", sys.executable, "--target", str(target), str(ROOT / "examples/custom-step")]
    done = subprocess.run([sys.executable, *install, *where], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_an_installed_package_brings_its_step(installed: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": f"{ROOT}:{installed}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", _USE, str(tmp_path / "ws")],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    greeting = "Hello, Ann: dev gets 540d970918f2aead3277576026d5660c723f05ea"
    assert found == {
        "effect": "workspace",
        "required": ["name", "outPath"],
        "description": "Write a greeting to a file of the workspace.",
        "problems": ["outPath: is required", "outpath: unknown field; did you mean outPath?"],
        "outputs": [{"greeting": greeting}] * 2,
    }
    assert (tmp_path / "ws/d/hello.txt").read_text() == greeting + "\n"
