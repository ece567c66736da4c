"""The public example akuity/kargo-advanced, its manifests as they are, to the end: production, and all verified.

Its Git host, registry and web API are played on loopback and found through configuration alone. The example itself is
not ours to bring along: TOWPATH_TEST_KARGO_ADVANCED names a clone of it.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.pipeline.installation import Installation, installation
from tests.pipeline.pipeline import REGIONS, STAGES, Pipeline

VARIABLE = "TOWPATH_TEST_KARGO_ADVANCED"
PROJECT, WAREHOUSE = "kargo-advanced", "guestbook"
TAG = "v0.0.1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get(VARIABLE),
        reason=f"NOT PROVED HERE: that akuity/kargo-advanced runs to the end. Set {VARIABLE} to a clone of it",
    ),
]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed files of the clone, so that nothing changed in its work tree is taken for the example."""
    directory = tmp_path_factory.mktemp("kargo-advanced")
    command = ["git", "-C", os.environ[VARIABLE], "archive", "--format=tar", "HEAD"]
    archive = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A Towpath for which github.com, ghcr.io and pokeapi.co are on loopback."""
    with installation(
        tmp_path_factory.mktemp("github"),
        git_hosts="https://github.com/",
        registry_host="ghcr.io",
        web_host="https://pokeapi.co",
    ) as built:
        yield built


def test_kargo_advanced_runs_to_the_end(example: Path, github: Installation) -> None:
    repository = github.git.repository("akuity/kargo-advanced")
    repository.git("fetch", "--quiet", str(Path(os.environ[VARIABLE]).absolute()), "HEAD:refs/heads/main")
    github.registry.push("akuity/guestbook", TAG)
    github.registry.push("akuity/guestbook", "latest")
    applications = yaml.safe_load((example / "argocd/appset.yaml").read_text())["spec"]["template"]
    for path in sorted((example / "env").iterdir()):
        app = yaml.safe_load(yaml.safe_dump(applications).replace("{{path.basename}}", path.name))
        annotation = app["metadata"]["annotations"]["kargo.akuity.io/authorized-stage"]
        github.argocd.create(app["metadata"]["name"], app["spec"]["source"], stages=annotation)
    example_pipeline = Pipeline(github, PROJECT, repository, WAREHOUSE)

    applied = github.type("apply", "-f", str(example / "kargo"))
    assert applied.exit_code == 0, applied.output
    assert f"project.kargo.akuity.io/{PROJECT} created" in applied.stdout
    assert "allowTags" in applied.stderr

    freight = example_pipeline.discover(TAG)
    assert example_pipeline.stage("dev")["freightSummary"] == "0/1 Fulfilled", "without a policy nothing goes by itself"
    for stage in ("dev", "staging"):
        example_pipeline.bring(stage, freight)
    example_pipeline.promote("ab-test-b", freight)
    example_pipeline.bring("ab-test-a", freight)
    failed = example_pipeline.await_verification("ab-test-b", "Failed")
    (metric,) = example_pipeline.read("verification", failed["id"])["status"]["metricResults"]
    assert (metric["failed"], metric["measurements"][0]["value"]) == (4, "267")
    example_pipeline.await_verified("prod", freight)
    example_pipeline.run("promote", "--downstream-from", "prod", "--freight", freight, "--wait")
    for region in REGIONS:
        example_pipeline.await_verified(region, freight)
    assert example_pipeline.verified_in(freight) == sorted({*STAGES, "prod"} - {"ab-test-b"})

    # What the web API says of the one can be changed here, so that it passes too.
    github.web.base_experience["charizard"] = 199
    example_pipeline.run("verify", "stage", "ab-test-b")
    example_pipeline.await_verified("ab-test-b", freight)
    assert example_pipeline.verified_in(freight) == sorted({*STAGES, "prod"})

    for stage in STAGES:
        branch = f"env/{stage}"
        head = repository.head(branch)
        rendered = repository.read(f"guestbook-{stage}-deployment-guestbook.yaml", branch)
        assert f"image: ghcr.io/akuity/guestbook:{TAG}\n" in rendered
        assert len(repository.log(branch)) == 2
        app = github.argocd.get(f"guestbook-{stage}")["status"]
        assert (app["sync"]["revision"], app["health"]["status"]) == (head, "Healthy")
        assert example_pipeline.stage(stage)["health"]["status"] == "Healthy"
