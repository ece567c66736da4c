"""The REST API on real workflows: Kargo's paths, bodies, statuses and events, as its clients expect them."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.patience import PATIENCE
from tests.starter.house import Rooms
from tests.web.served import Events, discovered, eventually, furnished, served, watched
from tests.workflows.house import stage

KARGO = "kargo.akuity.io/v1alpha1"


def resource(kind: str, name: str, project: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": project} if project else {})
    return {"apiVersion": KARGO, "kind": kind, "metadata": metadata, **more}


#: Of each read: the path below the Project, the kind of what comes, and fields it must have by Kargo's definition.
READS = [
    ("", "Project", ["metadata.creationTimestamp", "status.conditions"]),
    ("/stages", "StageList", ["metadata.resourceVersion", "items"]),
    ("/stages/dev", "Stage", ["spec.requestedFreight", "status.conditions", "metadata.resourceVersion"]),
    ("/warehouses", "WarehouseList", ["metadata.resourceVersion", "items"]),
    ("/warehouses/web", "Warehouse", ["spec.subscriptions", "status.conditions", "status.lastFreightID"]),
    ("/freight/{freight}", "Freight", ["origin.kind", "alias", "images", "discoveredAt"]),
    ("/promotions", "PromotionList", ["items"]),
    ("/promotion-tasks", "PromotionTaskList", ["items"]),
    ("/analysis-templates", "AnalysisTemplateList", ["items"]),
    ("/analysis-runs", "AnalysisRunList", ["items"]),
    ("/events", "EventList", ["items"]),
]


async def test_reads_have_kubernetes_shape_and_conditions_say_since_when(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    freight = await discovered(house)
    async with served(house, tmp_path) as client:
        for path, kind, fields in READS:
            response = await client.get(f"/projects/{project}{path.format(freight=freight)}")
            assert response.status_code == 200, (path, response.text)
            shown = response.json()
            assert shown["kind"] == kind
            for field in fields:
                value = shown
                for part in field.split("."):
                    assert part in value, (path, field)
                    value = value[part]
            for condition in shown.get("status", {}).get("conditions", []):
                assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(condition)
        listed = (await client.get("/projects", params={"filter": project})).json()
        assert ([item["metadata"]["name"] for item in listed["items"]], listed["total"]) == ([project], 1)
        assert (await client.get("/projects", params={"pageSize": 1, "page": 1000})).json()["items"] == []
        groups = (await client.get(f"/projects/{project}/freight")).json()["groups"]
        assert [item["metadata"]["name"] for item in groups[""]["items"]] == [freight]
        by_image = await client.get(f"/projects/{project}/freight", params={"groupBy": "image_repo"})
        assert list(by_image.json()["groups"]) == ["ghcr.io/shop/web"]
        available = {
            name: len(
                (await client.get(f"/projects/{project}/freight", params={"stage": name})).json()["groups"][""]["items"]
            )
            for name in ("dev", "prod")
        }
        assert available == {"dev": 1, "prod": 0}


async def test_a_promotion_is_made_watched_to_its_end_and_listed(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    freight = await discovered(house)
    async with served(house, tmp_path) as client:
        at = f"/projects/{project}"
        async with watched(client, f"{at}/stages") as stages, watched(client, f"{at}/freight") as pieces:
            assert {(await stages.next())[1]["metadata"]["name"] for _ in range(2)} == {"dev", "prod"}
            assert await pieces.until("ADDED", freight)
            made = await client.post(f"{at}/stages/dev/promotions", json={"freight": freight})
            assert made.status_code == 201, made.text
            promotion = made.json()["metadata"]["name"]
            assert made.json()["spec"] | {"steps": []} == {"stage": "dev", "freight": freight, "steps": []}
            async with watched(client, f"{at}/promotions/{promotion}") as changes:
                phases = [(await changes.next())[1]["status"]["phase"]]
                while phases[-1] not in ("Succeeded", "Failed", "Errored"):
                    phases.append((await changes.next())[1]["status"]["phase"])
            assert phases[-1] == "Succeeded"
            await _held(stages, "dev", freight)
            while "dev" not in (await pieces.until("MODIFIED", freight))["status"].get("verifiedIn", {}):
                pass
        listed = (await client.get(f"{at}/promotions", params={"stage": "dev"})).json()["items"]
        assert [item["metadata"]["name"] for item in listed] == [promotion]
        assert [step["uses"] for step in listed[0]["spec"]["steps"]] == ["work"]
        assert listed[0]["metadata"]["annotations"]["kargo.akuity.io/create-actor"] == "admin"
        downstream = await client.post(f"{at}/stages/dev/promotions/downstream", json={"freight": freight})
        assert downstream.status_code == 201, downstream.text
        (next_one,) = downstream.json()["promotions"]
        await eventually(
            client,
            f"{at}/promotions/{next_one['metadata']['name']}",
            lambda shown: shown["status"]["phase"] == "Succeeded",
        )
        again = await client.post(f"{at}/promotions/{promotion}/rerun", json={})
        assert again.status_code == 201, again.text
        images = (await client.get(f"{at}/images")).json()
        assert images["ghcr.io/shop/web"]["tags"]["1.0.0"]["stages"]["dev"] == 0
        reasons = {event["reason"] for event in (await client.get(f"{at}/events")).json()["items"]}
        assert {"PromotionCreated", "PromotionSucceeded", "FreightCreated"} <= reasons


async def _held(stages: Events, name: str, freight: str) -> None:
    while True:
        shown = await stages.until("MODIFIED", name)
        history = shown["status"].get("freightHistory")
        if history:
            assert history[0]["items"]["Warehouse/web"]["name"] == freight
            return


async def test_what_is_known_is_not_sent_again_and_what_is_large_is_compressed(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    async with served(house, tmp_path) as client:
        path = f"/projects/{project}/stages"
        await eventually(client, path, lambda shown: all("conditions" in item["status"] for item in shown["items"]))
        response, before = await client.get(path), None
        while before is None or before != response.headers["etag"]:
            before, response = response.headers["etag"], await client.get(path)
        assert response.headers["content-encoding"] == "gzip"
        first = (await client.get(path, params={"limit": 1})).json()
        assert [item["metadata"]["name"] for item in first["items"]] == ["dev"]
        second = (await client.get(path, params={"continue": first["metadata"]["continue"]})).json()
        assert [item["metadata"]["name"] for item in second["items"]] == ["prod"]
        assert gzip.compress(response.content)[:2] == b"\x1f\x8b"
        unchanged = await client.get(path, headers={"If-None-Match": response.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        version = response.json()["metadata"]["resourceVersion"]
        async with watched(client, path, resourceVersion=version) as events:
            # Nothing of the list comes again: the first event is what is done now.
            frozen = await client.post(f"{path}/dev/freeze", json={"reason": "a holiday"})
            assert frozen.status_code == 200, frozen.text
            kind, shown = await events.next()
            assert (kind, shown["metadata"]["name"]) == ("MODIFIED", "dev")
            deleted = await client.delete(f"{path}/prod")
            assert deleted.status_code == 204, deleted.text
            await events.until("DELETED", "prod")
        changed = await client.get(path, headers={"If-None-Match": response.headers["etag"]})
        assert changed.status_code == 200
        # What Kargo has no field for comes when it is asked for.
        assert "freezes" not in changed.json()["items"][0]["status"]
        more = await client.get(f"{path}/dev", params={"beyond": "true"})
        assert more.json()["status"]["freezes"][0]["reason"] == "a holiday"


#: Method, path below the Project, body, status, and part of the error.
REFUSALS = [
    ("GET", "/stages/nope", None, 404, "Stage nope"),
    ("GET", "/freight/nope", None, 404, "Freight"),
    ("GET", "/promotions/nope", None, 404, "Promotion nope"),
    ("GET", "/warehouses/nope", None, 404, "Warehouse nope"),
    ("GET", "/config", None, 404, "no ProjectConfig"),
    ("GET", "/freight?group=x", None, 400, "group needs groupBy"),
    ("GET", "/stages?limit=-1", None, 400, "limit"),
    ("GET", "/stages?continue=%25", None, 400, "continue is nothing"),
    ("GET", "/freight?limit=1&continue=bm9wZQ==", None, 410, "first page again"),
    ("GET", "/freight?orderBy=tag", None, 400, "groupBy"),
    ("GET", "/freight?orderBy=colour", None, 400, "orderBy"),
    ("GET", "/freight?stage=nope", None, 404, "Stage nope"),
    ("POST", "/stages/dev/promotions", {}, 400, "exactly one"),
    ("POST", "/stages/dev/promotions", {"freight": "a", "freightAlias": "b"}, 400, "exactly one"),
    ("POST", "/stages/dev/promotions", {"origin": "web"}, 400, "Warehouse/<name>"),
    ("POST", "/stages/dev/promotions", {"fright": "a"}, 400, "fright"),
    ("POST", "/stages/nope/promotions", {"freight": "{freight}"}, 404, "Stage nope"),
    ("POST", "/stages/prod/promotions", {"freight": "{freight}"}, 400, "not verified in Stage dev"),
    ("POST", "/stages/prod/promotions/downstream", {"freight": "{freight}"}, 404, "downstream"),
    ("POST", "/stages/dev/preview", {}, 400, "exactly one"),
    ("POST", "/stages/dev/preview", {"freight": "nope"}, 404, "nope"),
    ("POST", "/stages/dev/verification", None, 409, "nothing that has been verified"),
    ("POST", "/stages/dev/verification/abort", None, 409, "no verification"),
    ("POST", "/freight/{freight}/approve", None, 400, "stage"),
    ("POST", "/freight/{freight}/approve?stage=nope", None, 404, "Stage nope"),
    ("PATCH", "/freight/{freight}/alias", None, 400, "newAlias"),
    ("PATCH", "/freight/{freight}/alias?newAlias=Up_Per", None, 400, "alias"),
    ("POST", "/promotions/nope/abort", None, 404, "Promotion nope"),
    ("POST", "/promotions/nope/rerun", {}, 404, "Promotion nope"),
    ("GET", "/analysis-runs/nope/logs", None, 404, "nope"),
    ("POST", "/stages/dev/freeze", {"reason": ""}, 400, "reason"),
    ("POST", "/thaw", None, 409, "not frozen"),
    ("DELETE", "/stages", None, 405, "method not allowed"),
    ("GET", "/nothing", None, 404, "not found"),
    ("GET", "/stages/..%2f..%2fweb", None, 404, "not found"),
    ("GET", "/stages/%2e%2e", None, 400, "can't be the name"),
    ("GET", "/stages/Dev", None, 400, "can't be the name"),
    ("GET", "/stages/dev'%20OR%201=1", None, 400, "can't be the name"),
    ("GET", "/promotions?stage=x'y", None, 200, ""),
    ("GET", "/stages/%00", None, 400, "can't be the name"),
    ("GET", "/freight/%ff", None, 404, ""),
]


async def test_what_makes_no_sense_is_told_with_its_status_and_changes_nothing(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    freight = await discovered(house)
    async with served(house, tmp_path) as client:
        for method, path, body, status, words in REFUSALS:
            sent = {key: value.format(freight=freight) for key, value in body.items()} if body is not None else None
            response = await client.request(
                method, f"/projects/{project}{path.format(freight=freight)}", json=sent if body is not None else None
            )
            assert response.status_code == status, (method, path, response.text)
            if status != 200:
                assert words in response.json()["error"], (method, path, response.text)
        for path in ("/projects/nope", "/projects/nope/stages", "/projects/nope/freight", "/projects/nope/promotions"):
            assert (await client.get(path)).status_code == 404, path
        unknown = await client.get("/projects/nope/stages", params={"watch": "true"})
        assert unknown.status_code == 404


async def test_bodies_and_urls_are_bounded(house: Rooms, tmp_path: Path) -> None:
    async with served(house, tmp_path) as client:
        large = b"a: b\n" * (1024 * 1024)
        for path, size in (("/resources", 5 * 1024 * 1024), ("/projects/x/stages/dev/promotions", 1024 * 1024 + 1)):
            response = await client.post(path, content=large[:size])
            assert (response.status_code, response.json()["error"]) == (413, "request body too large")

        async def in_pieces() -> Any:
            for _ in range(6):
                yield b"x" * 1024 * 1024

        try:
            streamed = await client.post("/resources", content=in_pieces())
            assert streamed.status_code == 413
        except httpx.WriteError:
            # Answered and closed before all of it was sent.
            pass
        deep = await client.post("/resources", content=b"[" * 100_000)
        assert deep.status_code == 400, deep.text
        alias = await client.post("/resources", content=b"a: &a [x]\nb: [*a, *a]\n")
        assert alias.status_code in (400, 422), alias.text
        assert (await client.post("/resources", content=b"\xff\xfe")).status_code == 400
        assert (await client.get("/projects", params={"filter": "x" * 9000})).status_code == 414


async def test_manifests_are_taken_with_a_result_for_each(house: Rooms, tmp_path: Path) -> None:
    name = house.project()
    origin = {"kind": "Warehouse", "name": "web"}
    spec = {
        "requestedFreight": [{"origin": origin, "sources": {"direct": True}}],
        "promotionTemplate": {"spec": {"steps": [{"uses": "work"}]}},
    }
    dev = resource("Stage", "dev", name, spec=spec)
    web = resource("Warehouse", "web", name, spec={"subscriptions": [{"image": {"repoURL": "ghcr.io/shop/web"}}]})
    async with served(house, tmp_path) as client:

        async def send(method: str, *items: dict[str, Any], status: int, **query: str) -> list[dict[str, Any]]:
            text = yaml.safe_dump_all(items)
            response = await client.request(method, "/resources", content=text, params=query)
            assert response.status_code == status, response.text
            results: list[dict[str, Any]] = response.json().get("results", [response.json()])
            return results

        created = await send("POST", dev, web, resource("Project", name), status=201)
        kinds = [result["createdResourceManifest"]["kind"] for result in created]
        assert kinds == ["Project", "Stage", "Warehouse"]
        (again,) = await send("POST", dev, status=409)
        assert again["error"] == "Stage dev already exists"
        qa = resource("Stage", "qa", name, spec=spec)
        mixed = await send("POST", dev, qa, status=201)
        assert [list(result) for result in mixed] == [["error"], ["createdResourceManifest"]]
        (updated,) = await send("PUT", dev, status=200)
        assert updated["updatedResourceManifest"]["metadata"]["name"] == "dev"
        (missing,) = await send("PUT", resource("Stage", "new", name, spec=spec), status=404)
        assert missing["error"] == "Stage new does not exist"
        upserted = await send("PUT", dev, resource("Stage", "new", name, spec=spec), status=200, upsert="true")
        assert [next(iter(result)) for result in upserted] == ["updatedResourceManifest", "createdResourceManifest"]
        wrong = resource("Stage", "bad", name, spec={**spec, "promotionTempalte": {}})
        refused = await send("PUT", wrong, resource("Stage", "good", name, spec=spec), status=200, upsert="true")
        assert "promotionTempalte" in refused[0]["error"]
        assert "other manifests" in refused[1]["error"]
        assert (await client.get(f"/projects/{name}/stages/good")).status_code == 404
        (invalid,) = await send("PUT", wrong, status=422, upsert="true")
        assert "promotionTempalte" in invalid["error"]
        (secret,) = await send(
            "POST", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": name}}, status=501
        )
        assert "Secret s" in secret["error"]
        listed = (await client.get(f"/projects/{name}/stages")).json()["items"]
        assert [item["metadata"]["name"] for item in listed] == ["dev", "new", "qa"]
        house.house.project = name
        freight = await discovered(house)
        by_hand = resource("Promotion", "any", name, spec={"stage": "dev", "freight": freight})
        (promotion,) = await send("POST", by_hand, status=201)
        at = f"/projects/{name}/promotions/{promotion['createdResourceManifest']['metadata']['name']}"
        await eventually(client, at, lambda shown: shown["status"]["phase"] == "Succeeded")
        as_json = await client.request("DELETE", "/resources", json=[qa, resource("Stage", "nope", name)])
        results = as_json.json()["results"]
        assert results[0]["deletedResourceManifest"]["metadata"]["name"] == "qa"
        assert "nope" in results[1]["error"]
        gone = await send("DELETE", resource("Project", name), status=200)
        assert gone[0]["deletedResourceManifest"]["kind"] == "Project"
        assert (await client.get(f"/projects/{name}")).status_code == 404


async def test_freight_is_approved_renamed_and_deleted(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house)
    freight = await discovered(house)
    async with served(house, tmp_path) as client:
        at = f"/projects/{project}/freight"
        approved = await client.post(f"{at}/{freight}/approve", params={"stage": "prod"})
        assert approved.status_code == 200, approved.text
        # Whoever has written reads it at once, in a list, too.
        shown = (await client.get(at)).json()["groups"][""]["items"][0]
        assert "prod" in shown["status"]["approvedFor"]
        assert len((await client.get(at, params={"stage": "prod"})).json()["groups"][""]["items"]) == 1
        assert (await client.patch(f"{at}/{freight}/alias", params={"newAlias": "frozen-fox"})).status_code == 200
        assert (await client.get(f"{at}/frozen-fox")).json()["metadata"]["name"] == freight
        explained = await client.get(f"/projects/{project}/stages/prod/explain", params={"alias": "frozen-fox"})
        assert explained.json()["freight"][0]["available"]
        assert (await client.delete(f"{at}/frozen-fox")).status_code == 204
        assert (await client.get(at)).json()["groups"][""]["items"] == []
        choices = [{"kind": "image", "of": "ghcr.io/shop/web", "version": "1.0.0"}]
        made = await client.post(f"/projects/{project}/warehouses/web/freight", json={"choices": choices})
        assert made.status_code == 201, made.text
        assert made.json()["images"][0]["tag"] == "1.0.0"


async def test_the_config_and_the_system_are_told(house: Rooms, tmp_path: Path) -> None:
    project = await furnished(house, stage("dev"))
    async with served(house, tmp_path) as client:
        config = resource("ProjectConfig", project, project, spec={})
        assert (await client.post("/resources", json=config)).status_code == 201
        shown = (await client.get(f"/projects/{project}/config")).json()
        assert shown["metadata"]["creationTimestamp"]
        # `kargo refresh --wait` waits until these are the same.
        token = shown["metadata"]["annotations"]["kargo.akuity.io/refresh"]
        assert shown["status"]["lastHandledRefresh"] == token
        assert (await client.post(f"/projects/{project}/config/refresh")).status_code == 200
        async with watched(client, f"/projects/{project}/config") as events:
            assert (await events.next())[0] == "ADDED"
            assert (await client.delete(f"/projects/{project}/config")).status_code == 204
            assert (await events.next())[0] == "DELETED"
        for path in (
            "/system/server-version",
            "/system/server-config",
            "/system/steps",
            "/system/controller-heartbeats",
        ):
            assert (await client.get(path)).status_code == 200, path
        beats = (await client.get("/system/controller-heartbeats")).json()
        assert beats["heartbeats"][""]["status"] == "alive"
        assert (await client.get("/system/cluster-config")).status_code == 404
        assert (await client.get("/shared/cluster-promotion-tasks")).json()["items"] == []
        refreshed = await client.post(f"/projects/{project}/stages/dev/refresh")
        assert refreshed.status_code == 200
        stage_shown = (await client.get(f"/projects/{project}/stages/dev")).json()
        assert (
            stage_shown["metadata"]["annotations"]["kargo.akuity.io/refresh"]
            == stage_shown["status"]["lastHandledRefresh"]
        )
        async with watched(client, "/projects") as events:
            seen = set()
            async with asyncio.timeout(PATIENCE):
                while project not in seen:
                    seen.add((await events.next())[1]["metadata"]["name"])
