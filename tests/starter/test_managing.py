"""What else a person does at the command line, on real workflows: fan out, abort, approve, rename, delete, restore."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from model.steps import StepRequest
from tests.starter.house import Rooms, in_project, manifests
from tests.workflows.house import project, stage, warehouse


def applied(house: Rooms, *stages: dict[str, Any]) -> str:
    """A Project with one Warehouse `web` and these Stages; its name."""
    name = house.project()
    house.house.project = name
    result = house.run("apply", "-f", "-", stdin=manifests(*in_project(name, [*stages, warehouse()]), project(name)))
    assert result.exit_code == 0, result.output
    return name


def promoted(house: Rooms, name: str, to: str, freight: str) -> str:
    """The name of a promotion that is over."""
    result = house.run("promote", "-p", name, "--stage", to, "--freight", freight, "--wait", "-o", "name")
    assert result.exit_code == 0, result.output
    return result.stdout.strip().removeprefix("promotion.kargo.akuity.io/")


def promote_when_verified(house: Rooms, name: str, upstream: str, freight: str) -> None:
    async def verified() -> bool:
        return upstream in next(r for r in await house.house.freight() if r.name == freight).verified_in

    house.wait(house.house.until(verified))


def test_promoting_downstream_waits_for_all_and_skips_control_flow(house: Rooms) -> None:
    name = applied(house, stage("dev"), stage("a", "dev"), stage("b", "dev"), stage("gate", "dev", steps=[]))
    freight = house.wait(house.house.discover("1.0.0"))
    promoted(house, name, "dev", freight.name)
    promote_when_verified(house, name, "dev", freight.name)
    result = house.run("promote", "-p", name, "--downstream-from", "dev", "--freight", freight.name, "--wait")
    assert result.exit_code == 0, result.output
    assert "control-flow Stage gate was skipped" in result.stderr
    ends = [line for line in result.stdout.splitlines() if ": Succeeded after" in line and "step" not in line]
    assert sorted(line.partition(":")[0] for line in ends) == ["a", "b"]


def test_promoting_from_a_warehouse_takes_its_newest_available_freight(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    house.wait(house.house.discover("1.0.0"))
    newest = house.wait(house.house.discover("1.1.0"))
    result = house.run("promote", "-p", name, "--stage", "dev", "--warehouse", "web", "-o", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["spec"]["freight"] == newest.name


@pytest.mark.parametrize("spelling", ["promote", "abort"])
def test_a_running_promotion_is_aborted_in_both_spellings(house: Rooms, spelling: str) -> None:
    name = applied(house, stage("dev"))
    freight = house.wait(house.house.discover("1.0.0"))

    async def forever(_: object) -> None:
        await asyncio.sleep(60)

    house.house.plays["work"] = forever
    try:
        started = house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name, "-o", "json")
        assert started.exit_code == 0, started.output
        promotion = json.loads(started.stdout)["metadata"]["name"]
        arguments = {
            "promote": ["promote", "-p", name, "--name", promotion, "--abort"],
            "abort": ["abort", "promotion", promotion, "-p", name],
        }
        result = house.run(*arguments[spelling])
    finally:
        del house.house.plays["work"]
    assert result.exit_code == 0, result.output
    assert "is being aborted" in result.stdout

    async def followed() -> str:
        phase = ""
        async for view in (await house.connect()).follow(name, promotion):
            phase = str(view.phase)
        return phase

    assert house.wait(followed()) == "Aborted"
    over = house.run("abort", "promotion", promotion, "-p", name)
    assert over.exit_code == 0
    assert "over already: Aborted" in over.stdout


def test_approved_freight_needs_no_verification_upstream(house: Rooms) -> None:
    name = applied(house, stage("dev"), stage("prod", "dev"))
    freight = house.wait(house.house.discover("1.0.0"))
    approved = house.run("approve", "-p", name, "--freight-alias", freight.alias, "--stage", "prod")
    assert approved.exit_code == 0, approved.output
    promoted(house, name, "prod", freight.name)
    nowhere = house.run("approve", "-p", name, "--freight", freight.name, "--stage", "nowhere")
    assert nowhere.exit_code == 1
    assert f"Stage nowhere in Project {name} not found" in nowhere.stderr


def test_freight_is_found_by_its_new_alias_and_by_the_beginning_of_its_name(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    freight = house.wait(house.house.discover("1.0.0"))
    renamed = house.run("update", "freight", "-p", name, "--old-alias", freight.alias, "--new-alias", "frozen-fox")
    assert renamed.exit_code == 0, renamed.output
    for arguments in (["--alias", "frozen-fox"], ["--name", freight.name], [freight.name[:9]]):
        found = house.run("get", "freight", "-p", name, *arguments, "-o", "name")
        assert found.stdout.strip() == f"freight.kargo.akuity.io/{freight.name}", found.output
    missing = house.run("get", "freight", "-p", name, "--alias", freight.alias)
    assert missing.exit_code == 1
    assert missing.stderr.startswith(f"error: Freight with the alias '{freight.alias}' not found in Project {name}")


def test_nothing_is_deleted_while_a_promotion_runs_unless_forced(house: Rooms) -> None:
    name = applied(house, stage("dev"), stage("prod", "dev"))
    freight = house.wait(house.house.discover("1.0.0"))

    async def forever(_: object) -> None:
        await asyncio.sleep(60)

    house.house.plays["work"] = forever
    try:
        house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name)

        async def busy() -> bool:
            lines = await (await house.connect()).stage_lines(name)
            return any(line.summary.current_promotion for line in lines)

        house.wait(house.house.until(busy))
        refused = house.run("delete", "project", name)
        assert refused.exit_code == 1
        assert "a promotion runs: dev." in refused.stderr
        assert len(json.loads(house.run("get", "stages", "-p", name, "-o", "json").stdout)["items"]) == 2
        forced = house.run("delete", "project", name, "--force")
    finally:
        del house.house.plays["work"]
    assert forced.exit_code == 0, forced.output
    assert f"project.kargo.akuity.io/{name} deleted" in forced.stdout
    gone = house.run("get", "stages", "-p", name)
    assert gone.exit_code == 1
    assert f"Project {name} not found" in gone.stderr


def test_files_name_what_is_deleted(house: Rooms, tmp_path: Path) -> None:
    name = applied(house, stage("dev"))
    file = tmp_path / "stage.yaml"
    file.write_text(manifests(*in_project(name, [stage("dev")])))
    assert house.run("delete", "-f", str(file)).stdout == "stage.kargo.akuity.io/dev deleted\n"
    again = house.run("delete", "-f", str(file))
    assert again.exit_code == 1
    assert "Stage dev" in again.stderr
    assert house.run("delete", "-f", str(file), "--ignore-not-found").exit_code == 0


def test_what_was_backed_up_is_restored_as_it_was(house: Rooms, tmp_path: Path) -> None:
    name = applied(house, stage("dev"), stage("prod", "dev"))
    freight = house.wait(house.house.discover("1.0.0"))
    promoted(house, name, "dev", freight.name)
    promote_when_verified(house, name, "dev", freight.name)
    file = tmp_path / "backup.json"
    backed_up = house.run("backup", str(file))
    assert backed_up.exit_code == 0, backed_up.output
    assert file.stat().st_mode & 0o077 == 0
    kept = json.loads(file.read_text())
    kept["entities"] = [entity for entity in kept["entities"] if name in entity["id"]]
    assert [entity["id"] for entity in kept["entities"]] == [
        f"project/{name}",
        f"warehouse/{name}/web",
        f"stage/{name}/dev",
        f"stage/{name}/prod",
    ]
    file.write_text(json.dumps(kept))
    in_the_way = house.run("restore", str(file))
    assert in_the_way.exit_code == 1
    assert "Nothing was restored" in in_the_way.stderr
    deleted = house.run("delete", "project", name)
    assert deleted.exit_code == 0, deleted.output

    restored = house.run("restore", str(file))
    assert restored.exit_code == 0, restored.output

    async def listed() -> bool:
        return len(await (await house.connect()).stage_lines(name)) == 2

    house.wait(house.house.until(listed))
    dev = json.loads(house.run("get", "stage", "dev", "-p", name, "-o", "json").stdout)
    assert dev["status"]["freightSummary"] == freight.name
    promoted(house, name, "prod", freight.name)


def test_freight_is_created_by_hand_and_deleted(house: Rooms) -> None:
    name = applied(house, stage("dev"))
    found = house.wait(house.house.discover("1.0.0"))
    pinned = f"ghcr.io/shop/web=0.9.0@sha256:{'c' * 64}"
    create = ("create", "freight", "-p", name, "--warehouse", "web")

    result = house.run(*create, "--image", pinned, "--alias", "frozen-fox")
    assert result.exit_code == 0, result.output
    assert "created with the alias frozen-fox" in result.stdout
    again = house.run(*create, "--image", pinned)
    assert (again.exit_code, "this set exists already: Freight" in again.stderr) == (1, True)
    unknown = house.run(*create, "--image", "ghcr.io/shop/web=9.9.9")
    assert "no such tag was discovered (the best are 1.0.0)" in unknown.stderr
    assert house.run(*create).exit_code == 2
    assert house.run(*create, "--image", "nonsense").exit_code == 2

    promoted(house, name, "dev", found.name)

    async def held() -> bool:
        return any(record.currently_in for record in await house.house.freight())

    house.wait(house.house.until(held))
    refused = house.run("delete", "freight", found.name, "-p", name)
    assert (refused.exit_code, "it is in dev" in refused.stderr) == (1, True)
    result = house.run("delete", "freight", "frozen-fox", "-p", name)
    assert (result.exit_code, result.stdout) == (0, "freight.kargo.akuity.io/frozen-fox deleted\n")
    assert [record.name for record in house.wait(house.house.freight())] == [found.name]


def test_a_freeze_is_shown_and_thawed_and_an_explanation_is_in_sentences(house: Rooms) -> None:
    name = applied(house, stage("dev"), stage("prod", "dev"))
    freight = house.wait(house.house.discover("1.0.0"))
    assert house.run("freeze", "-p", name, "--stage", "dev", "--reason", "the sale").output == "Stage dev is frozen\n"
    result = house.run("explain", "stage", "dev", "-p", name, "--freight", freight.name)
    assert result.exit_code == 0, result.output
    first, origin, available, candidate = result.stdout.splitlines()
    assert first.startswith("a promotion to dev would wait: Stage dev is frozen")
    assert first.endswith(": the sale")
    assert origin == "Warehouse/web: no promotion policy of the Project turns auto-promotion on for Stage dev"
    assert available.endswith("is available: straight from Warehouse/web")
    assert "is the candidate" in candidate
    assert house.run("thaw", "-p", name, "--stage", "dev").output == "Stage dev is thawed\n"
    again = house.run("thaw", "-p", name, "--stage", "dev")
    assert again.exit_code == 1
    assert "is not frozen by itself" in again.output
    result = house.run("explain", "stage", "prod", "-p", name, "--freight-alias", freight.alias)
    assert "is not available: not verified in Stage dev" in result.stdout
    assert house.run("freeze", "--all", "--stage", "dev", "--reason", "r").exit_code == 2


def test_a_failed_promotion_is_repeated_from_its_failed_step(house: Rooms) -> None:
    name = applied(house, stage("dev", steps=[{"uses": "work"}, {"uses": "work"}]))
    freight = house.wait(house.house.discover("1.0.0"))

    def no(request: StepRequest) -> dict[str, Any]:
        if request.step.alias == "step-2":
            raise ApplicationError("no", type="Failed", non_retryable=True)
        return {}

    house.house.plays["work"] = no
    try:
        failed = house.run("promote", "-p", name, "--stage", "dev", "--freight", freight.name, "--wait", "-o", "name")
        promotion = failed.stdout.strip().rpartition("/")[2]
        assert failed.exit_code == 1
    finally:
        house.house.plays.pop("work")
    again = house.run("promote", "-p", name, "--rerun", promotion, "--from-failed-step", "--wait", "-o", "json")
    assert again.exit_code == 0, again.output
    shown = json.loads(again.stdout)
    assert shown["spec"]["freight"] == freight.name
    assert [alias for run, alias in house.house.ran if run == shown["metadata"]["name"]] == ["step-2"]
    assert house.run("promote", "-p", name, "--rerun", promotion, "--stage", "dev").exit_code == 2
    assert house.run("promote", "-p", name, "--stage", "dev", "--from-failed-step").exit_code == 2
