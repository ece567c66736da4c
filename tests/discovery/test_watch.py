"""The activity `watch` against real servers: what it reports, and what a look costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.discovery.backoff import Backoff
from activities.discovery.catalog import load_subscribers
from activities.discovery.look import SUBSCRIBERS, Look, subscriber
from activities.discovery.watch import Watcher, open_watcher
from activities.outside import open_outside
from activities.settings import ActivitySettings
from examples.world.git_server import GitServer, Repository
from examples.world.registry import Fault, Registry
from model.discovery import DiscoveryReport, Verdict, WatchRequest
from model.references import ArtifactReference
from model.resources.warehouse import DiscoveryResult, RepoSubscription
from model.steps import NOT_YET
from tests.discovery.commits import commit

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.passed = timedelta(0)

    def now(self) -> datetime:
        return NOW + self.passed

    def seconds(self) -> float:
        return self.passed.total_seconds()


@pytest.fixture
def clock(watcher: Watcher) -> Clock:
    clock = Clock()
    watcher.clock = clock.now
    watcher.backoff = Backoff(clock.seconds)
    return clock


def request(*subscriptions: dict[str, Any], **fields: Any) -> WatchRequest:
    return WatchRequest(
        project="demo", warehouse="guestbook", generation=3, spec={"subscriptions": list(subscriptions)}, **fields
    )


async def look(watcher: Watcher, wanted: WatchRequest) -> DiscoveryReport:
    return await ActivityEnvironment().run(watcher.watch, wanted)


async def nothing_new(watcher: Watcher, wanted: WatchRequest) -> ApplicationError:
    """Look, and expect to be told to come again later."""
    with pytest.raises(ApplicationError) as caught:
        await look(watcher, wanted)
    assert caught.value.type == NOT_YET
    assert caught.value.category is ApplicationErrorCategory.BENIGN
    return caught.value


@pytest.fixture
def image(registry: Registry) -> dict[str, Any]:
    registry.push("akuity/guestbook", "v0.1.0")
    registry.push("akuity/guestbook", "latest")
    return {"image": {"repoURL": f"{registry.host}/akuity/guestbook", "constraint": "^0.1.0"}}


@pytest.fixture
def repository(git_server: GitServer) -> Repository:
    repository = git_server.repository("guestbook")
    commit(repository, "Say hello")
    return repository


@pytest.fixture
def git(repository: Repository) -> dict[str, Any]:
    return {"git": {"repoURL": repository.url}}


async def test_first_look_reports_what_there_is_in_kargos_shape(
    watcher: Watcher,
    clock: Clock,
    image: dict[str, Any],
    git: dict[str, Any],
    registry: Registry,
    repository: Repository,
) -> None:
    report = await look(watcher, request(image, git))

    assert report.error == ""
    assert report.generation == 3
    assert report.artifacts is not None
    assert report.artifacts.shown() == {
        "discoveredAt": "2026-06-01T12:00:00Z",
        "git": [
            {
                "repoURL": repository.url,
                "commits": [
                    {
                        "id": report.artifacts.git[0].commits[0].id,
                        "branch": "",
                        "tag": "",
                        "subject": "Say hello",
                        "author": "Ada <ada@example.com>",
                        "committer": "Grace <grace@example.com>",
                        "creatorDate": "2023-11-14T22:13:20Z",
                    }
                ],
                "subscriptionName": "",
            }
        ],
        "images": [
            {
                "repoURL": f"{registry.host}/akuity/guestbook",
                "platform": "",
                "references": [
                    {
                        "tag": "v0.1.0",
                        "digest": report.artifacts.images[0].references[0].digest,
                        "annotations": {},
                        "createdAt": "2026-01-01T00:00:00Z",
                    }
                ],
                "subscriptionName": "",
            }
        ],
        "charts": [],
        "results": [],
    }


async def test_unchanged_look_costs_one_listing_of_refs_one_of_tags_and_one_digest(
    watcher: Watcher,
    clock: Clock,
    image: dict[str, Any],
    git: dict[str, Any],
    registry: Registry,
    git_server: GitServer,
) -> None:
    known = (await look(watcher, request(image, git))).observed
    registry.forget()
    git_server.requests.clear()

    benign = await nothing_new(watcher, request(image, git, known=known, interval=timedelta(minutes=7)))

    assert benign.next_retry_delay == timedelta(minutes=7)
    assert [(found.method, found.kind) for found in registry.requests] == [("GET", "tags"), ("HEAD", "manifests")]
    # A fetch would post twice more.
    assert git_server.requests == {"POST git-upload-pack": 1}


async def test_a_new_worker_remembers_what_its_predecessor_saw(
    watcher: Watcher,
    clock: Clock,
    image: dict[str, Any],
    git: dict[str, Any],
    registry: Registry,
    git_server: GitServer,
) -> None:
    known = (await look(watcher, request(image, git))).observed
    registry.forget()
    git_server.requests.clear()
    successor = Watcher(watcher.memory, watcher.registries, watcher.git, watcher.credentials, clock=clock.now)

    await nothing_new(successor, request(image, git, known=known))

    assert registry.counted() == 2
    assert git_server.requests["POST git-upload-pack"] == 1


async def test_memory_may_be_deleted(watcher: Watcher, clock: Clock, image: dict[str, Any]) -> None:
    known = (await look(watcher, request(image))).observed
    for path in watcher.memory.directory.glob("*/*/*"):
        path.write_text("not what was written")

    await nothing_new(watcher, request(image, known=known))


async def test_new_tag_is_news_and_read_alone(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    known = (await look(watcher, request(image))).observed
    digest = registry.push("akuity/guestbook", "v0.1.1", annotations={"org.opencontainers.image.revision": "abc"})
    registry.forget()

    report = await look(watcher, request(image, known=known))

    assert report.artifacts is not None
    found = report.artifacts.images[0].references
    assert [(reference.tag, reference.annotations) for reference in found] == [
        ("v0.1.1", {"org.opencontainers.image.revision": "abc"}),
        ("v0.1.0", {}),
    ]
    assert found[0].digest == digest
    assert [one.kind for one in registry.requests] == ["tags", "manifests", "manifests", "blobs"]


async def test_tag_that_no_rule_takes_is_no_news(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    known = (await look(watcher, request(image))).observed
    registry.push("akuity/guestbook", "sha-1234567")
    registry.forget()

    await nothing_new(watcher, request(image, known=known))

    assert registry.counted() == 2


async def test_served_etag_spares_the_list(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    registry.etags = True
    known = (await look(watcher, request(image))).observed
    registry.forget()

    await nothing_new(watcher, request(image, known=known))

    assert "If-None-Match" in registry.requests[0].headers
    assert registry.counted() == 2


async def test_moved_tag_is_noticed(watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry) -> None:
    known = (await look(watcher, request(image))).observed
    digest = registry.push("akuity/guestbook", "v0.1.0", content="rebuilt")

    report = await look(watcher, request(image, known=known))

    assert report.artifacts is not None
    assert report.artifacts.images[0].references[0].digest == digest


@pytest.mark.parametrize("asked", [True, False], ids=["when asked", "after an hour"])
async def test_moved_tag_that_is_not_the_best_is_noticed_later(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry, asked: bool
) -> None:
    registry.push("akuity/guestbook", "v0.1.9")
    known = (await look(watcher, request(image))).observed
    digest = registry.push("akuity/guestbook", "v0.1.0", content="rebuilt")
    await nothing_new(watcher, request(image, known=known))
    if not asked:
        clock.passed += timedelta(minutes=61)

    report = await look(watcher, request(image, known=known, token="now" if asked else ""))

    assert report.artifacts is not None
    assert report.artifacts.images[0].references[1].digest == digest


async def test_whoever_asked_is_answered_also_when_nothing_is_new(
    watcher: Watcher, clock: Clock, image: dict[str, Any]
) -> None:
    known = (await look(watcher, request(image))).observed

    report = await look(watcher, request(image, known=known, token="me"))

    assert (report.token, report.observed) == ("me", known)


async def test_new_generation_is_reported_though_the_same_is_found(
    watcher: Watcher, clock: Clock, image: dict[str, Any]
) -> None:
    known = (await look(watcher, request(image))).observed
    later = request(image, known=known).model_copy(update={"generation": 4})

    assert (await look(watcher, later)).generation == 4


async def test_pushed_commit_is_news(
    watcher: Watcher, clock: Clock, git: dict[str, Any], repository: Repository
) -> None:
    known = (await look(watcher, request(git))).observed
    pushed = commit(repository, "Say goodbye")

    report = await look(watcher, request(git, known=known))

    assert report.artifacts is not None
    assert [one.subject for one in report.artifacts.git[0].commits] == ["Say goodbye", "Say hello"]
    assert report.artifacts.git[0].commits[0].id == pushed


async def test_rest_is_waited_before_the_first_look(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    benign = await nothing_new(watcher, request(image, rest=timedelta(minutes=5)))

    assert benign.next_retry_delay == timedelta(minutes=5)
    assert registry.counted() == 0


async def test_failing_subscription_fails_the_whole_and_is_named(
    watcher: Watcher, clock: Clock, image: dict[str, Any], git: dict[str, Any], registry: Registry
) -> None:
    missing = {"name": "second", "image": {"repoURL": f"{registry.host}/akuity/gone"}}

    report = await look(watcher, request(git, missing, image))

    assert report.artifacts is None
    assert report.failed_subscription == f"image {registry.host}/akuity/gone (second)"
    assert f"listing the tags of {registry.host}/akuity/gone" in report.error
    assert "not found (404)" in report.error


async def test_failure_is_reported_once_and_so_is_recovery(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    good = (await look(watcher, request(image))).observed
    registry.fault = Fault(status=503)
    failed = await look(watcher, request(image, known=good))
    assert "in trouble (503)" in failed.error

    clock.passed += timedelta(minutes=30)
    await nothing_new(watcher, request(image, known=failed.observed))
    registry.fault = None
    clock.passed += timedelta(minutes=30)
    recovered = await look(watcher, request(image, known=failed.observed))

    assert recovered.error == ""
    assert recovered.observed == good


async def test_registry_that_says_wait_is_left_alone_by_all_warehouses(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    other = {"image": {"repoURL": f"{registry.host}/akuity/other"}}
    registry.push("akuity/other", "1.0.0")
    registry.fault = Fault(status=429, retry_after="120")
    failed = await look(watcher, request(image))
    assert "takes no more requests for now (429)" in failed.error
    assert timedelta(seconds=119) < failed.next_look <= timedelta(seconds=120)
    registry.forget()

    paused = await look(watcher, request(other))
    benign = await nothing_new(watcher, request(image, known=failed.observed))

    assert "left alone" in paused.error
    assert benign.next_retry_delay is not None
    assert timedelta(seconds=119) < benign.next_retry_delay <= timedelta(seconds=120)
    assert registry.counted() == 0

    registry.fault = None
    clock.passed += timedelta(seconds=121)
    assert (await look(watcher, request(other, known=paused.observed))).error == ""


async def test_git_host_that_says_wait_is_left_alone_by_all_warehouses(
    watcher: Watcher, clock: Clock, git: dict[str, Any], git_server: GitServer
) -> None:
    other = {"git": {"repoURL": git_server.repository("other", {"a": "b"}).url}}
    git_server.fail_with, git_server.retry_after = 429, "120"
    failed = await look(watcher, request(git))
    assert "takes no more requests for now (429)" in failed.error
    assert timedelta(seconds=119) < failed.next_look <= timedelta(seconds=120)
    git_server.requests.clear()

    paused = await look(watcher, request(other, token="now"))

    assert "left alone" in paused.error
    assert not git_server.requests

    git_server.fail_with = None
    clock.passed += timedelta(seconds=121)
    assert (await look(watcher, request(other, known=paused.observed))).error == ""


async def test_repeated_failures_lengthen_the_pause(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    registry.fault = Fault(status=500)
    report = await look(watcher, request(image))
    pauses = [report.next_look]
    for _ in range(8):
        clock.passed += pauses[-1] + timedelta(seconds=1)
        pauses.append((await nothing_new(watcher, request(image, known=report.observed))).next_retry_delay or NOW - NOW)

    seconds = [pause.total_seconds() for pause in pauses]
    assert all(10 * 2**n <= pause <= 11 * 2**n for n, pause in enumerate(seconds[:6]))
    assert all(600 <= pause <= 660 for pause in seconds[7:])


@pytest.mark.parametrize(("status", "retry_after", "asked"), [(500, "", True), (503, "60", False), (429, "", False)])
async def test_who_asks_for_a_look_is_told_the_truth_of_now_unless_the_host_wants_to_be_left_alone(
    watcher: Watcher, image: dict[str, Any], registry: Registry, status: int, retry_after: str, asked: bool
) -> None:
    registry.fault = Fault(status=status, retry_after=retry_after)
    await look(watcher, request(image))
    registry.fault = None

    report = await look(watcher, request(image, token="now"))

    assert (report.error == "") == asked
    assert ("left alone" in report.error) != asked


async def test_unreachable_git_host_is_an_error_that_names_it(
    watcher: Watcher, clock: Clock, git: dict[str, Any], git_server: GitServer
) -> None:
    git_server.fail_with = 503

    report = await look(watcher, request(git))

    assert report.failed_subscription == f"git {git_server.url}/guestbook.git"
    assert "could not be reached" in report.error
    assert report.next_look < timedelta(seconds=12)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"branch": "gone"}, "has no branch gone"),
        ({"includePaths": ["regex:("]}, "includePaths: 'regex:(' is not a regular expression"),
        ({"excludePaths": ["glob:["]}, "excludePaths: 'glob:[' is no glob pattern"),
        ({"expressionFilter": "subject +"}, "expressionFilter, at commit"),
        ({"expressionFilter": "subject"}, "must give a bool"),
        ({"repoURL": "file:///etc"}, "expected https://…, http://… or ssh://…"),
    ],
)
async def test_what_cannot_be_looked_at_says_why(
    watcher: Watcher, clock: Clock, git: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    report = await look(watcher, request({"git": {**git["git"], **change}}))

    assert expected in report.error


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"constraint": "not a version"}, "is not a version constraint"),
        ({"allowTagsRegexes": ["("]}, "is not a regular expression (RE2)"),
        ({"platform": "linux"}, "not of the form os/arch"),
        ({"repoURL": "ghcr.io/UPPER CASE"}, "is not an image repository"),
    ],
)
async def test_rules_that_cannot_be_read_are_named(
    watcher: Watcher, clock: Clock, image: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    report = await look(watcher, request({"image": {**image["image"], **change}}))

    assert expected in report.error


async def test_subscription_of_unknown_type_is_an_error(watcher: Watcher, clock: Clock) -> None:
    report = await look(watcher, request({"name": "bucket", "s3": {"config": {"region": "x"}}}))

    assert "no worker here knows subscriptions of type s3" in report.error


async def test_deprecated_rules_work_with_a_warning(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    registry.push("akuity/guestbook", "v0.1.7")
    registry.push("akuity/guestbook", "v0.1.8-rc.1")
    subscription = {"image": {**image["image"], "allowTags": r"^v\d+\.\d+\.\d+$", "ignoreTags": ["v0.1.7"]}}

    report = await look(watcher, request(subscription))

    assert report.artifacts is not None
    assert [reference.tag for reference in report.artifacts.images[0].references] == ["v0.1.0"]
    assert ["allowTags is gone" in report.warnings[0], "ignoreTags is gone" in report.warnings[1]] == [True, True]


async def test_limit_bounds_candidates_and_what_is_read(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    for patch in range(1, 30):
        registry.push("akuity/guestbook", f"v0.1.{patch}")
    registry.forget()

    report = await look(watcher, request({"image": {**image["image"], "discoveryLimit": 3}}))

    assert report.artifacts is not None
    assert [one.tag for one in report.artifacts.images[0].references] == ["v0.1.29", "v0.1.28", "v0.1.27"]
    assert registry.counted("manifests") == 3


async def test_platform_skips_images_that_lack_it(watcher: Watcher, clock: Clock, registry: Registry) -> None:
    index = registry.push("app", "1.0.0", platforms=["linux/amd64", "linux/arm64/v8"])
    registry.push("app", "1.1.0", platforms=["linux/amd64"])
    registry.push("app", "1.2.0")
    subscription = {"image": {"repoURL": f"{registry.host}/app", "platform": "linux/arm64/v8"}}

    report = await look(watcher, request(subscription))

    assert report.artifacts is not None
    assert [(one.tag, one.digest) for one in report.artifacts.images[0].references] == [("1.0.0", index)]


async def test_credentials_are_used_and_never_told(
    watcher: Watcher, clock: Clock, registry: Registry, tmp_path: Path
) -> None:
    registry.auth, registry.users = "token", {"robot": "open-sesame"}
    registry.push("private/app", "1.0.0")
    subscription = {"image": {"repoURL": f"{registry.host}/private/app"}}
    secret = tmp_path / "credentials" / "demo" / "registry.yaml"
    secret.parent.mkdir(parents=True)
    manifest = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: registry\n  labels:\n"
        "    kargo.akuity.io/cred-type: image\nstringData:\n"
        f"  repoURL: {registry.host}/private/app\n  username: robot\n  password: {{}}\n"
    )
    secret.write_text(manifest.format("open-barley"))
    refused = await look(watcher, request(subscription))
    assert "check username and password in the Secret" in refused.error
    assert "barley" not in refused.model_dump_json()

    secret.write_text(manifest.format("open-sesame"))
    report = await look(watcher, request(subscription, known=refused.observed))

    assert report.error == ""
    assert "sesame" not in report.model_dump_json()


async def test_public_addresses_are_reached_where_the_operator_says(
    clock: Clock, registry: Registry, git_server: GitServer, tmp_path: Path
) -> None:
    registry.push("akuity/guestbook", "v0.0.1")
    registry.push("akuity/guestbook", "v0.0.1-debug.1")
    head = commit(git_server.repository("akuity/kargo-advanced"), "Begin")
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{git_server.url}/"]\n\tinsteadOf = https://github.com/\n')
    settings = ActivitySettings(
        data_directory=tmp_path / "elsewhere",
        registry_mirrors={"ghcr.io": registry.host},
        plain_http_registries=[registry.host],
        git_config_file=config,
    )
    watcher = open_watcher(open_outside(settings))
    try:
        report = await look(
            watcher,
            request(
                {
                    "image": {
                        "repoURL": "ghcr.io/akuity/guestbook",
                        "allowTags": r"^v?[0-9]+\.[0-9]+\.[0-9]+([\+-].*)?$",
                    }
                },
                {"git": {"repoURL": "https://github.com/akuity/kargo-advanced.git", "branch": "main"}},
            ),
        )
    finally:
        await watcher.aclose()

    assert report.artifacts is not None
    assert report.artifacts.images[0].repo_url == "ghcr.io/akuity/guestbook"
    assert [one.tag for one in report.artifacts.images[0].references] == ["v0.0.1", "v0.0.1-debug.1"]
    assert [one.id for one in report.artifacts.git[0].commits] == [head]


async def test_password_in_an_address_is_not_repeated(watcher: Watcher, clock: Clock, git_server: GitServer) -> None:
    url = git_server.url.replace("://", "://ada:open-sesame@")

    report = await look(watcher, request({"git": {"repoURL": f"{url}/gone.git"}}))

    assert report.error
    assert "sesame" not in report.model_dump_json()


@pytest.mark.parametrize(
    ("expression", "policy", "verdict", "error"),
    [
        ("imageFrom(repo).Tag == 'v0.1.0'", "Automatic", Verdict.SATISFIED, ""),
        ("imageFrom(repo).Tag == 'v0.2.0'", "Automatic", Verdict.NOT_SATISFIED, ""),
        ("imageFrom(repo).Tag", "Automatic", Verdict.FAILED, "freightCreationCriteria.expression: "),
        ("imageFrom(", "Automatic", Verdict.FAILED, "freightCreationCriteria.expression: "),
        ("false", "Manual", Verdict.NONE, ""),
        ("", "Automatic", Verdict.NONE, ""),
    ],
)
async def test_criteria_judge_the_best_candidates(
    watcher: Watcher, clock: Clock, image: dict[str, Any], expression: str, policy: str, verdict: Verdict, error: str
) -> None:
    wanted = request(image)
    wanted.spec |= {
        "freightCreationPolicy": policy,
        "freightCreationCriteria": {"expression": expression.replace("repo", repr(image["image"]["repoURL"]))},
    }

    report = await look(watcher, wanted)

    assert (report.criteria, report.error) == (verdict, "")
    assert report.criteria_error.startswith(error)
    await nothing_new(watcher, wanted.model_copy(update={"known": report.observed}))


async def test_criteria_are_not_asked_where_a_subscription_has_no_candidate(
    watcher: Watcher, clock: Clock, image: dict[str, Any]
) -> None:
    wanted = request({"image": {**image["image"], "constraint": "^9"}})
    wanted.spec |= {"freightCreationCriteria": {"expression": "nothing.at.all"}}

    assert (await look(watcher, wanted)).criteria is Verdict.NONE


async def test_two_subscriptions_to_one_repository_are_told_apart_by_their_names(
    watcher: Watcher, clock: Clock, image: dict[str, Any], registry: Registry
) -> None:
    registry.push("akuity/guestbook", "v0.2.0-rc.1")
    canary = {"image": {**image["image"], "constraint": ">=0.1.0-0"}}

    report = await look(watcher, request({"name": "stable", **image}, {"name": "canary", **canary}))

    assert report.artifacts is not None
    assert [(one.subscription_name, one.references[0].tag) for one in report.artifacts.images] == [
        ("stable", "v0.1.0"),
        ("canary", "v0.2.0-rc.1"),
    ]


async def test_installed_package_brings_a_type_of_subscription(
    watcher: Watcher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Entry:
        def load(self) -> None:
            @subscriber("s3")
            async def find_objects(subscription: RepoSubscription, look: Look) -> DiscoveryResult:
                assert subscription.subscription is not None
                version = subscription.subscription.config["version"]
                reference = ArtifactReference(artifact_type="s3", subscription_name=subscription.name, version=version)
                return DiscoveryResult(name=subscription.name, artifact_references=[reference])

    asked: list[str] = []

    def entries(*, group: str) -> list[Entry]:
        asked.append(group)
        return [Entry()]

    monkeypatch.setattr("activities.discovery.catalog.entry_points", entries)
    try:
        load_subscribers()
        report = await look(watcher, request({"name": "bucket", "s3": {"config": {"version": "7"}}}))
    finally:
        SUBSCRIBERS.pop("s3", None)

    assert asked == ["towpath.subscriptions"]
    assert report.artifacts is not None
    assert report.artifacts.results[0].artifact_references[0].version == "7"
