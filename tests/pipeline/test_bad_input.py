"""What a person is told when something is wrong: in which words, and that nothing is lost by it.

Each row of the first table is an apply that changes nothing, of the second a promotion that ends with the step that
could not be done, of the third a Warehouse that could not look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from examples.world.registry import Fault
from tests.pipeline.installation import NOWHERE, Installation
from tests.pipeline.pipeline import Pipeline


@pytest.fixture
def unapplied(towpath: Installation) -> Pipeline:
    """A pipeline whose manifests nobody has applied yet."""
    return Pipeline.create(towpath)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("failureLimit:", "failureLimits:", "AnalysisTemplate/experience: spec.metrics[0].failureLimits: there is no"),
        ("failureLimit:", "failureLimits:", "did you mean failureLimit?"),
        ("sources:\n        direct", "source:\n        direct", "did you mean sources?"),
        ("kind: Warehouse\nmetadata", "kind: Warehuose\nmetadata", "Warehuose"),
        ("checkout:", "checkouts:", "PromotionTask/tow: spec.steps[0].config: checkouts: unknown field; did you mean"),
        ("uses: git-clear", "uses: git-cleer", "there is no step 'git-cleer'; did you mean git-clear?"),
        ("uses: git-clear", "uses: tf-apply", "step tf-apply is not supported yet"),
        (".Tag }}", ".Tag. }}", "spec.steps[2].config: images[0].tag: the expression can't be read: "),
        (
            "        direct: true\n",
            "        stages:\n          - prod\n",
            "Freight would go in a circle: dev → staging → ab-test-a → prod → dev",
        ),
        ("name: staging\n  namespace", "name: dev\n  namespace", "Stage/dev stands in this set twice"),
    ],
)
def test_manifests_that_are_wrong_change_nothing(unapplied: Pipeline, old: str, new: str, said: str) -> None:
    answer = unapplied.towpath.fail("apply", "-f", "-", stdin=unapplied.manifests({old: new}))
    assert any(line.startswith("(stdin):") and said in line for line in answer.splitlines()), answer
    assert answer.splitlines()[-1].endswith("in the manifests; nothing was changed")
    assert f"Project {unapplied.project} not found" in unapplied.towpath.fail("get", "project", unapplied.project)


def test_a_wrong_manifest_leaves_what_is_applied_as_it_is(pipeline: Pipeline) -> None:
    before = pipeline.read("stages")
    changes = {"name: tow\n  verification": "name: tug\n  verification", "interval: 1h": "intervall: 1h"}
    pipeline.towpath.fail("apply", "-f", "-", stdin=pipeline.manifests(changes))
    assert [stage["spec"] for stage in pipeline.read("stages")["items"]] == [s["spec"] for s in before["items"]]


def _missing_base(pipeline: Pipeline) -> None:
    pipeline.repository.commit({"env/dev/kustomization.yaml": "resources: [../../bas]\n"}, "Break it")


def _no_object(pipeline: Pipeline) -> None:
    pipeline.repository.commit({"base/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\n"}, "Break it")


def _protected(pipeline: Pipeline) -> None:
    pipeline.repository.commit({"README.md": "rendered\n"}, "Initial commit", branch="env/dev", orphan=True)
    pipeline.repository.protect("env/dev")


@pytest.mark.parametrize(
    ("wrong", "changes", "step", "phase", "said"),
    [
        (_missing_base, {}, "step-4 (kustomize-build)", "Errored", "refers to '../../bas', which isn't there"),
        (_no_object, {}, "step-4 (kustomize-build)", "Errored", "missing metadata.name"),
        (_protected, {}, "step-6 (git-push)", "Errored", "branch env/dev is protected: open a pull request"),
        (None, {".Tag }}": ".Tag.Of }}"}, "update-image (kustomize-set-image)", "Errored", "images[0].tag: "),
        (None, {"imageFrom(vars.image)": "imageFrom('nginx')"}, "update-image (kustomize-set-image)", "Errored", "nil"),
        (None, {"${{ ctx.project }}-": "ghost-"}, "step-7 (argocd-update)", "Errored", "no Argo CD Application"),
    ],
    ids=["missing base", "no object", "protected branch", "failing expression", "no such image", "no Application"],
)
def test_a_promotion_that_cannot_be_done_ends_with_the_steps_reason(
    unapplied: Pipeline,
    wrong: Callable[[Pipeline], None] | None,
    changes: dict[str, str],
    step: str,
    phase: str,
    said: str,
) -> None:
    if wrong:
        wrong(unapplied)
    unapplied.apply(changes)
    freight = unapplied.discover()
    before = unapplied.repository.head("env/dev")
    last = unapplied.fail("promote", "--stage", "dev", "--freight", freight, "--wait").splitlines()[-1]
    assert f"{phase}: step task-1::{step}: " in last
    assert said in last
    assert len(last) < 1500
    status = unapplied.stage("dev")
    assert status["freightHistory"] == []
    assert said in status["lastPromotion"]["status"]["message"]
    assert said in unapplied.run("logs", "promotion", status["lastPromotion"]["name"])
    if "argocd" not in step:
        assert unapplied.repository.head("env/dev") in (before, _only(unapplied, "Initial commit"))


def _only(pipeline: Pipeline, message: str) -> str | None:
    """The head of dev's branch, where it holds nothing but a commit of this message."""
    return pipeline.repository.head("env/dev") if pipeline.repository.log("env/dev") == [message] else None


@contextmanager
def _registry(pipeline: Pipeline, host: str, status: int) -> Iterator[dict[str, str]]:
    registry = pipeline.towpath.faulty.get(host, pipeline.towpath.registry)
    registry.fault = Fault(status=status, path=pipeline.project, retry_after="1" if status == 429 else "")
    try:
        yield {"registry.example.com/": f"{host}/"}
    finally:
        registry.fault = None


@pytest.mark.parametrize(
    ("host", "status", "said"),
    [
        ("registry.example.com", 401, "wants credentials (401)"),
        ("registry.example.com", 401, "add a Secret of type image whose repoURL is registry.example.com/"),
        ("registry.example.com", 403, "forbids it (403)"),
        ("registry.example.com", 404, "not found (404)"),
        ("busy.example.com", 429, "takes no more requests for now (429)"),
        ("broken.example.com", 503, "is in trouble (503)"),
    ],
)
def test_a_registry_that_will_not_answer_is_named_with_the_reason(
    unapplied: Pipeline, host: str, status: int, said: str
) -> None:
    with _registry(unapplied, host, status) as changes:
        unapplied.apply(changes)
        answer = unapplied.fail("refresh", "warehouse", "cargo", "--wait")
        assert f"image {host}/{unapplied.project}" in answer
        assert said in answer
        assert said in _unhealthy(unapplied)


def test_a_git_host_out_of_reach_is_named(unapplied: Pipeline) -> None:
    address = f"{NOWHERE}{unapplied.project}.git"
    unapplied.apply({unapplied.repo_url: address})
    answer = unapplied.fail("refresh", "warehouse", "cargo", "--wait")
    assert f"git {address}" in answer
    assert "could not be reached" in answer
    assert "Couldn't connect to server" in answer
    assert "could not be reached" in _unhealthy(unapplied)


def test_a_repository_that_vanishes_loses_no_freight(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    gone = pipeline.repository.path.with_suffix(".gone")
    pipeline.repository.path.rename(gone)
    answer = pipeline.fail("refresh", "warehouse", "cargo", "--wait")
    assert f"repository {pipeline.repo_url} was not found, or its credentials may not see it" in answer
    assert "was not found" in _unhealthy(pipeline)
    last = pipeline.fail("promote", "--stage", "dev", "--freight", freight, "--wait").splitlines()[-1]
    assert "Errored: step task-1::step-1 (git-clone): " in last
    assert "was not found" in last
    gone.rename(pipeline.repository.path)
    assert pipeline.discover() == freight
    pipeline.bring("dev", freight)


def _unhealthy(pipeline: Pipeline) -> str:
    """What an unhealthy Warehouse says of itself."""
    conditions: list[dict[str, Any]] = pipeline.read("warehouse", "cargo")["status"]["conditions"]
    healthy = next(condition for condition in conditions if condition["type"] == "Healthy")
    assert healthy["status"] == "False"
    return str(healthy["message"])


def test_names_that_do_not_exist(pipeline: Pipeline) -> None:
    for arguments, said in [
        (("promote", "--stage", "dev", "--freight", "0" * 40), f"Freight '{'0' * 40}' not found in Project"),
        (("promote", "--stage", "dev", "--freight-alias", "no-such"), "Freight with the alias 'no-such' not found"),
        (("approve", "--stage", "dev", "--freight", "ghost"), "Freight 'ghost' not found"),
        (("get", "freight", "ghost"), "Freight 'ghost' not found"),
        (("get", "stage", "ghost"), "Stage ghost in Project"),
        (("refresh", "warehouse", "ghost"), "Warehouse ghost in Project"),
        (("verify", "stage", "dev"), "Stage dev holds nothing that has been verified before"),
    ]:
        answer = pipeline.fail(*arguments)
        assert said in answer
        assert len(answer.splitlines()) == 1
