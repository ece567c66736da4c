"""Freight by hand: which artifacts make a set, and what is said of others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from model.freight_choice import ArtifactKind, Choice, Unsuitable, choose
from model.references import ArtifactReference
from model.resources.warehouse import (
    ChartDiscoveryResult,
    DiscoveredArtifacts,
    DiscoveredCommit,
    DiscoveredImageReference,
    DiscoveryResult,
    GitDiscoveryResult,
    ImageDiscoveryResult,
    WarehouseSpec,
)

GIT, IMAGE, CHARTS = "https://git.example.com/shop.git", "ghcr.io/shop/web", "https://charts.example.com"
NEW, OLD, UNKNOWN = "a" * 40, "abcdef1" + "0" * 33, "f" * 40
DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64

SPEC = WarehouseSpec.model_validate(
    {
        "subscriptions": [
            {"git": {"repoURL": GIT}},
            {"image": {"repoURL": IMAGE}},
            {"chart": {"repoURL": CHARTS, "name": "web"}},
            {"name": "bucket", "s3": {}},
        ]
    }
)
FOUND = DiscoveredArtifacts(
    discovered_at=datetime(2026, 1, 1, tzinfo=UTC),
    git=[GitDiscoveryResult(repo_url=GIT, commits=[DiscoveredCommit(id=NEW), DiscoveredCommit(id=OLD, tag="v1")])],
    images=[ImageDiscoveryResult(repo_url=IMAGE, references=[DiscoveredImageReference(tag="1.0.0", digest=DIGEST)])],
    charts=[ChartDiscoveryResult(repo_url=CHARTS, name="web", versions=["2.0.0"])],
    results=[
        DiscoveryResult(name="bucket", artifact_references=[ArtifactReference(subscription_name="bucket", version="7")])
    ],
)
WHOLE: dict[tuple[ArtifactKind, str], str] = {
    ("git", GIT): NEW,
    ("image", IMAGE): "1.0.0",
    ("chart", f"{CHARTS}/web"): "2.0.0",
    ("artifact", "bucket"): "7",
}


def choices(**changed: str) -> list[Choice]:
    """One choice per subscription, some of them changed by kind."""
    return [Choice(kind=kind, of=of, version=changed.get(kind, version)) for (kind, of), version in WHOLE.items()]


def test_one_artifact_for_each_subscription_makes_freight() -> None:
    freight = choose("shop", SPEC, FOUND, choices())

    assert len(freight.name) == 40
    assert (freight.commits[0].id, freight.images[0].digest) == (NEW, DIGEST)
    assert (freight.charts[0].version, freight.artifacts[0].version) == ("2.0.0", "7")


@pytest.mark.parametrize(
    ("kind", "version", "expected"),
    [
        ("git", "abcdef1", OLD),
        ("git", "v1", OLD),
        ("git", UNKNOWN, UNKNOWN),
        ("image", f"0.9.0@{OTHER}", OTHER),
        ("image", f"1.0.0@{DIGEST}", DIGEST),
        ("chart", "0.1.0", "0.1.0"),
    ],
)
def test_artifacts_are_found_by_what_people_write(kind: str, version: str, expected: str) -> None:
    freight = choose("shop", SPEC, FOUND, choices(**{kind: version}))

    assert expected in {freight.commits[0].id, freight.images[0].digest, freight.charts[0].version}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (choices()[1:], f"there is none for --commit {GIT}=…"),
        (choices()[:1], f"there is none for --image {IMAGE}=…, --chart {CHARTS}/web=…, --artifact bucket=…"),
        ([*choices(), Choice(kind="image", of=f"docker.io/{IMAGE}x", version="1")], "has no such subscription; it has"),
        ([*choices(), choices()[0]], "each subscription takes one"),
        (choices(git="bbbbbbb"), "no such commit was discovered (the best are aaaaaaa, v1); another one needs"),
        (choices(image="2.0.0"), "no such tag was discovered (the best are 1.0.0); another one needs its digest"),
        (choices(chart="newest"), "newest"),
        (choices(artifact="8"), "no such version was discovered (the best are 7)"),
    ],
)
def test_what_does_not_fit_is_said(wanted: list[Choice], expected: str) -> None:
    with pytest.raises(Unsuitable) as caught:
        choose("shop", SPEC, FOUND, wanted)

    assert expected in str(caught.value)


def test_subscriptions_to_one_repository_are_told_apart_by_name() -> None:
    spec = WarehouseSpec.model_validate(
        {"subscriptions": [{"name": name, "image": {"repoURL": IMAGE}} for name in ("stable", "canary")]}
    )
    pinned = f"1.0.0@{OTHER}"

    with pytest.raises(Unsuitable, match="say the name of one: stable, canary"):
        choose("shop", spec, FOUND, [Choice(kind="image", of=IMAGE, version=pinned)])
    named = [Choice(kind="image", of=name, version=pinned) for name in ("stable", "canary")]
    assert [one.subscription_name for one in choose("shop", spec, FOUND, named).images] == ["stable", "canary"]
