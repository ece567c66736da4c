"""The web on a real Temporal server: what is applied is reached, and what the command line shows is where."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from model.discovery import WatchingNotice
from model.names import CLUSTER, warehouse_id
from tests.patience import PATIENCE
from tests.starter.house import Rooms, manifests
from tests.web.town import SECRET, body_of, signed
from web.process import AddressTaken, serving
from worker.embedded import free_port
from workflows.settings import WebSettings

ROOT = Path(__file__).parents[2]
KARGO = "kargo.akuity.io/v1alpha1"


def resource(kind: str, name: str, project: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": KARGO, "kind": kind, "metadata": {"name": name, "namespace": project}, "spec": spec}


def furnish(house: Rooms, credentials: Path) -> str:
    """A Project with a receiver and two Warehouses; its name."""
    project = house.project()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"secret": SECRET}}
    (credentials / project).mkdir(parents=True)
    file = credentials / project / "hub.yaml"
    file.write_text(yaml.safe_dump(secret))
    file.chmod(0o600)
    receivers = [
        {"name": "hub", "github": {"secretRef": {"name": "hub"}}},
        {"name": "lost", "quay": {"secretRef": {"name": "lost"}}},
    ]
    text = manifests(
        {"apiVersion": KARGO, "kind": "Project", "metadata": {"name": project}},
        resource("ProjectConfig", project, project, webhookReceivers=receivers),
        *(
            resource(
                "Warehouse", name, project, subscriptions=[{"git": {"repoURL": f"https://git.example.com/{name}"}}]
            )
            for name in ("web", "api")
        ),
    )
    applied = house.run("apply", "-f", "-", stdin=text)
    assert applied.exit_code == 0, applied.output
    return project


async def watched(house: Rooms, project: str, name: str) -> None:
    """Has the Warehouse believe that it is watched, so that a refresh waits for nothing."""
    client = await house.client()
    notice = WatchingNotice(workflow_id=CLUSTER, run_id="", generation=1)
    await client.get_workflow_handle(warehouse_id(project, name)).signal("watching", notice)


def shown(house: Rooms, *arguments: str) -> dict[str, Any]:
    result = house.run("get", *arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.output)
    return found


async def test_a_push_reaches_the_warehouse_by_the_url_that_is_shown(
    house: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.delenv("TOWPATH_CREDENTIALS_DIRECTORY", raising=False)
    project = await asyncio.to_thread(furnish, house, tmp_path / "credentials")
    for name in ("web", "api"):
        await watched(house, project, name)
    unknown = await asyncio.to_thread(shown, house, "projectconfig", project, "-p", project)
    assert unknown["status"]["conditions"][0]["reason"] == "ReceiversUnknown"
    settings = WebSettings(
        data_directory=tmp_path / "data",
        credentials_directory=tmp_path / "credentials",
        web_address=f"127.0.0.1:{free_port(0)}",
    )
    async with serving(settings, await house.connect()) as url, httpx.AsyncClient() as client:
        config = await asyncio.to_thread(shown, house, "projectconfig", project, "-p", project)
        (receiver,) = config["status"]["webhookReceivers"]
        assert receiver["url"].startswith(f"{url}/webhooks/github/")
        assert receiver["url"] == url + receiver["path"]
        assert config["status"]["conditions"][0]["message"].startswith("lost: there is no Secret lost in")
        assert (await client.get(f"{url}/healthz")).status_code == 200
        body = body_of({"ref": "refs/heads/main", "repository": {"clone_url": "https://git.example.com/web.git"}})
        headers = {"X-GitHub-Event": "push", **signed(body)}
        answer = await client.post(receiver["url"], content=body, headers=headers, timeout=PATIENCE)
        assert (answer.status_code, answer.json()) == (200, {"msg": "refreshed 1 warehouse(s)"})
    refreshed = {
        name: "kargo.akuity.io/refresh"
        in (await asyncio.to_thread(shown, house, "warehouse", name, "-p", project))["metadata"].get("annotations", {})
        for name in ("web", "api")
    }
    assert refreshed == {"web": True, "api": False}


async def test_a_taken_port_is_an_error_or_the_next_is_taken(house: Rooms, tmp_path: Path) -> None:
    settings = WebSettings(data_directory=tmp_path, web_address=f"127.0.0.1:{free_port(0)}")
    towpath = await house.connect()
    async with serving(settings, towpath) as first:
        with pytest.raises(AddressTaken, match="TOWPATH_WEB_ADDRESS"):
            async with serving(settings, towpath):
                pass
        async with serving(settings, towpath, any_port=True) as second, httpx.AsyncClient() as client:
            assert first != second
            assert (await client.get(f"{second}/healthz")).status_code == 200


async def test_towpath_web_serves_until_it_is_told_to_stop(house: Rooms, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))}
    environment |= {
        "TOWPATH_DATA_DIRECTORY": str(tmp_path),
        "TOWPATH_WEB_ADDRESS": "127.0.0.1:0",
        "TEMPORAL_ADDRESS": house.address,
        "PYTHONPATH": str(ROOT),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starter", "web", cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        assert child.stdout is not None
        line = (await asyncio.wait_for(child.stdout.readline(), PATIENCE)).decode()
        assert line.startswith("Towpath's web is ready: http://127.0.0.1:"), (await child.communicate())[1]
        url = line.split()[4].rstrip(".")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/healthz")).status_code == 200
            assert (await client.post(f"{url}/webhooks/github/{'0' * 64}")).status_code == 404
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), PATIENCE) == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
