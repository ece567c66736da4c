"""A pipeline in the shape of kargo-advanced, from a new image to production in three regions, and what can go wrong."""

from __future__ import annotations

import pytest

from examples.world.argocd import Script
from tests.pipeline.installation import Installation
from tests.pipeline.pipeline import FIRST, REGIONS, SECOND, STAGES, Pipeline


@pytest.fixture(scope="module")
def arrived(towpath: Installation) -> tuple[Pipeline, str]:
    """A pipeline whose first Freight went all the way to production; its name."""
    pipeline = Pipeline.create(towpath)
    pipeline.apply()
    freight = pipeline.discover()
    for stage in ("dev", "staging", "ab-test-a"):
        pipeline.bring(stage, freight)
    pipeline.promote("ab-test-b", freight)
    pipeline.await_verification("ab-test-b", "Failed")
    pipeline.await_verified("prod", freight)
    pipeline.run("promote", "--downstream-from", "prod", "--freight", freight, "--wait")
    for region in REGIONS:
        pipeline.await_verified(region, freight)
    return pipeline, freight


def test_every_application_is_synced_to_the_commit_of_its_promotion(arrived: tuple[Pipeline, str]) -> None:
    pipeline, freight = arrived
    for stage in STAGES:
        status = pipeline.stage(stage)
        assert status["freightSummary"] == freight
        assert status["health"]["status"] == "Healthy"
        head = pipeline.repository.head(f"env/{stage}")
        app = pipeline.towpath.argocd.get(pipeline.application(stage))["status"]
        assert (app["sync"]["status"], app["sync"]["revision"], app["health"]["status"]) == ("Synced", head, "Healthy")
        promotion = pipeline.read("promotion", status["lastPromotion"]["name"])
        assert promotion["status"]["state"]["task-1::commit"]["commit"] == head


def test_every_branch_holds_what_was_rendered_for_its_stage(arrived: tuple[Pipeline, str]) -> None:
    pipeline, _ = arrived
    for stage in STAGES:
        branch = f"env/{stage}"
        assert pipeline.repository.files(branch) == [f"harbour-{stage}-deployment-harbour.yaml"]
        rendered = pipeline.repository.read(f"harbour-{stage}-deployment-harbour.yaml", branch)
        assert f"image: registry.example.com/{pipeline.project}:{FIRST}\n" in rendered
        assert pipeline.repository.log(branch) == [f"Updated ./src/env/{stage} to use new image", "Initial commit"]


def test_steps_of_a_task_without_alias_are_named_after_its_place(arrived: tuple[Pipeline, str]) -> None:
    pipeline, _ = arrived
    promotion = pipeline.read("promotion", pipeline.stage("dev")["lastPromotion"]["name"])
    steps = [(step["alias"], step["status"]) for step in promotion["status"]["stepExecutionMetadata"]]
    aliases = ["step-1", "step-2", "update-image", "step-4", "commit", "step-6", "step-7"]
    assert steps == [(f"task-1::{alias}", "Succeeded") for alias in aliases]


def test_one_of_two_tests_lets_freight_through_to_production(arrived: tuple[Pipeline, str]) -> None:
    pipeline, freight = arrived
    assert pipeline.verified_in(freight) == sorted({*STAGES, "prod"} - {"ab-test-b"})
    failed = pipeline.stage("ab-test-b")["freightHistory"][0]["verificationHistory"][0]
    run = pipeline.read("verification", failed["id"])
    (metric,) = run["status"]["metricResults"]
    assert (metric["phase"], metric["failed"], metric["measurements"][0]["value"]) == ("Failed", 2, "267")
    assert "failed (2) > failureLimit (1)" in failed["message"]
    passed = pipeline.stage("ab-test-a")["freightHistory"][0]["verificationHistory"][0]
    (metric,) = pipeline.read("verification", passed["id"])["status"]["metricResults"]
    assert (metric["phase"], metric["successful"], metric["measurements"][0]["value"]) == ("Successful", 3, "112")


def test_a_raised_threshold_lets_the_freight_pass_when_verified_again(arrived: tuple[Pipeline, str]) -> None:
    pipeline, freight = arrived
    said = pipeline.apply({"result < 200": "result < 300"})
    assert [line for line in said.splitlines() if not line.endswith("unchanged")] == [
        "analysistemplate.argoproj.io/experience configured"
    ]
    pipeline.run("verify", "stage", "ab-test-b")
    pipeline.await_verified("ab-test-b", freight)
    history = pipeline.stage("ab-test-b")["freightHistory"][0]["verificationHistory"]
    assert [info["phase"] for info in history] == ["Successful", "Failed"]


def test_the_next_freight_follows_on_the_same_way(arrived: tuple[Pipeline, str]) -> None:
    pipeline, first = arrived
    pipeline.towpath.registry.push(pipeline.project, SECOND)
    pipeline.repository.commit({"base/extra.txt": "not rendered"}, "Nothing that counts")
    second = pipeline.discover(SECOND)
    assert second != first
    refused = pipeline.fail("promote", "--stage", "staging", "--freight", second)
    assert "not verified in Stage dev" in refused
    for stage in ("dev", "staging"):
        pipeline.bring(stage, second)
    assert pipeline.stage("staging")["freightSummary"] == second
    assert pipeline.stage("ab-test-a")["freightSummary"] == first
    history = [piece["items"]["Warehouse/cargo"]["name"] for piece in pipeline.stage("dev")["freightHistory"]]
    assert history == [second, first]
    rendered = pipeline.repository.read("harbour-dev-deployment-harbour.yaml", "env/dev")
    assert f":{SECOND}\n" in rendered


def test_an_application_that_stays_degraded_stops_its_freight_but_not_the_next_promotion(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    scripts = pipeline.towpath.argocd.scripts
    scripts[pipeline.application("dev")] = Script(health="Degraded")
    pipeline.promote("dev", freight)
    status = pipeline.await_health("dev", "Unhealthy")
    assert "Degraded" in " ".join(status["health"]["issues"])
    assert pipeline.verified_in(freight) == []
    assert status["freightHistory"][0]["verificationHistory"] == []
    assert "not verified in Stage dev" in pipeline.fail("promote", "--stage", "staging", "--freight", freight)
    # The next promotion may be the fix: it doesn't wait for a health that won't come.
    del scripts[pipeline.application("dev")]
    pipeline.towpath.registry.push(pipeline.project, SECOND)
    second = pipeline.discover(SECOND)
    pipeline.bring("dev", second)
    assert pipeline.verified_in(freight) == []


def test_an_argo_cd_that_fails_an_operation_fails_the_step_with_its_message(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    pipeline.towpath.argocd.scripts[pipeline.application("dev")] = Script(
        operation="Failed", message="one or more objects failed to apply: quota exceeded"
    )
    said = pipeline.fail("promote", "--stage", "dev", "--freight", freight, "--wait")
    assert "task-1::step-7 (argocd-update)" in said.splitlines()[-1]
    assert "quota exceeded" in said.splitlines()[-1]
    status = pipeline.stage("dev")
    assert status["health"]["status"] == "Unknown"
    assert not status["freightHistory"]


def test_an_argo_cd_out_of_reach_is_an_error_that_says_so_and_can_be_repeated(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    pipeline.towpath.relay.cut()
    try:
        said = pipeline.fail("promote", "--stage", "dev", "--freight", freight, "--wait")
    finally:
        pipeline.towpath.relay.mend()
    last = said.splitlines()[-1]
    assert "Errored: step task-1::step-7 (argocd-update)" in last
    assert "the Kubernetes API can't be reached" in last
    pushed = pipeline.repository.head("env/dev")
    pipeline.bring("dev", freight)
    # Nothing had changed, so nothing was committed; Argo CD gets the commit that is there.
    assert pipeline.repository.head("env/dev") == pushed
    promotion = pipeline.read("promotion", pipeline.stage("dev")["lastPromotion"]["name"])
    steps = {step["alias"]: step["status"] for step in promotion["status"]["stepExecutionMetadata"]}
    assert steps["task-1::commit"] == "Skipped"


def test_health_is_unknown_while_argo_cd_is_out_of_reach(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    pipeline.bring("dev", freight)
    pipeline.towpath.relay.cut()
    try:
        pipeline.run("refresh", "stage", "dev")
        status = pipeline.await_health("dev", "Unknown")
        assert "the Kubernetes API can't be reached" in " ".join(status["health"]["issues"])
    finally:
        pipeline.towpath.relay.mend()
    pipeline.run("refresh", "stage", "dev")
    pipeline.await_health("dev", "Healthy")
    assert pipeline.verified_in(freight) == ["dev"]


def test_health_that_turns_bad_later_is_noticed(pipeline: Pipeline) -> None:
    freight = pipeline.discover()
    pipeline.bring("dev", freight)
    pipeline.towpath.argocd.patch(pipeline.application("dev"), {"status": {"health": {"status": "Degraded"}}})
    pipeline.run("refresh", "stage", "dev")
    pipeline.await_health("dev", "Unhealthy")
    # Verified it stays: what was proved isn't taken back.
    assert pipeline.verified_in(freight) == ["dev"]
