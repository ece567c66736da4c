"""Freight as it is shown: field by field as Kargo's `freight_types.go` has it, and nothing that is empty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from model.freight_status import FreightRecord, VerifiedIn
from model.references import ArtifactReference, Chart, FreightOrigin, FreightReference, GitCommit, Image
from model.warehouse_view import describe_freight

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_freight_is_shown_as_kargo_shapes_it() -> None:
    reference = FreightReference(
        name="f" * 40,
        origin=FreightOrigin(name="web"),
        commits=[
            GitCommit(
                repo_url="https://git.example.com/shop.git",
                id="a" * 40,
                branch="main",
                message="Change it",
                author="Ada <ada@example.com>",
                committer="Grace <grace@example.com>",
            )
        ],
        images=[Image(repo_url="ghcr.io/shop/web", tag="1.0.0", digest="sha256:0", annotations={"a": "b"})],
        charts=[Chart(repo_url="oci://ghcr.io/shop/chart", version="1.2.3", subscription_name="chart")],
        artifacts=[ArtifactReference(artifact_type="ticks", subscription_name="clock", version="7")],
    )
    record = FreightRecord(
        reference=reference,
        alias="wise-otter",
        discovered_at=NOON,
        verified_in={"dev": VerifiedIn(verified_at=NOON, longest_soak=timedelta(hours=1))},
        approved_for={"prod": NOON},
        currently_in={"dev": NOON},
        metadata={"ticket": {"id": 0}},
    )
    noon = "2026-01-02T12:00:00Z"
    assert describe_freight("shop", record) == {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Freight",
        "metadata": {
            "name": "f" * 40,
            "namespace": "shop",
            "creationTimestamp": noon,
            "labels": {"kargo.akuity.io/alias": "wise-otter"},
        },
        "alias": "wise-otter",
        "origin": {"kind": "Warehouse", "name": "web"},
        "discoveredAt": noon,
        "commits": [
            {
                "repoURL": "https://git.example.com/shop.git",
                "id": "a" * 40,
                "branch": "main",
                "message": "Change it",
                "author": "Ada <ada@example.com>",
                "committer": "Grace <grace@example.com>",
            }
        ],
        "images": [{"repoURL": "ghcr.io/shop/web", "tag": "1.0.0", "digest": "sha256:0", "annotations": {"a": "b"}}],
        "charts": [{"repoURL": "oci://ghcr.io/shop/chart", "version": "1.2.3", "subscriptionName": "chart"}],
        "artifacts": [{"artifactType": "ticks", "subscriptionName": "clock", "version": "7"}],
        "status": {
            "verifiedIn": {"dev": {"verifiedAt": noon, "longestSoak": "1h0m0s"}},
            "approvedFor": {"prod": {"approvedAt": noon}},
            "currentlyIn": {"dev": {"since": noon}},
            "metadata": {"ticket": {"id": 0}},
        },
    }
