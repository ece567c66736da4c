"""Roles, tokens and actors on real workflows: what a promoter of one Stage may, and who is written down for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE
from tests.starter.house import Rooms, rooms
from tests.web.access.village import HASH, KEY, PASSWORD, bearer
from tests.web.served import discovered, eventually, furnished
from web.process import serving
from worker.embedded import free_port
from workflows.settings import WebSettings


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms(tmp_path_factory.mktemp("house")) as built:
        yield built


def config(project: str) -> dict[str, Any]:
    role = {"name": "devs", "role": "promoter", "stages": ["dev"], "tokens": ["other"]}
    return {
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "ProjectConfig",
        "metadata": {"name": project, "namespace": project},
        "spec": {"roles": [role]},
    }


async def test_a_promoter_of_one_stage_promotes_it_alone_and_everything_says_who_did_what(
    house: Rooms, tmp_path: Path
) -> None:
    project = await furnished(house)
    freight = await discovered(house)
    audit = tmp_path / "audit.jsonl"
    settings = WebSettings.model_validate(
        {
            "data_directory": tmp_path,
            "web_address": f"127.0.0.1:{free_port(0)}",
            "web_admin_password_hash": HASH,
            "web_key": KEY,
            "audit_file": str(audit),
        }
    )
    async with (
        serving(settings, await house.connect()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1beta1", timeout=PATIENCE) as client,
    ):
        answer = await client.post("/login", headers=bearer(PASSWORD))
        admin = bearer(answer.json()["idToken"])
        at = f"/projects/{project}"
        assert (await client.get(f"{at}/stages")).status_code == 401
        applied = await client.put("/resources?upsert=true", json=config(project), headers=admin)
        assert applied.status_code == 200, applied.text
        await eventually(
            client, f"{at}/roles", lambda shown: "devs" in [role["metadata"]["name"] for role in shown], admin
        )
        made = await client.post(f"{at}/roles/devs/api-tokens", json={"name": "ci"}, headers=admin)
        assert made.status_code == 201, made.text
        ci = bearer(base64.b64decode(made.json()["data"]["token"]).decode())

        promoted = await client.post(f"{at}/stages/dev/promotions", json={"freight": freight}, headers=ci)
        assert promoted.status_code == 201, promoted.text
        name = promoted.json()["metadata"]["name"]
        shown = await eventually(
            client, f"{at}/promotions/{name}", lambda found: found["status"]["phase"] == "Succeeded", ci
        )
        assert shown["metadata"]["annotations"]["kargo.akuity.io/create-actor"] == f"api:{project}/ci"

        approved = await client.post(f"{at}/freight/{freight}/approve?stage=prod", headers=admin)
        assert approved.status_code == 200, approved.text
        other = await client.post(f"{at}/stages/prod/promotions", json={"freight": freight}, headers=admin)
        assert other.status_code == 201, other.text
        of_prod = other.json()["metadata"]["name"]
        for method, path, body in (
            ("POST", f"{at}/stages/prod/promotions", {"freight": freight}),
            ("POST", f"{at}/stages/dev/promotions/downstream", {"freight": freight}),
            ("POST", f"{at}/freight/{freight}/approve?stage=prod", None),
            ("POST", f"{at}/promotions/{of_prod}/abort", None),
            ("POST", f"{at}/promotions/{of_prod}/rerun", {}),
            ("POST", f"{at}/stages/dev/freeze", {"reason": "x"}),
            ("PATCH", f"{at}/freight/{freight}/alias?newAlias=mine", None),
            ("DELETE", at, None),
        ):
            refused = await client.request(method, path, json=body, headers=ci)
            assert refused.status_code == 403, (method, path, refused.text)
        assert (await client.get("/projects", headers=ci)).json()["total"] == 1

        frozen = await client.post(f"{at}/stages/dev/freeze", json={"reason": "a test"}, headers=admin)
        assert frozen.status_code == 200, frozen.text
        deleted = await client.delete(f"{at}/api-tokens/ci", headers=admin)
        assert deleted.status_code == 204
        assert (await client.get(f"{at}/stages", headers=ci)).status_code == 401

    def written() -> list[tuple[str, str, str, str]]:
        found = [json.loads(line) for line in audit.read_text().splitlines()]
        return [(line.get("actor", ""), line["verb"], line.get("stage", ""), line["outcome"]) for line in found]

    lines = written()
    assert ("admin", "login", "", "done") in lines
    assert (f"api:{project}/ci", "promote", "dev", "done") in lines
    assert (f"api:{project}/ci", "promote", "prod", "denied") in lines
    assert ("admin", "freeze", "dev", "done") in lines
    assert lines.count((f"api:{project}/ci", "promote", "dev", "done")) == 1
    assert PASSWORD not in audit.read_text()
