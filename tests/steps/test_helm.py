"""helm-template and helm-update-chart, with a stand-in for the helm program that notes how it was called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from activities.credentials import Credential
from activities.settings import ActivitySettings
from activities.steps import helm  # noqa: F401  # registers the steps
from activities.steps.registry import STEPS, StepContext, StepErrored, StepFailed
from tests.steps.contexts import run_step, step_context

STAND_IN = """#!{python}
import json, os, pathlib, sys
words = sys.argv[1:]
here = pathlib.Path(__file__).parent
home = pathlib.Path(os.environ["HOME"])
files = {{path.name: json.loads(path.read_text()) for path in home.glob("*.json*")}}
files |= {{path.name: json.loads(path.read_text()) for path in home.glob("*.yaml")}}
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([words, files, dict(os.environ)]) + "\\n")
if (here / "refusal").exists():
    sys.exit((here / "refusal").read_text().format(chart=words[-1]))
if words[0] == "template":
    sys.stdout.write((here / "rendered").read_text())
else:
    lock = here / "lock"
    if lock.exists():
        (pathlib.Path(words[-1]) / "Chart.lock").write_text(lock.read_text())
"""
CHART = """\
# ours
name: app
dependencies:
- name: redis  # the cache
  version: 18.0.0
  repository: https://charts.example.com
- name: pg
  version: 1.x
  repository: oci://registry.example.com/charts
"""
RENDERED = """\
---
# Source: app/templates/a.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: prod
---
# Source: app/templates/b.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: Settings}
"""


def lock(redis: str, generated: str = "2031-01-01T00:00:00.123456789+02:00") -> str:
    return (
        f"dependencies:\n- name: redis\n  repository: https://charts.example.com\n  version: {redis}\n"
        f'digest: sha256:1\ngenerated: "{generated}"\n'
    )


class Program:
    """The stand-in, and what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        program = directory / "helm"
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)
        (directory / "rendered").write_text(RENDERED)

    def say(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def calls(self) -> list[tuple[list[str], dict[str, Any], dict[str, str]]]:
        path = self.directory / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    program = Program(tmp_path / "bin")
    monkeypatch.setattr("activities.charts.shutil.which", lambda name: str(program.directory / name))
    monkeypatch.setenv("TOWPATH_SOMETHING", "x")
    return program


def context(tmp_path: Path, files: dict[str, str] | None = None, **settings: Any) -> StepContext:
    """A workspace with a chart `app`, whose repositories have credentials."""
    for name, text in ({"app/Chart.yaml": CHART} | (files or {})).items():
        path = tmp_path / "w" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def find(project: str, kind: str, url: str) -> Credential | None:
        known = {"https://charts.example.com", "oci://registry.example.com/charts/pg"}
        return Credential("charts", username="reader", password="pass-of-the-test") if url in known else None

    outside = SimpleNamespace(settings=ActivitySettings(**settings), credentials=SimpleNamespace(find=find))
    return step_context(tmp_path / "w", outside=outside)


TEMPLATE: dict[str, Any] = {"path": "app", "outPath": "out/all.yaml", "releaseName": "web"}
#: config, the options that helm gets
OPTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the Project is the namespace": ({}, ["--namespace=demo"]),
    "a namespace": ({"namespace": "prod"}, ["--namespace=prod"]),
    "values": (
        {"setValues": [{"key": "a.b", "value": "1"}, {"key": "c", "value": "2,3", "literal": True}]},
        ["--namespace=demo", "--set=a.b=1", "--set-literal=c=2,3"],
    ),
    "versions": (
        {"kubeVersion": "1.30.0", "apiVersions": ["a/v1", "b/v1"]},
        ["--namespace=demo", "--api-versions=a/v1", "--api-versions=b/v1", "--kube-version=1.30.0"],
    ),
    "switches": (
        {"includeCRDs": True, "disableHooks": True, "skipTests": True},
        ["--namespace=demo", "--include-crds", "--no-hooks", "--skip-tests"],
    ),
    "the release names no directory of a file": ({"useReleaseName": True}, ["--namespace=demo"]),
}


@pytest.mark.parametrize("case", OPTIONS)
async def test_template_calls_helm_with_the_options_given(tmp_path: Path, program: Program, case: str) -> None:
    config, options = OPTIONS[case]
    await run_step("helm-template", TEMPLATE | config, context(tmp_path))
    [(words, _, environment)] = program.calls()
    assert words == ["template", *options, "--", "web", str(tmp_path / "w/app")]
    assert "TOWPATH_SOMETHING" not in environment
    assert (tmp_path / "w/out/all.yaml").read_text() == RENDERED


async def test_files_of_values_come_in_order_and_missing_ones_are_left_out(tmp_path: Path, program: Program) -> None:
    config = {"valuesFiles": ["b.yaml", "none.yaml", "/a.yaml"], "ignoreMissingValueFiles": True}
    await run_step("helm-template", TEMPLATE | config, context(tmp_path, {"a.yaml": "", "b.yaml": ""}))
    [(words, _, _)] = program.calls()
    given = [word for word in words if word.startswith("--values")]
    assert given == [f"--values={tmp_path}/w/b.yaml", f"--values={tmp_path}/w/a.yaml"]


async def test_helm_writes_to_a_directory_itself(tmp_path: Path, program: Program) -> None:
    config = TEMPLATE | {"outPath": "out", "useReleaseName": True}
    await run_step("helm-template", config, context(tmp_path))
    [(words, _, _)] = program.calls()
    assert words[2:4] == [f"--output-dir={tmp_path}/w/out", "--release-name"]


async def test_flat_layout_has_a_file_per_resource(tmp_path: Path, program: Program) -> None:
    await run_step("helm-template", TEMPLATE | {"outPath": "out", "outLayout": "flat"}, context(tmp_path))
    written = {path.name: path.read_text() for path in (tmp_path / "w/out").iterdir()}
    assert sorted(written) == ["apps-deployment-prod-web.yaml", "configmap-settings.yaml"]
    assert written["configmap-settings.yaml"].startswith("# Source: app/templates/b.yaml\napiVersion: v1\n")


@pytest.mark.parametrize(
    ("rendered", "message"),
    [
        ("kind: A\nmetadata: {name: ../../x}\n", "can't be a file's name"),
        ("kind: A\nmetadata: {name: x}\n---\nkind: A\nmetadata: {name: x}\n", r"two resources .* a-x\.yaml"),
        ("kind: [\n", "not valid YAML"),
    ],
)
async def test_flat_layout_refuses(tmp_path: Path, program: Program, rendered: str, message: str) -> None:
    program.say("rendered", rendered)
    with pytest.raises(StepErrored, match=message):
        await run_step("helm-template", TEMPLATE | {"outPath": "out", "outLayout": "flat"}, context(tmp_path))


async def test_dependencies_are_built_with_the_projects_credentials(tmp_path: Path, program: Program) -> None:
    program.say("lock", lock("18.0.0"))
    given = context(tmp_path, plain_http_registries=["registry.example.com"])
    await run_step("helm-template", TEMPLATE | {"buildDependencies": True}, given)
    [(words, files, _), (after, _, _)] = program.calls()
    assert words == ["dependency", "build", "--plain-http", "--", str(tmp_path / "w/app")]
    assert after[0] == "template"
    [repository] = files["repositories.yaml"]["repositories"]
    assert (repository["url"], repository["password"]) == ("https://charts.example.com", "pass-of-the-test")
    assert list(files["registry.json"]["auths"]) == ["registry.example.com"]


async def test_update_sets_versions_and_says_what_changed(tmp_path: Path, program: Program) -> None:
    program.say("lock", lock("18.1.0"))
    wanted = {"repository": "https://charts.example.com", "name": "redis", "version": "18.1.0"}
    outputs = []
    for place in ("one", "two"):  # the second: a rebuild on another host
        given = context(tmp_path / place, {"app/Chart.lock": lock("18.0.0")})
        outputs.append(await run_step("helm-update-chart", {"path": "app", "charts": [wanted]}, given))
    expected = {"commitMessage": "Updated chart dependencies for app\n\n- redis: 18.0.0 -> 18.1.0"}
    assert outputs == [expected, expected]
    chart = tmp_path / "one/w/app"
    assert (chart / "Chart.yaml").read_text() == CHART.replace("18.0.0", "18.1.0")
    assert (chart / "Chart.lock").read_text() == lock("18.1.0", "2026-01-02T03:04:05Z")
    for name in ("Chart.yaml", "Chart.lock"):
        assert (chart / name).read_bytes() == (tmp_path / "two/w/app" / name).read_bytes()
    assert program.calls()[0][0] == ["dependency", "update", "--", str(chart)]


async def test_a_lock_that_says_the_same_stays_as_it_was(tmp_path: Path, program: Program) -> None:
    program.say("lock", lock("18.0.0"))
    before = lock("18.0.0", "2020-01-01T00:00:00Z")
    assert await run_step("helm-update-chart", {"path": "app"}, context(tmp_path, {"app/Chart.lock": before})) == {}
    assert (tmp_path / "w/app/Chart.lock").read_text() == before


async def test_an_unknown_dependency_is_named(tmp_path: Path, program: Program) -> None:
    wanted = {"repository": "https://charts.example.com", "name": "mysql", "version": "1"}
    with pytest.raises(StepErrored, match=r"no dependency mysql from the repository https://charts\.example\.com"):
        await run_step("helm-update-chart", {"path": "app", "charts": [wanted]}, context(tmp_path))
    assert program.calls() == []


BOTH: dict[str, dict[str, Any]] = {
    "helm-template": TEMPLATE | {"buildDependencies": True},
    "helm-update-chart": {"path": "app"},
}


@pytest.mark.parametrize("name", BOTH)
async def test_helms_complaint_is_shown_without_secrets_and_places(tmp_path: Path, program: Program, name: str) -> None:
    program.say("refusal", "Error: {chart}: chart redis 9 not found, reader:pass-of-the-test")
    with pytest.raises(StepErrored, match=r"app: app: chart redis 9 not found, reader:\*\*\*$"):
        await run_step(name, BOTH[name], context(tmp_path))


@pytest.mark.parametrize("name", BOTH)
async def test_without_helm_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("activities.charts.shutil.which", lambda name: None)
    with pytest.raises(StepErrored, match=r"helm is not installed on this worker"):
        await run_step(name, BOTH[name], context(tmp_path))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("local", ["file:///etc", "file://../../.."])
async def test_nothing_outside_the_workspace_is_packed(tmp_path: Path, program: Program, name: str, local: str) -> None:
    chart = f"name: app\ndependencies:\n- {{name: a, version: '1', repository: '{local}'}}\n"
    with pytest.raises(StepErrored, match=r"must be relative|leads out of the workspace"):
        await run_step(name, BOTH[name], context(tmp_path, {"app/Chart.yaml": chart}))
    assert program.calls() == []


@pytest.mark.parametrize("name", BOTH)
async def test_no_link_leads_helm_out_of_the_workspace(tmp_path: Path, program: Program, name: str) -> None:
    given = context(tmp_path, {"app/templates/a.yaml": "", "shared/b.yaml": ""})
    (tmp_path / "w/app/templates/shared").symlink_to("../../shared")
    (tmp_path / "w/shared/secret.yaml").symlink_to("/etc/passwd")
    with pytest.raises(StepErrored, match="leads out of the workspace"):
        await run_step(name, BOTH[name], given)
    assert program.calls() == []


async def test_a_missing_chart_is_errored(tmp_path: Path, program: Program) -> None:
    with pytest.raises(StepErrored, match=r"there is no Chart\.yaml in other"):
        await run_step("helm-update-chart", {"path": "other"}, context(tmp_path))


async def test_a_name_that_helm_would_split_is_refused(tmp_path: Path, program: Program) -> None:
    with pytest.raises(StepFailed, match="can't hold commas"):
        await run_step("helm-template", TEMPLATE | {"valuesFiles": ["a,/etc/passwd"]}, context(tmp_path))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("helm-template", {"path": "app", "outPath": "o"}),
        ("helm-template", TEMPLATE | {"outLayout": "kargo"}),
        ("helm-template", TEMPLATE | {"setValues": [{"key": "a"}]}),
        ("helm-update-chart", {"path": "app", "charts": []}),
        ("helm-update-chart", {"path": "app", "charts": [{"name": "a", "version": "1"}]}),
    ],
)
def test_bad_configs(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEPS[name].config.model_validate(config)


async def test_a_rebuild_renders_the_same(tmp_path: Path, program: Program) -> None:
    written = []
    for place in ("one", "two"):
        await run_step("helm-template", TEMPLATE, context(tmp_path / place))
        written.append((tmp_path / place / "w/out/all.yaml").read_bytes())
    assert written == [RENDERED.encode()] * 2
