"""helm-template, helm-update-chart and kustomize-build's Helm plugin with the real helm, against repositories that want
credentials: one over HTTP, one a registry (Debian's docker-registry, where it is installed)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from activities.credentials import Credential
from activities.settings import ActivitySettings
from activities.steps import helm, kustomize  # noqa: F401  # registers the steps
from activities.steps.registry import StepContext, StepErrored
from examples.world.charts import ChartRepository
from examples.world.registry import Registry
from tests.discovery.docker_registry import COMMAND, DockerRegistry
from tests.steps.contexts import run_step, step_context

VARIABLE = "TOWPATH_TEST_HELM"
HELM = os.environ.get(VARIABLE) or shutil.which("helm")
USER, PASSWORD = "reader", "pass-of-the-test"
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuu231hPdaDrho/rlw2t8Vpb027ds0Ve7q"
LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
CONFIG = "application/vnd.cncf.helm.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

if HELM is None:
    warnings.warn(f"NOT TESTED with the real helm: none on PATH, and {VARIABLE} is not set", stacklevel=1)
    pytestmark = pytest.mark.skip(f"NOT TESTED with the real helm: none on PATH, and {VARIABLE} is not set")


def packed(name: str, version: str) -> bytes:
    """A chart of one ConfigMap, packed."""
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n",
        "values.yaml": "greeting: hello\n",
        "templates/map.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-" + name + "\n"
            "  namespace: {{ .Release.Namespace }}\n"
            "data:\n  version: {{ .Chart.Version | quote }}\n  greeting: {{ .Values.greeting | quote }}\n"
        ),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class World:
    """A repository with the chart redis, a registry with the chart pg, and a workspace's credentials for both."""

    http: ChartRepository
    registry: Registry | DockerRegistry
    directory: Path

    def context(self, name: str = "w", *, password: str = PASSWORD, **files: str) -> StepContext:
        for path, text in {"app/Chart.yaml": self.chart(), **files}.items():
            place = self.directory / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

        def find(project: str, kind: str, url: str) -> Credential | None:
            known = {self.http.url, f"oci://{self.registry.host}/charts/pg"}
            return Credential("charts", username=USER, password=password) if url in known else None

        settings = ActivitySettings(plain_http_registries=[self.registry.host])
        outside = SimpleNamespace(settings=settings, credentials=SimpleNamespace(find=find))
        return step_context(self.directory / name, outside=outside)

    def chart(self, redis: str = "18.0.0", pg: str = "1.x") -> str:
        return (
            "apiVersion: v2\nname: app # ours\nversion: 0.1.0\ndependencies:\n"
            f"- name: redis  # the cache\n  version: {redis}\n  repository: {self.http.url}\n"
            f"- name: pg\n  version: {pg}\n  repository: oci://{self.registry.host}/charts\n"
        )

    def push(self, name: str, version: str) -> None:
        """Push a chart to the registry, as `helm push` does."""
        config = json.dumps({"apiVersion": "v2", "name": name, "version": version}).encode()
        blobs = [(CONFIG, config), (LAYER, packed(name, version))]
        base = f"http://{self.registry.host}/v2/charts/{name}"
        described = []
        with httpx.Client(auth=(USER, PASSWORD)) as client:
            for media_type, blob in blobs:
                digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
                place = client.post(f"{base}/blobs/uploads/").raise_for_status().headers["location"]
                url = httpx.URL(base).join(place).copy_merge_params({"digest": digest})
                client.put(url, content=blob).raise_for_status()
                described.append({"mediaType": media_type, "digest": digest, "size": len(blob)})
            manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
            headers = {"Content-Type": MANIFEST}
            client.put(f"{base}/manifests/{version}", content=json.dumps(manifest), headers=headers).raise_for_status()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "helm").symlink_to(Path(HELM or "").resolve())
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with (
        ChartRepository(user=USER, password=PASSWORD) as http,
        DockerRegistry(tmp_path, HTPASSWD) if COMMAND else Registry(auth="basic", users={USER: PASSWORD}) as registry,
    ):
        world = World(http, registry, tmp_path)
        for version in ("18.0.0", "18.1.0"):
            http.files[f"redis-{version}.tgz"] = packed("redis", version)
        entries = [
            {"apiVersion": "v2", "name": "redis", "version": version, "urls": [f"{http.url}/redis-{version}.tgz"]}
            for version in ("18.1.0", "18.0.0")
        ]
        http.index = yaml.safe_dump({"apiVersion": "v1", "entries": {"redis": entries}}).encode()
        for version in ("1.0.0", "1.4.0"):
            world.push("pg", version)
        yield world


def rendered(path: Path) -> dict[str, dict[str, Any]]:
    """Resources of a file by name."""
    return {item["metadata"]["name"]: item for item in yaml.safe_load_all(path.read_text()) if item}


async def test_update_sets_a_version_and_locks_all(world: World) -> None:
    wanted = {"repository": world.http.url, "name": "redis", "version": "18.1.0"}
    outputs = [  # the second: a rebuild on another host
        await run_step("helm-update-chart", {"path": "app", "charts": [wanted]}, world.context(place))
        for place in ("one", "two")
    ]
    message = "Updated chart dependencies for app\n\n- pg: 1.4.0\n- redis: 18.1.0"
    assert outputs == [{"commitMessage": message}] * 2
    one, two = (world.directory / place / "app" for place in ("one", "two"))
    assert (one / "Chart.yaml").read_text() == world.chart(redis="18.1.0")
    lock = yaml.safe_load((one / "Chart.lock").read_text())
    assert [(item["name"], item["version"]) for item in lock["dependencies"]] == [("redis", "18.1.0"), ("pg", "1.4.0")]
    for name in ("Chart.yaml", "Chart.lock", "charts/redis-18.1.0.tgz", "charts/pg-1.4.0.tgz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    # Nothing to change: the lock stays as it is, its date too.
    before = (one / "Chart.lock").read_bytes()
    assert await run_step("helm-update-chart", {"path": "app"}, step_context_of(world, "one")) == {}
    assert (one / "Chart.lock").read_bytes() == before


def step_context_of(world: World, place: str) -> StepContext:
    """The context again, its files as they are by now."""
    return world.context(place, **{"app/Chart.yaml": (world.directory / place / "app/Chart.yaml").read_text()})


async def test_a_chart_and_what_it_depends_on_is_rendered(world: World) -> None:
    given = world.context(**{"values.yaml": "redis:\n  greeting: from a file\n", "app/templates/a.yaml": ""})
    config = {
        "path": "app",
        "outPath": "out/all.yaml",
        "releaseName": "web",
        "namespace": "prod",
        "buildDependencies": True,
        "valuesFiles": ["values.yaml"],
        "setValues": [{"key": "pg.greeting", "value": "1,2", "literal": True}],
    }
    await run_step("helm-template", config, given)
    found = rendered(world.directory / "w/out/all.yaml")
    assert found["web-redis"]["data"] == {"version": "18.0.0", "greeting": "from a file"}
    assert found["web-pg"]["data"] == {"version": "1.4.0", "greeting": "1,2"}
    assert found["web-pg"]["metadata"]["namespace"] == "prod"


async def test_built_from_the_lock_though_there_is_something_newer(world: World) -> None:
    await run_step("helm-update-chart", {"path": "app"}, world.context())
    world.push("pg", "1.9.0")
    config = {"path": "app", "outPath": "all.yaml", "releaseName": "web", "buildDependencies": True}
    shutil.rmtree(world.directory / "w/app/charts")
    await run_step("helm-template", config, world.context())
    assert rendered(world.directory / "w/all.yaml")["web-pg"]["data"]["version"] == "1.4.0"


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ({}, ["app/charts/pg/templates/map.yaml", "app/charts/redis/templates/map.yaml"]),
        ({"useReleaseName": True}, ["web/app/charts/pg/templates/map.yaml", "web/app/charts/redis/templates/map.yaml"]),
        ({"outLayout": "flat"}, ["configmap-demo-web-pg.yaml", "configmap-demo-web-redis.yaml"]),
    ],
)
async def test_layouts_of_a_directory(world: World, config: dict[str, Any], files: list[str]) -> None:
    given = {"path": "app", "outPath": "out", "releaseName": "web", "buildDependencies": True, **config}
    await run_step("helm-template", given, world.context())
    out = world.directory / "w/out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.yaml")) == files


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("18.0.0", "99.0.0"), r"redis.*99\.0\.0|99\.0\.0.*redis"),
        (("1.x", "7.x"), r"pg"),
        (("redis", "valkey"), r"valkey"),
    ],
)
async def test_a_version_that_does_not_exist_is_named(world: World, change: tuple[str, str], says: str) -> None:
    given = world.context(**{"app/Chart.yaml": world.chart().replace(*change)})
    with pytest.raises(StepErrored, match=says):
        await run_step("helm-update-chart", {"path": "app"}, given)


async def test_wrong_credentials_are_refused_and_not_shown(world: World) -> None:
    with pytest.raises(StepErrored, match=r"chart repository http://.* can't be read: .*401 Unauthorized") as caught:
        await run_step("helm-update-chart", {"path": "app"}, world.context(password="another-of-the-test"))
    assert "another-of-the-test" not in str(caught.value)


def test_it_is_helm_3() -> None:
    shown = subprocess.run([HELM or "", "version", "--short"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("v3.")


async def test_kustomize_inflates_charts_with_it(world: World) -> None:
    kustomization = (
        "helmCharts:\n- name: redis\n  releaseName: web\n  namespace: prod\n  version: 18.0.0\n"
        "  valuesInline: {greeting: inline}\nhelmGlobals: {chartHome: charts}\n"
    )
    given = world.context(**{"src/kustomization.yaml": kustomization})
    with tarfile.open(fileobj=io.BytesIO(packed("redis", "18.0.0"))) as archive:
        archive.extractall(world.directory / "w/src/charts", filter="data")
    await run_step("kustomize-build", {"path": "src", "outPath": "all.yaml"}, given)
    assert rendered(world.directory / "w/all.yaml")["web-redis"]["data"]["greeting"] == "inline"
