"""Whatever the outside does: it shows in the Warehouse's status and in its line of a list, and looking goes on.

Each case breaks something that was found before, and repairs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.discovery.backoff import Backoff
from activities.discovery.watch import Watcher
from examples.world.charts import ChartRepository
from examples.world.git_server import GitServer
from examples.world.registry import Fault, Registry
from model.discovery import DiscoveryReport, WatchRequest
from model.warehouse_state import WarehouseState
from model.warehouse_view import describe, summary
from starter import kinds
from starter.listing import WarehouseLine, WarehouseSummary
from starter.tables import COLUMNS, warehouse_row
from tests.discovery.commits import commit
from tests.discovery.test_watch import look, nothing_new

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
#: Longer than any host is left alone after a failure or two.
LATER = timedelta(hours=3)


@dataclass
class World:
    """What is subscribed to, and a clock."""

    registry: Registry
    git: GitServer
    charts: ChartRepository
    watcher: Watcher
    passed: timedelta = timedelta(0)


@pytest.fixture
def world(registry: Registry, git_server: GitServer, watcher: Watcher) -> Iterator[World]:
    with ChartRepository() as charts:
        world = World(registry, git_server, charts, watcher)
        watcher.clock = lambda: NOW + world.passed
        watcher.backoff = Backoff(lambda: world.passed.total_seconds())
        yield world


#: Gives the subscription, then breaks it, then repairs it.
Case = Callable[[World], Iterator[dict[str, Any]]]


def tag_that_vanishes_between_listing_and_reading(world: World) -> Iterator[dict[str, Any]]:
    world.registry.push("app", "1.0.0")
    yield {"image": {"repoURL": f"{world.registry.host}/app"}}
    world.registry.push("app", "1.1.0")
    world.registry.fault = Fault(status=404, path="manifests/1.1.0", body=b"{}")
    yield {}
    world.registry.fault = None
    yield {}


def manifest_of_unknown_type(world: World) -> Iterator[dict[str, Any]]:
    world.registry.push("app", "1.0.0")
    yield {"image": {"repoURL": f"{world.registry.host}/app"}}
    old = "application/vnd.docker.distribution.manifest.v1+json"
    world.registry.push_manifest("app", "1.1.0", {"schemaVersion": 1}, old)
    yield {}
    world.registry.push("app", "1.1.0")
    yield {}


def credentials_that_expire_between_pages(world: World) -> Iterator[dict[str, Any]]:
    for patch in range(4):
        world.registry.push("app", f"1.0.{patch}")
    yield {"image": {"repoURL": f"{world.registry.host}/app"}}
    world.registry.page_size = 2
    world.registry.fault = Fault(status=401, path="last=", body=b'{"errors":[{"message":"token expired"}]}')
    yield {}
    world.registry.fault = None
    world.registry.push("app", "1.0.4")
    yield {}


def registry_that_answers_html(world: World) -> Iterator[dict[str, Any]]:
    world.registry.push("app", "1.0.0")
    yield {"image": {"repoURL": f"{world.registry.host}/app"}}
    world.registry.fault = Fault(status=200, body=b"<html>Sign in</html>", content_type="text/html")
    yield {}
    world.registry.fault = None
    yield {}


def index_of_fifty_megabytes(world: World) -> Iterator[dict[str, Any]]:
    world.charts.push("app", ["1.0.0"])
    yield {"chart": {"repoURL": world.charts.url, "name": "app"}}
    world.charts.index = b"apiVersion: v1\n" + b"# padding\n" * 5_300_000
    yield {}
    world.charts.index = None
    yield {}


def branch_that_is_renamed(world: World) -> Iterator[dict[str, Any]]:
    repository = world.git.repository("app", {"a": "1"})
    yield {"git": {"repoURL": repository.url, "branch": "main"}}
    repository.git("branch", "--move", "main", "trunk")
    yield {}
    repository.git("branch", "--move", "trunk", "main")
    yield {}


def repository_that_answers_html(world: World) -> Iterator[dict[str, Any]]:
    repository = world.git.repository("app", {"a": "1"})
    yield {"git": {"repoURL": repository.url}}
    world.git.html = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>Who are you?</body></html>\n"
    yield {}
    world.git.html = ""
    yield {}


def expression_filter_that_fails(world: World) -> Iterator[dict[str, Any]]:
    repository = world.git.repository("app", {"a": "1"})
    yield {"git": {"repoURL": repository.url, "expressionFilter": "len(subject) < 6 or split(subject, ' ')[1] != ''"}}
    made = commit(repository, "Unsplittable")
    yield {}
    repository.git("update-ref", "refs/heads/main", f"{made}^")
    yield {}


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (tag_that_vanishes_between_listing_and_reading, r"image \S+/app: reading \S+/app:1\.1\.0: not found \(404\)"),
        (
            manifest_of_unknown_type,
            r"image \S+/app: reading \S+/app@sha256:\w+: its type \S+v1\+json is none of an image's",
        ),
        (credentials_that_expire_between_pages, r"image \S+/app: listing the tags of \S+: .*\(401\): token expired"),
        (registry_that_answers_html, r"image \S+/app: listing the tags of \S+: \S+ answered with a web page"),
        (index_of_fifty_megabytes, r"chart \S+: \S+/index\.yaml is larger than 32 MiB"),
        (branch_that_is_renamed, r"git \S+/app\.git: \S+ has no branch main: check `branch`"),
        (repository_that_answers_html, r"(?s)git \S+/app\.git: \S+ could not be reached.*is this a git repository"),
        (expression_filter_that_fails, r"git \S+/app\.git: .*expressionFilter, at commit [0-9a-f]{40}"),
    ],
    ids=lambda value: value.__name__.replace("_", " ") if callable(value) else "",
)
async def test_what_goes_wrong_is_shown_and_looking_goes_on(world: World, case: Case, says: str) -> None:
    steps = case(world)
    subscription = next(steps)
    wanted = WatchRequest(project="demo", warehouse="w", generation=1, spec={"subscriptions": [subscription]})
    good = await look(world.watcher, wanted)
    assert good.error == ""

    next(steps)
    failed = await look(world.watcher, wanted.model_copy(update={"known": good.observed}))

    assert re.match(says, failed.error)
    assert says_in_status(failed, failed.error)
    # The same again is no news: the run goes on and looks again later, at the interval or when the host may be asked.
    world.passed += LATER
    benign = await nothing_new(world.watcher, wanted.model_copy(update={"known": failed.observed}))
    assert benign.next_retry_delay is not None

    next(steps)
    world.passed += LATER
    repaired = await look(world.watcher, wanted.model_copy(update={"known": failed.observed}))
    assert (repaired.error, repaired.artifacts is not None) == ("", True)


def says_in_status(report: DiscoveryReport, message: str) -> bool:
    """Whether the Warehouse's status and its line in `towpath get warehouses` show the message, and since when."""
    state = WarehouseState(project="demo", name="w", report=report, failing_since=NOW, created_at=NOW)
    conditions = {condition["type"]: condition for condition in describe(state)["status"]["conditions"]}
    line = WarehouseLine(project="demo", name="w", summary=WarehouseSummary.model_validate(summary(state)))
    row = {column.title: column.cell(warehouse_row(line)) for column in COLUMNS[kinds.WAREHOUSE]}
    return (
        {conditions[kind]["status"] for kind in ("Ready", "Healthy")} == {"False"}
        and all(
            conditions[kind]["message"] == f"{message} (since 2026-06-01T12:00:00Z)" for kind in ("Ready", "Healthy")
        )
        and row["HEALTHY"] == "False"
        and bool(row["FAILING FOR"])
        and row["ERROR"] == message.replace("\n", " ")[:500]
    )


async def test_force_pushed_history_moved_tags_and_askew_clocks_are_no_failure(world: World) -> None:
    repository = world.git.repository("app")
    commits = [
        commit(repository, f"Change {n}", when=1_700_000_000 + skew) for n, skew in enumerate([0, 90_000, -90_000])
    ]
    repository.git("update-ref", "refs/tags/1.0.0", commits[0])
    branch, tags = {"git": {"repoURL": repository.url}}, {"commitSelectionStrategy": "SemVer"}
    wanted = [
        WatchRequest(project="demo", warehouse="w", generation=1, spec={"subscriptions": [subscription]})
        for subscription in (branch, {"git": {**branch["git"], **tags}})
    ]
    first = [await look(world.watcher, request) for request in wanted]
    assert [ids(report) for report in first] == [commits[::-1], [commits[0]]]

    better = commit(repository, "Better", parents=(commits[0],), when=1_600_000_000)
    repository.git("update-ref", "refs/tags/1.0.0", better)

    later = [
        await look(world.watcher, request.model_copy(update={"known": report.observed}))
        for request, report in zip(wanted, first, strict=True)
    ]
    assert [ids(report) for report in later] == [[better, commits[0]], [better]]


def ids(report: DiscoveryReport) -> list[str]:
    assert report.artifacts is not None
    return [one.id for one in report.artifacts.git[0].commits]
