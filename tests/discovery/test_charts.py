"""Looking for charts, in repositories on loopback: by an index over HTTP, and by the tags of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.discovery.backoff import Backoff
from activities.discovery.chart import find_charts
from activities.discovery.look import Look, LookFailed
from activities.discovery.watch import Watcher
from activities.registry.chart_index import BadIndex, versions_of
from examples.world.charts import ChartRepository
from examples.world.registry import Registry
from model.resources.warehouse import ChartDiscoveryResult, RepoSubscription


@pytest.fixture
def charts() -> Iterator[ChartRepository]:
    with ChartRepository() as repository:
        yield repository


async def find(watcher: Watcher, url: str, **fields: Any) -> ChartDiscoveryResult:
    look = Look(
        project="demo",
        now=datetime(2026, 6, 1, tzinfo=UTC),
        memory=watcher.memory,
        registries=watcher.registries,
        git=watcher.git,
        credentials=watcher.credentials,
        backoff=Backoff(),
        turns=watcher.turns,
    )
    return await find_charts(RepoSubscription.model_validate({"chart": {"repoURL": url, **fields}}), look)


VERSIONS = ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "v1.5.0", "1.2", "latest", "1.0.0+build.2"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["2.0.0-rc.1", "1.10.0", "1.9.0", "v1.5.0", "1.2", "1.0.0+build.2", "1.0.0"]),
        ({"semverConstraint": "^1.5"}, ["1.10.0", "1.9.0", "v1.5.0"]),
        ({"semverConstraint": "^2"}, []),
        ({"discoveryLimit": 2}, ["2.0.0-rc.1", "1.10.0"]),
        ({"name": "other"}, []),
    ],
)
async def test_versions_of_an_index(
    watcher: Watcher, charts: ChartRepository, fields: dict[str, Any], expected: list[str]
) -> None:
    charts.push("more", ["7.0.0"])
    charts.push("app", VERSIONS)
    charts.push("app-extra", ["8.0.0"])

    found = await find(watcher, charts.url, **{"name": "app", **fields})

    assert found.versions == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0+build.2", "1.0.0"]),
        ({"semverConstraint": "~1.9"}, ["1.9.0"]),
        ({"discoveryLimit": 1}, ["2.0.0-rc.1"]),
    ],
)
async def test_versions_of_an_oci_repository(
    watcher: Watcher, registry: Registry, fields: dict[str, Any], expected: list[str]
) -> None:
    for version in VERSIONS:
        registry.push("charts/app", version.replace("+", "_"))

    found = await find(watcher, f"oci://{registry.host}/charts/app", **fields)

    assert found.versions == expected


@pytest.mark.parametrize("etags", [True, False])
async def test_an_unchanged_index_costs_one_request(watcher: Watcher, charts: ChartRepository, etags: bool) -> None:
    charts.etags = etags
    charts.push("app", ["1.0.0"])
    await find(watcher, charts.url, name="app")
    charts.answers.clear()

    assert (await find(watcher, charts.url, name="app", semverConstraint="^1")).versions == ["1.0.0"]
    assert [(status, length > 0) for _, status, length in charts.answers] == [(304, False) if etags else (200, True)]

    charts.push("app", ["1.1.0"])
    assert (await find(watcher, charts.url, name="app")).versions == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize("etags", [True, False])
async def test_an_unchanged_oci_repository_costs_one_listing(watcher: Watcher, registry: Registry, etags: bool) -> None:
    registry.etags = etags
    registry.push("app", "1.0.0")
    first = await find(watcher, f"oci://{registry.host}/app")
    registry.forget()

    assert await find(watcher, f"oci://{registry.host}/app") == first
    assert [(request.method, request.kind) for request in registry.requests] == [("GET", "tags")]


@pytest.mark.parametrize(
    ("status", "expected", "host_is_paused"),
    [
        (401, "add a Secret of type helm", False),
        (403, "forbids it", False),
        (404, "index.yaml is looked for below it", False),
        (418, "answered 418", False),
        (429, "takes no more requests", True),
        (503, "is in trouble", True),
    ],
)
async def test_refusals_say_what_to_do(
    watcher: Watcher, charts: ChartRepository, status: int, expected: str, host_is_paused: bool
) -> None:
    charts.status = status

    with pytest.raises(LookFailed, match=expected) as caught:
        await find(watcher, charts.url, name="app")

    assert (caught.value.pause is not None) is host_is_paused


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is there a chart repository at that address"),
        (b"", "has no entries"),
        (b"entries: {a: [", "is no YAML: did not find"),
        (b"entries: {\xff\xfe: 1}", "is no YAML"),
        (b'{"entries": ' + b'{"a":' * 200 + b"1" + b"}" * 201, "nested deeper than 100"),
    ],
)
async def test_what_is_no_index_says_so(watcher: Watcher, charts: ChartRepository, index: bytes, expected: str) -> None:
    charts.index = index

    with pytest.raises(LookFailed, match=expected):
        await find(watcher, charts.url, name="app")


async def test_index_of_fifty_megabytes_is_refused_and_says_so(watcher: Watcher, charts: ChartRepository) -> None:
    charts.index = b"entries:\n" + b"# nothing but length\n" * (50 * 1024 * 1024 // 21)

    with pytest.raises(
        LookFailed, match=r"is larger than 32 MiB.*subscribe to the chart in an OCI repository"
    ) as caught:
        await find(watcher, charts.url, name="app")

    assert caught.value.pause is None


async def test_credentials_of_helm_secrets_are_used_and_never_told(
    watcher: Watcher, charts: ChartRepository, tmp_path: Path
) -> None:
    charts.user, charts.password = "robot", "open-sesame"
    charts.push("app", ["1.0.0"])
    secret = tmp_path / "credentials" / "demo" / "charts.yaml"
    secret.parent.mkdir(parents=True)
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: charts\n  labels:\n"
        "    kargo.akuity.io/cred-type: helm\nstringData:\n"
        f"  repoURL: {charts.url}\n  username: robot\n  password: {{}}\n"
    )
    secret.write_text(text.format("open-sesame"))

    assert (await find(watcher, charts.url, name="app")).versions == ["1.0.0"]

    charts.password = "changed"
    with pytest.raises(LookFailed, match="check the Secret charts") as caught:
        await find(watcher, charts.url, name="app")
    assert "open-sesame" not in str(caught.value)


HELMS_WAY = b"""
apiVersion: v1
entries:
  # a comment
  "app":
  - version: 1.0.0
    description: |
      entries:
        app:
        - version: 6.6.6
    dependencies:
    - version: 9.9.9
# another comment
  - version: 1.1
  zoo:
    - version: 3.0.0
generated: now
other:
  late:
  - version: 4.0.0
"""


@pytest.mark.parametrize(
    ("index", "chart", "expected"),
    [
        (HELMS_WAY, "app", ["1.0.0", "1.1"]),
        (HELMS_WAY, "zoo", ["3.0.0"]),
        (HELMS_WAY, "late", []),
        (HELMS_WAY.replace(b"\n", b"\r\n"), "app", ["1.0.0", "1.1"]),
        (b'{"entries": {"app": [{"version": "1.0.0", "urls": ["x"]}], "b": [{"version": "2"}]}}', "app", ["1.0.0"]),
        (b"entries: {app: [{version: 1.0.0}]}", "app", ["1.0.0"]),
        (b"entries: {}", "app", []),
        (b"entries:\n", "app", []),
        (b"x: &x [{version: 1.0.0}]\nentries: {app: *x}", "app", []),
        (b"entries:\n    a.b:\n        -   version: '1.0.0'\n    axb:\n        -   version: 2.0.0\n", "a.b", ["1.0.0"]),
    ],
)
def test_index_is_read_in_every_style(index: bytes, chart: str, expected: list[str]) -> None:
    assert versions_of(index, chart) == expected


def test_too_many_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.registry.chart_index.MAX_VERSIONS", 1)

    with pytest.raises(BadIndex, match="more than 1 versions of app"):
        versions_of(HELMS_WAY, "app")
