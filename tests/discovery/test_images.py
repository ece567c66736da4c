"""The ways to choose images, on a registry on loopback: what they find, and what looking costs."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.discovery.backoff import Backoff
from activities.discovery.image import find_images
from activities.discovery.look import CacheByTagPolicy, Look, LookFailed
from activities.discovery.watch import Watcher
from examples.world.registry import Fault, Registry
from model.resources.warehouse import DiscoveredImageReference, RepoSubscription

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)


class Images:
    """Looks at one repository, as often as asked."""

    def __init__(self, watcher: Watcher, registry: Registry) -> None:
        self.watcher, self.registry = watcher, registry

    async def find(
        self,
        strategy: str,
        *,
        policy: CacheByTagPolicy = CacheByTagPolicy.ALLOW,
        thorough: bool = False,
        **fields: Any,
    ) -> list[DiscoveredImageReference]:
        """What one look finds; the registry counts its requests anew."""
        look = Look(
            project="demo",
            now=NOW,
            memory=self.watcher.memory,
            registries=self.watcher.registries,
            git=self.watcher.git,
            credentials=self.watcher.credentials,
            backoff=Backoff(),
            turns=self.watcher.turns,
            thorough=thorough,
            cache_by_tag=policy,
        )
        self.registry.forget()
        image = {"repoURL": f"{self.registry.host}/app", "imageSelectionStrategy": strategy, **fields}
        return (await find_images(RepoSubscription.model_validate({"image": image}), look)).references

    async def tags(self, strategy: str, **fields: Any) -> list[str]:
        return [reference.tag for reference in await self.find(strategy, **fields)]

    @property
    def cost(self) -> dict[str, int]:
        """Requests of the last look, by kind and method."""
        counted: dict[str, int] = {}
        for request in self.registry.requests:
            name = f"{request.method} {request.kind}"
            counted[name] = counted.get(name, 0) + 1
        return counted


@pytest.fixture
def images(watcher: Watcher, registry: Registry) -> Images:
    return Images(watcher, registry)


@pytest.mark.parametrize(
    ("strategy", "fields", "expected"),
    [
        ("SemVer", {}, ["v1.10.0", "v1.9.0"]),
        ("SemVer", {"strictSemvers": False}, ["v1.10.0", "v1.9.0", "1"]),
        ("SemVer", {"constraint": "<1.10"}, ["v1.9.0"]),
        ("Lexical", {}, ["v1.9.0", "v1.10.0", "nightly-2", "nightly-1", "latest", "1"]),
        ("Lexical", {"allowTagsRegexes": ["^nightly-"]}, ["nightly-2", "nightly-1"]),
        ("Lexical", {"allowTagsRegexes": ["^nightly-"], "ignoreTagsRegexes": ["2$"]}, ["nightly-1"]),
        ("Lexical", {"discoveryLimit": 2}, ["v1.9.0", "v1.10.0"]),
        ("NewestBuild", {}, ["nightly-1", "1", "v1.9.0", "v1.10.0", "nightly-2", "latest"]),
        ("NewestBuild", {"discoveryLimit": 1}, ["nightly-1"]),
        ("NewestBuild", {"ignoreTagsRegexes": ["^n", "^1$"]}, ["v1.9.0", "v1.10.0", "latest"]),
        ("Digest", {"constraint": "latest"}, ["latest"]),
        ("Digest", {"constraint": "gone"}, []),
    ],
)
async def test_each_strategy_chooses_and_orders_in_its_own_way(
    images: Images, registry: Registry, strategy: str, fields: dict[str, Any], expected: list[str]
) -> None:
    for age, tag in enumerate(["nightly-1", "1", "v1.9.0", "v1.10.0", "nightly-2", "latest"]):
        # v1.9.0 and v1.10.0 are of one moment: the greater tag comes first.
        registry.push("app", tag, created=BUILT - timedelta(days=2 if age == 3 else age))

    assert await images.tags(strategy, **fields) == expected


@pytest.mark.parametrize("strategy", ["SemVer", "Lexical", "NewestBuild", "Digest"])
async def test_an_unchanged_poll_costs_a_listing_and_the_digest_of_the_best(
    images: Images, registry: Registry, strategy: str
) -> None:
    fields = {"constraint": "1.0.3"} if strategy == "Digest" else {}
    for patch in range(4):
        registry.push("app", f"1.0.{patch}", created=BUILT + timedelta(days=patch))
    first = await images.find(strategy, **fields)
    assert sum(images.cost.values()) > 1

    assert await images.find(strategy, **fields) == first
    assert images.cost == {"HEAD manifests": 1} | ({} if strategy == "Digest" else {"GET tags": 1})


@pytest.mark.parametrize("etags", [False, True])
async def test_an_unchanged_poll_of_tags_that_never_move_costs_one_listing(
    images: Images, registry: Registry, etags: bool
) -> None:
    registry.etags = etags
    registry.push("app", "1.0.0")
    await images.find("SemVer", cacheByTag=True)

    assert await images.tags("SemVer", cacheByTag=True) == ["1.0.0"]
    assert images.cost == {"GET tags": 1}


async def test_newest_build_reads_only_the_new_tag(images: Images, registry: Registry) -> None:
    for patch in range(30):
        registry.push("app", f"1.0.{patch}", created=BUILT + timedelta(days=patch))
    await images.find("NewestBuild")
    assert images.cost == {"GET tags": 1, "GET manifests": 30, "GET blobs": 30}
    registry.push("app", "0.9.9", created=BUILT + timedelta(days=99))

    assert (await images.tags("NewestBuild"))[:2] == ["0.9.9", "1.0.29"]
    assert images.cost == {"GET tags": 1, "HEAD manifests": 1, "GET manifests": 1, "GET blobs": 1}


async def test_what_a_digest_names_is_read_once(images: Images, registry: Registry) -> None:
    for tag in ("a", "b", "c"):
        registry.push("app", tag, content="the same")

    assert await images.tags("Lexical") == ["c", "b", "a"]
    assert images.cost == {"GET tags": 1, "GET manifests": 3, "GET blobs": 1}


async def test_cache_may_be_deleted_at_any_time(images: Images, registry: Registry, watcher: Watcher) -> None:
    registry.push("app", "1.0.0")
    first = await images.find("NewestBuild")
    shutil.rmtree(watcher.memory.directory)

    assert await images.find("NewestBuild") == first


async def test_description_that_was_forgotten_is_read_again(
    images: Images, registry: Registry, watcher: Watcher
) -> None:
    registry.push("app", "1.0.0", created=BUILT)
    registry.push("app", "2.0.0", created=BUILT + timedelta(days=1))
    await images.find("NewestBuild", discoveryLimit=1)
    shutil.rmtree(watcher.memory.directory / "image-description")
    registry.untag("app", "2.0.0")

    assert await images.tags("NewestBuild", discoveryLimit=1) == ["1.0.0"]


async def test_digest_follows_its_tag_and_its_disappearance(images: Images, registry: Registry) -> None:
    registry.push("app", "latest", content="one")
    (first,) = await images.find("Digest", constraint="latest")
    moved = registry.push("app", "latest", content="two")

    (second,) = await images.find("Digest", constraint="latest")
    registry.untag("app", "latest")

    assert (second.digest, first.digest == second.digest) == (moved, False)
    assert await images.find("Digest", constraint="latest") == []


async def test_digest_of_another_platform_is_no_candidate(images: Images, registry: Registry) -> None:
    registry.push("app", "latest", platforms=["linux/amd64", "linux/arm/v7"])

    assert await images.tags("Digest", constraint="latest", platform="linux/arm/v7") == ["latest"]
    assert await images.tags("Digest", constraint="latest", platform="linux/arm") == []
    assert await images.tags("NewestBuild", platform="linux/s390x") == []


@pytest.mark.parametrize("etags", [False, True])
@pytest.mark.parametrize("strategy", ["SemVer", "Lexical", "NewestBuild"])
async def test_the_best_candidates_tag_that_moved_is_noticed_at_the_next_look(
    images: Images, registry: Registry, strategy: str, etags: bool
) -> None:
    registry.etags = etags
    registry.push("app", "1.0.0", content="one")
    registry.push("app", "1.0.1", content="one", created=BUILT)
    await images.find(strategy)
    moved = registry.push("app", "1.0.1", content="two", created=BUILT)

    found = await images.find(strategy)

    assert (found[0].tag, found[0].digest) == ("1.0.1", moved)
    assert images.cost["GET manifests"] == 1


async def test_moved_tag_is_noticed_when_somebody_asks(images: Images, registry: Registry) -> None:
    registry.push("app", "1.0.0", content="one")
    await images.find("NewestBuild")
    moved = registry.push("app", "1.0.0", content="two")

    (found,) = await images.find("NewestBuild", thorough=True)

    assert found.digest == moved


@pytest.mark.parametrize(
    ("policy", "cache_by_tag", "trusted"),
    [
        (CacheByTagPolicy.ALLOW, False, False),
        (CacheByTagPolicy.ALLOW, True, True),
        (CacheByTagPolicy.FORBID, True, False),
        (CacheByTagPolicy.FORCE, False, True),
        (CacheByTagPolicy.REQUIRE, True, True),
    ],
)
async def test_cached_tag_is_not_read_again(
    images: Images, registry: Registry, policy: CacheByTagPolicy, cache_by_tag: bool, trusted: bool
) -> None:
    registry.push("app", "1.0.0", content="one")
    (first,) = await images.find("SemVer", policy=policy, cacheByTag=cache_by_tag)
    registry.push("app", "1.0.0", content="two")

    (second,) = await images.find("SemVer", policy=policy, cacheByTag=cache_by_tag, thorough=True)

    assert (second == first) is trusted


async def test_operator_may_require_caching_by_tag_but_not_of_digest(images: Images, registry: Registry) -> None:
    registry.push("app", "1.0.0")

    with pytest.raises(LookFailed, match="set cacheByTag: true"):
        await images.find("SemVer", policy=CacheByTagPolicy.REQUIRE)
    assert await images.tags("Digest", policy=CacheByTagPolicy.REQUIRE, constraint="1.0.0") == ["1.0.0"]


@pytest.mark.parametrize("strategy", ["SemVer", "NewestBuild"])
async def test_tag_that_vanishes_between_listing_and_reading_fails_the_look_by_name(
    images: Images, registry: Registry, strategy: str
) -> None:
    registry.push("app", "1.0.0")
    registry.fault = Fault(status=404, path="manifests/1.0.0", body=b"{}")

    with pytest.raises(LookFailed, match=r"/app:1\.0\.0: not found") as caught:
        await images.find(strategy)
    assert caught.value.pause is None

    registry.fault = None
    assert await images.tags(strategy) == ["1.0.0"]


@pytest.mark.parametrize("strategy", ["SemVer", "NewestBuild", "Lexical"])
async def test_manifest_of_unknown_type_fails_the_look_by_name(
    images: Images, registry: Registry, strategy: str
) -> None:
    registry.push_manifest("app", "1.0.0", {"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+json")

    with pytest.raises(LookFailed, match=r"its type .*manifest\.v1\+json is none of an image's"):
        await images.find(strategy)


@pytest.mark.parametrize(("times", "renewed"), [(1, True), (None, False)])
async def test_credentials_that_expire_between_pages_are_renewed_or_named(
    images: Images, registry: Registry, times: int | None, renewed: bool
) -> None:
    for patch in range(5):
        registry.push("app", f"1.0.{patch}")
    registry.auth, registry.page_size = "token", 2
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="registry"'}
    registry.fault = Fault(status=401, path="last=", times=times, body=b"{}", headers=challenge)

    if renewed:
        assert await images.tags("SemVer", discoveryLimit=1) == ["1.0.4"]
        return
    with pytest.raises(LookFailed, match=r"wants credentials \(401\)"):
        await images.find("SemVer")


async def test_too_many_builds_to_read_are_refused(
    images: Images, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.discovery.image.MAX_BUILDS", 2)
    registry.push("app", "a")
    registry.tag_many("app", ["b", "c"], of="a")

    with pytest.raises(LookFailed, match="let fewer count by allowTagsRegexes"):
        await images.find("NewestBuild")
