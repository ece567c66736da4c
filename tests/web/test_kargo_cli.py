"""Kargo's own command line against the API. Needs it: TOWPATH_TEST_KARGO_CLI=/path/to/kargo."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.starter.house import Rooms, in_project, manifests
from tests.web.served import discovered, eventually, served
from tests.workflows.house import project, stage, warehouse

KARGO = os.environ.get("TOWPATH_TEST_KARGO_CLI", "")

pytestmark = pytest.mark.skipif(not KARGO, reason="TOWPATH_TEST_KARGO_CLI names no Kargo command line")

#: Seconds that one call may take.
PATIENCE = 60

Kargo = Callable[..., Awaitable[str]]


def caller(directory: Path) -> Kargo:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
    }

    async def kargo(*arguments: str, fails: bool = False) -> str:
        process = await asyncio.create_subprocess_exec(
            KARGO, *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        except TimeoutError:
            process.kill()
            raise AssertionError(f"kargo {' '.join(arguments)} did not end") from None
        assert (process.returncode != 0) == fails, f"kargo {' '.join(arguments)}: {output.decode()}"
        return output.decode()

    return kargo


async def test_a_pipeline_is_driven_by_kargos_command_line(house: Rooms, tmp_path: Path) -> None:
    name = house.project()
    house.house.project = name
    policy = {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ProjectConfig",
        "metadata": {"name": name, "namespace": name},
        "spec": {"promotionPolicies": [{"stageSelector": {"name": "dev"}, "autoPromotionEnabled": False}]},
    }
    gone = {"analysisTemplates": [{"name": "gone"}]}
    stages = [stage("dev"), stage("prod", "dev"), stage("qa", "dev", verification=gone)]
    file = tmp_path / "manifests.yaml"
    file.write_text(manifests(*in_project(name, [*stages, warehouse()]), policy, project(name)))
    async with served(house, tmp_path) as client:
        kargo = caller(tmp_path)
        # On loopback any password will do.
        await kargo("login", str(client.base_url).removesuffix("/v1beta1/"), "--admin", "--password", "any")
        assert "Server Version:" in await kargo("version")
        applied = await kargo("apply", "-f", str(file))
        assert applied.splitlines() == [
            f"project.kargo.akuity.io/{name} created",
            "stage.kargo.akuity.io/dev created",
            "stage.kargo.akuity.io/prod created",
            "stage.kargo.akuity.io/qa created",
            "warehouse.kargo.akuity.io/web created",
            f"projectconfig.kargo.akuity.io/{name} created",
        ]
        assert "configured" in await kargo("apply", "-f", str(file))
        assert "already exists" in await kargo("create", "project", name, fails=True)
        freight = await discovered(house)
        at = ["--project", name]
        for kind, shown in (
            ("projects", name),
            ("stages", "prod"),
            ("warehouses", "web"),
            ("freight", freight),
            ("projectconfig", name),
        ):
            assert shown in await kargo("get", kind, *([] if kind == "projects" else at)), kind
        for kind, item in (("stage", "dev"), ("warehouse", "web"), ("project", name)):
            named = await kargo("get", kind, item, *([] if kind == "project" else at), "-o", "name")
            assert named.strip() == f"{kind}.kargo.akuity.io/{item}"
        refused = await kargo("promote", *at, "--stage", "prod", "--freight", freight, fails=True)
        assert "not verified in Stage dev" in refused
        promoted = await kargo("promote", *at, "--stage", "dev", "--freight", freight, "--wait")
        assert "promotion created" in promoted
        listed = await kargo("get", "promotions", *at, "--stage", "dev")
        assert "Succeeded" in listed
        assert "refreshed" in await kargo("refresh", "stage", "dev", *at, "--wait")
        assert "refreshed" in await kargo("refresh", "projectconfig", *at, "--wait")
        await kargo("approve", *at, "--freight", freight, "--stage", "prod")
        await kargo("update", "freight", *at, "--name", freight, "--new-alias", "frozen-fox")
        assert freight in await kargo("get", "freight", *at, "--alias", "frozen-fox")
        downstream = await kargo("promote", *at, "--downstream-from", "dev", "--freight-alias", "frozen-fox", "--wait")
        assert downstream.count("promotion created") == 2
        again = await kargo("promote", *at, "--stage", "dev", "--warehouse", "web", "--wait", "-o", "name")
        await kargo("promote", *at, "--name", again.strip().rpartition("/")[2], "--abort")
        ended = f"/projects/{name}/stages/qa"
        await eventually(client, ended, lambda shown: "Error" in str(shown["status"]["freightHistory"]))
        await kargo("verify", "stage", "qa", *at)
        assert "nothing to verify" in await kargo("verify", "stage", "dev", *at, fails=True)
        assert "no verification" in await kargo("verify", "stage", "dev", *at, "--abort", fails=True)
        assert "promote other Freight" in await kargo("delete", "freight", *at, "--name", freight, fails=True)
        assert "qa deleted" in await kargo("delete", "stage", "qa", *at)
        await kargo("delete", "projectconfig", *at)
        gone = await kargo("delete", "project", name)
        assert gone.strip() == f"project.kargo.akuity.io/{name} deleted"
        assert name not in await kargo("get", "projects")
