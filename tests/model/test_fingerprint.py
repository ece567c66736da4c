"""The same artifacts have the same name here as in Kargo."""

from __future__ import annotations

import pytest

from model.fingerprint import fingerprint
from model.references import ArtifactReference, Chart, FreightOrigin, FreightReference, GitCommit, Image

REPO = "https://github.com/akuity/kargo-advanced.git"
COMMIT = "a" * 40
DIGEST = f"sha256:{'b' * 64}"
GUESTBOOK = FreightOrigin(name="guestbook")
CHARTS = FreightOrigin(name="charts")


@pytest.mark.parametrize(
    ("freight", "name"),
    [
        (
            FreightReference(
                origin=GUESTBOOK,
                commits=[GitCommit(repo_url=REPO, id=COMMIT)],
                images=[Image(repo_url="ghcr.io/akuity/guestbook", tag="v0.1.0", digest=DIGEST)],
            ),
            "540d970918f2aead3277576026d5660c723f05ea",
        ),
        (
            FreightReference(origin=GUESTBOOK, commits=[GitCommit(repo_url=REPO, id=COMMIT, tag="v1.0.0")]),
            "ed2a131de37ecb9e86fe93c92c251f4a135e5e47",
        ),
        (
            FreightReference(
                origin=CHARTS,
                charts=[Chart(repo_url="https://charts.example.com/", name="my-chart", version="1.2.3")],
            ),
            "16ab5686e62f6fa5e6ffbbee14a7d2a91c063318",
        ),
        (
            FreightReference(
                origin=CHARTS, charts=[Chart(repo_url="oci://ghcr.io/Akuity/charts/app", version="1.2.3")]
            ),
            "75fbac1828fc0af2e48a406a33ea984bf9305413",
        ),
    ],
)
def test_vectors(freight: FreightReference, name: str) -> None:
    assert fingerprint(freight) == name


def _freight(**changes: object) -> FreightReference:
    commit = GitCommit(repo_url=REPO, id=COMMIT)
    image = Image(repo_url="ghcr.io/akuity/guestbook", tag="v0.1.0", digest=DIGEST)
    return FreightReference.model_validate({"origin": GUESTBOOK, "commits": [commit], "images": [image], **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"commits": [GitCommit(repo_url=REPO, id=COMMIT, branch="main", message="m", author="a", committer="c")]},
        {"commits": [GitCommit(repo_url="https://GitHub.com/akuity/kargo-advanced/", id=COMMIT)]},
        {"images": [Image(repo_url="ghcr.io/akuity/guestbook", tag="v0.1.0", digest=DIGEST, annotations={"a": "b"})]},
    ],
)
def test_what_does_not_count(changes: dict[str, object]) -> None:
    assert fingerprint(_freight(**changes)) == fingerprint(_freight())


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": CHARTS},
        {"commits": []},
        {"commits": [GitCommit(repo_url=REPO, id=COMMIT, tag="v1")]},
        {"commits": [GitCommit(repo_url=REPO, id=COMMIT, subscription_name="source")]},
        {"images": [Image(repo_url="ghcr.io/Akuity/guestbook", tag="v0.1.0", digest=DIGEST)]},
        {"images": [Image(repo_url="ghcr.io/akuity/guestbook", tag="v0.1.0", digest="sha256:c")]},
        {"artifacts": [ArtifactReference(artifact_type="t", subscription_name="s", version="1")]},
    ],
)
def test_what_counts(changes: dict[str, object]) -> None:
    assert fingerprint(_freight(**changes)) != fingerprint(_freight())


def test_the_order_of_artifacts_does_not_count() -> None:
    one = GitCommit(repo_url="https://git.example.com/one", id="1")
    two = GitCommit(repo_url="https://git.example.com/two", id="2")
    assert fingerprint(_freight(commits=[one, two])) == fingerprint(_freight(commits=[two, one]))
