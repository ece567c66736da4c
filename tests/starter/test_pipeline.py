"""The whole way of a person at the command line, on real workflows: apply, look, promote, read what happened."""

from __future__ import annotations

import json

from temporalio.exceptions import ApplicationError

from model.steps import FAILED
from tests.starter.house import Rooms, in_project, manifests
from tests.workflows.house import project, stage, warehouse


def applied(house: Rooms, *stages: dict) -> str:
    """A Project with one Warehouse `web` and these Stages; its name."""
    name = house.project()
    house.house.project = name
    text = manifests(*in_project(name, [*stages, warehouse()]), project(name))
    result = house.run("apply", "-f", "-", stdin=text)
    assert result.exit_code == 0, result.output
    return name


def test_a_pipeline_is_applied_promoted_and_read(house: Rooms) -> None:
    name = house.project()
    house.house.project = name
    text = manifests(*in_project(name, [stage("dev"), stage("prod", "dev"), warehouse()]), project(name))

    first = house.run("apply", "-f", "-", stdin=text)
    assert first.exit_code == 0, first.output
    assert first.stdout.splitlines() == [
        f"project.kargo.akuity.io/{name} created",
        "warehouse.kargo.akuity.io/web created",
        "stage.kargo.akuity.io/dev created",
        "stage.kargo.akuity.io/prod created",
    ]
    again = house.run("apply", "-f", "-", stdin=text)
    assert all(line.endswith(" unchanged") for line in again.stdout.splitlines())

    freight = house.wait(house.house.discover("1.0.0"))
    listed = house.run("get", "freight", "-p", name, "-o", "json")
    (item,) = json.loads(listed.stdout)["items"]
    assert item["metadata"]["name"] == freight.name
    assert item["images"][0]["tag"] == "1.0.0"

    promoted = house.run("promote", "-p", name, "--stage", "dev", "--freight-alias", freight.alias, "--wait")
    assert promoted.exit_code == 0, promoted.output
    created, *progress = promoted.stdout.splitlines()
    promotion = created.split("/")[1].split()[0]
    assert progress[-1].startswith("dev: Succeeded after ")
    assert any(line.startswith("dev: step-1 (work): Succeeded") for line in progress)

    logs = house.run("logs", "promotion", promotion, "-p", name)
    assert "step step-1 (work): Succeeded" in logs.stdout
    assert f"freight  {freight.name} ({freight.alias})" in logs.stdout

    async def recorded() -> bool:
        lines = await (await house.connect()).stage_lines(name)
        return bool(lines[0].summary.freight)

    house.wait(house.house.until(recorded))
    stages = house.run("get", "stages", "-p", name)
    assert [line.split()[0] for line in stages.stdout.splitlines()] == ["NAME", "dev", "prod"]
    assert freight.alias in stages.stdout
    whole = json.loads(house.run("get", "promotion", promotion, "-p", name, "-o", "json").stdout)
    assert whole["kind"] == "Promotion"
    assert whole["status"]["phase"] == "Succeeded"
    assert whole["status"]["stepExecutionMetadata"][0]["alias"] == "step-1"


def test_a_promotion_that_fails_ends_with_the_steps_message_and_status_1(house: Rooms) -> None:
    name = applied(house, stage("dev", steps=[{"uses": "work"}, {"uses": "push", "as": "publish"}]))
    freight = house.wait(house.house.discover("1.0.0"))

    def protected(_: object) -> None:
        raise ApplicationError("the branch is protected", type=FAILED, non_retryable=True)

    house.house.plays["push"] = protected
    try:
        result = house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name[:8], "--wait")
    finally:
        del house.house.plays["push"]
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.endswith("Failed: step publish (push): the branch is protected")


def test_a_refused_promotion_says_why_and_is_nowhere_listed(house: Rooms) -> None:
    name = applied(house, stage("dev"), stage("prod", "dev"))
    freight = house.wait(house.house.discover("1.0.0"))
    result = house.run("promote", "-p", name, "--stage", "prod", "--freight", freight.name)
    assert result.exit_code == 1
    assert "not verified in Stage dev" in result.stderr
    assert json.loads(house.run("get", "promotions", "-p", name, "-o", "json").stdout)["items"] == []


def test_a_dry_run_foresees_what_applying_would_do_and_changes_nothing(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    changed = stage("dev", steps=[{"uses": "work"}, {"uses": "push"}])
    text = manifests(*in_project(name, [changed, stage("qa", "dev"), warehouse()]), project(name))
    foreseen = house.run("apply", "--dry-run", "-f", "-", stdin=text)
    assert foreseen.stdout.splitlines() == [
        "stage.kargo.akuity.io/dev configured (dry run)",
        "stage.kargo.akuity.io/qa created (dry run)",
        "warehouse.kargo.akuity.io/web unchanged (dry run)",
        f"project.kargo.akuity.io/{name} unchanged (dry run)",
    ]
    dev = json.loads(house.run("get", "stage", "dev", "-p", name, "-o", "json").stdout)
    assert len(dev["spec"]["promotionTemplate"]["spec"]["steps"]) == 1
    assert house.run("get", "stage", "qa", "-p", name).exit_code == 1


def test_one_unknown_step_refuses_the_whole_set(house: Rooms) -> None:
    name = house.project()
    bad = stage("prod", "dev", steps=[{"uses": "wrok"}])
    text = manifests(*in_project(name, [stage("dev"), bad, warehouse()]), project(name))
    refused = house.run("apply", "-f", "-", stdin=text)
    assert refused.exit_code == 1
    problem, last = refused.stderr.splitlines()
    assert problem.startswith("(stdin):")
    assert problem.endswith("Stage/prod: spec.promotionTemplate.spec.steps[0]: there is no step wrok")
    assert last == "error: 1 problem in the manifests; nothing was changed"
    assert house.run("get", "project", name).exit_code == 1


def test_a_stage_is_looked_at_again_and_what_does_not_run_is_not_aborted(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    refreshed = house.run("refresh", "stage", "dev", "-p", name)
    assert refreshed.exit_code == 0, refreshed.output
    for arguments in (["verify", "stage", "dev"], ["verify", "stage", "dev", "--abort"]):
        result = house.run(*arguments, "-p", name)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
