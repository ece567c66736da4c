"""oci-download and oci-push, against registries on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings
from activities.steps import oci  # noqa: F401  # registers the steps
from activities.steps.registry import StepErrored
from examples.world.registry import OCI_MANIFEST, Registry, _digest, _Repository
from tests.steps.contexts import run_step, step_context

PASSWORD = "password-of-the-test"


@pytest.fixture
def here() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture
def there() -> Iterator[Registry]:
    with Registry(auth="token", users={"robot": PASSWORD}) as registry:
        yield registry


@pytest.fixture
def outside(here: Registry, there: Registry, tmp_path: Path) -> Outside:
    directory = tmp_path / "credentials" / "demo"
    directory.mkdir(parents=True)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "there", "labels": {"kargo.akuity.io/cred-type": "image"}},
        "stringData": {"repoURL": f"{there.host}/prod/app", "username": "robot", "password": PASSWORD},
    }
    (directory / "s.yaml").write_text(yaml.safe_dump(secret))
    (directory / "s.yaml").chmod(0o600)
    return open_outside(
        ActivitySettings(
            data_directory=tmp_path / "data",
            credentials_directory=tmp_path / "credentials",
            plain_http_registries=[here.host, there.host],
            allow_credentials_over_http=True,
        )
    )


def artifact(registry: Registry, repository: str, tag: str, *layers: tuple[str, bytes]) -> str:
    """Push an artifact of layers, each of a type and content; returns its digest."""
    store = registry._repositories.setdefault(repository, _Repository())
    config = b"{}"
    store.blobs[_digest(config)] = config
    described = []
    for media_type, content in layers:
        store.blobs[_digest(content)] = content
        described.append({"mediaType": media_type, "digest": _digest(content), "size": len(content)})
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": _digest(config), "size": 2},
        "layers": described,
    }
    return registry.push_manifest(repository, tag, manifest, OCI_MANIFEST)


async def run(outside: Outside, tmp_path: Path, name: str, **config: Any) -> dict[str, Any]:
    return await run_step(name, config, step_context(tmp_path / "ws", outside=outside))


def writes(registry: Registry) -> int:
    return sum(request.method in ("POST", "PUT") for request in registry.requests)


async def test_the_first_layer_or_that_of_a_type(outside: Outside, here: Registry, tmp_path: Path) -> None:
    digest = artifact(here, "team/config", "v1", ("text/plain", b"one"), ("application/x-tar", b"two"))
    output = await run(outside, tmp_path, "oci-download", imageRef=f"{here.host}/team/config:v1", outPath="d/one")
    assert output == {"digest": f"sha256:{hashlib.sha256(b'one').hexdigest()}", "size": 3}
    again = {"imageRef": f"{here.host}/team/config@{digest}", "outPath": "two", "mediaType": "application/x-tar"}
    await run(outside, tmp_path, "oci-download", **again)
    assert (tmp_path / "ws/d/one").read_bytes() == b"one"
    assert (tmp_path / "ws/two").read_bytes() == b"two"


async def test_a_rebuild_gives_the_same(outside: Outside, here: Registry, tmp_path: Path) -> None:
    artifact(here, "team/config", "v1", ("text/plain", b"one"))
    config = {"imageRef": f"{here.host}/team/config:v1", "outPath": "one"}
    first = await run(outside, tmp_path, "oci-download", **config)
    assert await run(outside, tmp_path / "elsewhere", "oci-download", **config) == first


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"imageRef": "{host}/team/config:v2"}, "not found"),
        ({"mediaType": "image/png"}, "no layer of type image/png, only text/plain"),
        ({"outPath": "taken"}, "taken is there already"),
    ],
)
async def test_downloads_that_can_not_be(
    outside: Outside, here: Registry, tmp_path: Path, config: dict[str, str], says: str
) -> None:
    artifact(here, "team/config", "v1", ("text/plain", b"one"))
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/taken").write_text("kept")
    given = {"imageRef": f"{here.host}/team/config:v1", "outPath": "x", **config}
    with pytest.raises(StepErrored, match=says):
        await run(outside, tmp_path, "oci-download", **{k: v.format(host=here.host) for k, v in given.items()})
    assert sorted(path.name for path in (tmp_path / "ws").iterdir()) == ["taken"]


async def test_a_layer_that_is_not_what_its_digest_says(outside: Outside, here: Registry, tmp_path: Path) -> None:
    artifact(here, "team/config", "v1", ("text/plain", b"one"))
    here._repositories["team/config"].blobs[_digest(b"one")] = b"own"
    with pytest.raises(StepErrored, match="has the digest"):
        await run(outside, tmp_path, "oci-download", imageRef=f"{here.host}/team/config:v1", outPath="x")
    assert list((tmp_path / "ws").iterdir()) == []


async def test_size_is_bounded(outside: Outside, here: Registry, tmp_path: Path) -> None:
    outside.settings.download_limit = 2
    artifact(here, "team/config", "v1", ("text/plain", b"one"))
    with pytest.raises(StepErrored, match="larger than 2 bytes"):
        await run(outside, tmp_path, "oci-download", imageRef=f"{here.host}/team/config:v1", outPath="x")


async def test_copied_to_another_registry_once(
    outside: Outside, here: Registry, there: Registry, tmp_path: Path
) -> None:
    digest = artifact(here, "team/app", "v1", ("text/plain", b"one"), ("text/plain", b"x" * 700_000))
    config = {"srcRef": f"{here.host}/team/app:v1", "destRef": f"{there.host}/prod/app:v1.0"}
    output = await run(outside, tmp_path, "oci-push", **config)
    assert output == {"image": f"{there.host}/prod/app:v1.0", "digest": digest, "tag": "v1.0"}
    store = there._repositories["prod/app"]
    assert store.tags == {"v1.0": digest}
    assert store.blobs == here._repositories["team/app"].blobs
    before = writes(there)
    assert await run(outside, tmp_path, "oci-push", **config) == output
    assert writes(there) == before


async def test_an_attempt_after_a_lost_one_sends_only_what_is_missing(
    outside: Outside, here: Registry, there: Registry, tmp_path: Path
) -> None:
    artifact(here, "team/app", "v1", ("text/plain", b"one"))
    config = {"srcRef": f"{here.host}/team/app:v1", "destRef": f"{there.host}/prod/app:v1"}
    await run(outside, tmp_path, "oci-push", **config)
    there.untag("prod/app", "v1")
    there.forget()
    await run(outside, tmp_path, "oci-push", **config)
    assert [request.path for request in there.requests if request.method in ("POST", "PUT")] == [
        "/v2/prod/app/manifests/v1"
    ]


async def test_tagged_in_its_own_repository(outside: Outside, here: Registry, tmp_path: Path) -> None:
    digest = here.push("team/app", "v1", content="a", platforms=["linux/amd64", "linux/arm64"])
    config = {"srcRef": f"{here.host}/team/app@{digest}", "destRef": f"{here.host}/team/app:stable"}
    assert (await run(outside, tmp_path, "oci-push", **config))["digest"] == digest
    assert here._repositories["team/app"].tags["stable"] == digest
    assert not any("/blobs/" in request.path for request in here.requests)


async def test_an_index_is_copied_whole_with_annotations(
    outside: Outside, here: Registry, there: Registry, tmp_path: Path
) -> None:
    here.push("team/app", "v1", content="a", platforms=["linux/amd64", "linux/arm64"])
    config = {
        "srcRef": f"{here.host}/team/app:v1",
        "destRef": f"{there.host}/prod/app:v1",
        "annotations": {"index:by": "towpath", "manifest:a": "1", "b": "2"},
    }
    output = await run(outside, tmp_path, "oci-push", **config)
    store = there._repositories["prod/app"]
    index = json.loads(store.manifests[output["digest"]][1])
    assert index["annotations"]["by"] == "towpath"
    assert len(index["manifests"]) == 2
    for entry in index["manifests"]:
        content = store.manifests[entry["digest"]][1]
        assert len(content) == entry["size"]
        assert json.loads(content)["annotations"] == {"a": "1", "b": "2"}
    before = writes(there)
    assert await run(outside, tmp_path, "oci-push", **config) == output
    assert writes(there) == before


async def test_what_is_too_large_is_not_begun(
    outside: Outside, here: Registry, there: Registry, tmp_path: Path
) -> None:
    outside.settings.oci_push_limit = 3
    artifact(here, "team/app", "v1", ("text/plain", b"one"))
    config = {"srcRef": f"{here.host}/team/app:v1", "destRef": f"{there.host}/prod/app:v1"}
    with pytest.raises(StepErrored, match="at most 3 are copied"):
        await run(outside, tmp_path, "oci-push", **config)
    assert writes(there) == 0


async def test_without_credentials_it_says_what_to_do(
    outside: Outside, here: Registry, there: Registry, tmp_path: Path
) -> None:
    artifact(here, "team/app", "v1", ("text/plain", b"one"))
    config = {"srcRef": f"{here.host}/team/app:v1", "destRef": f"{there.host}/other/app:v1"}
    with pytest.raises(StepErrored, match="Secret"):
        await run(outside, tmp_path, "oci-push", **config)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("oci-download", {"imageRef": "ghcr.io/team/app", "outPath": "x"}),
        ("oci-push", {"srcRef": "ghcr.io/a/b:1", "destRef": "ghcr.io/a/b@sha256:" + "a" * 64}),
        ("oci-push", {"srcRef": "https://ghcr.io/a/b:1", "destRef": "ghcr.io/a/b:1"}),
    ],
)
async def test_references_that_are_none(tmp_path: Path, name: str, config: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="expected a reference like"):
        await run_step(name, config, step_context(tmp_path))
