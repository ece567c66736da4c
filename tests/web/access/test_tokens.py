"""API tokens: made for a role, shown once, and valid until they expire or are revoked; and roles as they are shown."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from model.api_tokens import MOST, ApiToken, CreateTokenRequest, TokenRefused, with_token
from tests.web.access.village import Village, admin_token, bearer, lines, served, settings
from web.access.roster import hash_token

DEVS = {"name": "devs", "role": "promoter", "stages": ["dev"], "claims": [{"name": "groups", "values": ["devs"]}]}
SHOP = "/v1beta1/projects/shop"


@pytest.fixture
def village() -> Village:
    found = Village()
    found.project("shop", DEVS)
    found.project("bank")
    return found


async def make(client: httpx.AsyncClient, admin: dict[str, str], role: str = "devs", where: str = SHOP) -> str:
    answer = await client.post(f"{where}/roles/{role}/api-tokens", json={"name": "ci"}, headers=admin)
    assert answer.status_code == 201, answer.text
    return base64.b64decode(answer.json()["data"]["token"]).decode()


async def test_a_token_does_what_its_role_allows_and_is_kept_as_a_hash_alone(tmp_path: Path, village: Village) -> None:
    audit = tmp_path / "audit.jsonl"
    async with served(village, settings(tmp_path, audit_file=str(audit))) as client:
        admin = await admin_token(client)
        token = await make(client, admin)
        assert (await client.get("/who", headers=bearer(token))).json()["actor"] == "api:shop/ci"
        assert (await client.post("/v1beta1/probe/shop/dev", headers=bearer(token))).status_code == 200
        refused = await client.post("/v1beta1/probe/shop/prod", headers=bearer(token))
        assert (refused.status_code, "token shop/ci may not promote Stage prod" in refused.text) == (403, True)
        assert (await client.post("/v1beta1/probe/bank/dev", headers=bearer(token))).status_code == 403
        for path in (f"{SHOP}/api-tokens", f"{SHOP}/api-tokens/ci"):
            shown = await client.get(path, headers=admin)
            assert token not in shown.text
            assert base64.b64encode(token.encode()).decode() not in shown.text
            assert hash_token(token) not in shown.text
    (held,) = village.tokens["shop"]
    assert (held.hash, held.role, held.created_by) == (hash_token(token), "devs", "admin")
    assert token not in held.model_dump_json()
    assert token not in audit.read_text()
    assert [(line["verb"], line["outcome"], line.get("objects")) for line in lines(audit)] == [
        ("login", "done", None),
        ("admin", "done", ["APIToken/ci"]),
        ("promote", "done", None),
        ("promote", "denied", None),
        ("promote", "denied", None),
    ]


async def test_a_revoked_token_is_none(tmp_path: Path, village: Village) -> None:
    async with served(village, settings(tmp_path), fresh=1000.0) as client:
        admin = await admin_token(client)
        token = await make(client, admin)
        assert (await client.get("/who", headers=bearer(token))).status_code == 200
        assert (await client.delete(f"{SHOP}/api-tokens/ci", headers=admin)).status_code == 204
        answer = await client.get("/who", headers=bearer(token))
        assert (answer.status_code, "was revoked" in answer.json()["error"]) == (401, True)
        assert (await client.delete(f"{SHOP}/api-tokens/ci", headers=admin)).status_code == 404


async def test_an_expired_token_is_none_and_is_listed_as_such(tmp_path: Path, village: Village) -> None:
    now = datetime.now(UTC)
    old = ApiToken(name="old", role="devs", hash=hash_token("towpath_old"), created_at=now, expires_at=now)
    village.tokens["shop"] = [old]
    async with served(village, settings(tmp_path)) as client:
        assert (await client.get("/who", headers=bearer("towpath_old"))).status_code == 401
        shown = (await client.get(f"{SHOP}/api-tokens/old", headers=await admin_token(client))).json()
        assert shown["metadata"]["annotations"]["towpath/expired"] == "true"


async def test_a_token_lives_as_long_as_was_asked_for_and_no_longer_than_it_may(
    tmp_path: Path, village: Village
) -> None:
    async with served(village, settings(tmp_path, api_token_lifetime=3600.0)) as client:
        admin = await admin_token(client)
        path = f"{SHOP}/roles/kargo-viewer/api-tokens"
        for asked, status in (("1h", 201), ("2h", 400), ("0s", 400), ("-1h", 400), ("soon", 422)):
            answer = await client.post(path, json={"name": f"t{len(asked)}", "expiresIn": asked}, headers=admin)
            assert answer.status_code == status, asked
    (held,) = village.tokens["shop"]
    assert held.expires_at - held.created_at == timedelta(hours=1)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{SHOP}/roles/nobody/api-tokens", {"name": "ci"}, 404),
        (f"{SHOP}/roles/devs/api-tokens", {}, 422),
        (f"{SHOP}/roles/devs/api-tokens", {"name": "ci", "secret": "x"}, 422),
        ("/v1beta1/projects/gone/roles/devs/api-tokens", {"name": "ci"}, 404),
        ("/v1beta1/system/roles/kargo-promoter/api-tokens", {"name": "ci"}, 404),
    ],
)
async def test_what_can_not_be_right_of_a_token_is_refused(
    tmp_path: Path, village: Village, path: str, body: dict[str, Any], status: int
) -> None:
    async with served(village, settings(tmp_path)) as client:
        answer = await client.post(path, json=body, headers=await admin_token(client))
        assert answer.status_code == status, answer.text


async def test_a_name_is_given_once_and_the_number_is_bounded(tmp_path: Path, village: Village) -> None:
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        await make(client, admin)
        again = await client.post(f"{SHOP}/roles/devs/api-tokens", json={"name": "ci"}, headers=admin)
        assert again.status_code == 409
    now = datetime.now(UTC)
    many = [
        ApiToken(name=f"t{number}", role="r", hash="h", created_at=now, expires_at=now + timedelta(days=1))
        for number in range(MOST)
    ]
    request = CreateTokenRequest(name="one-more", role="r", hash="h", lifetime=timedelta(days=1))
    with pytest.raises(TokenRefused, match="already"):
        with_token(many, request, now)
    # Those that expired long ago make room.
    assert len(with_token(many, request, now + timedelta(days=40))) == 1


async def test_a_project_can_not_give_itself_the_systems_rights_by_a_tokens_name(
    tmp_path: Path, village: Village
) -> None:
    village.project("", {"name": "robots", "role": "admin", "tokens": ["ci"]})
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        own = await make(client, admin, "kargo-admin")
        assert (await client.post("/v1beta1/probe/bank/dev", headers=bearer(own))).status_code == 403
        system = await make(client, admin, "kargo-viewer", "/v1beta1/system")
        assert (await client.post("/v1beta1/probe/bank/dev", headers=bearer(system))).status_code == 200
        assert (await client.get("/who", headers=bearer(system))).json()["actor"] == "api:ci"


async def test_only_admins_make_tokens_and_a_projects_only_for_it(tmp_path: Path, village: Village) -> None:
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        projects_admin = bearer(await make(client, admin, "kargo-admin"))
        promoter = await client.post(f"{SHOP}/roles/devs/api-tokens", json={"name": "p"}, headers=projects_admin)
        assert promoter.status_code == 201
        token = bearer(base64.b64decode(promoter.json()["data"]["token"]).decode())
        for path, headers in (
            (f"{SHOP}/roles/kargo-viewer/api-tokens", token),
            ("/v1beta1/projects/bank/roles/kargo-viewer/api-tokens", projects_admin),
            ("/v1beta1/system/roles/kargo-viewer/api-tokens", projects_admin),
        ):
            assert (await client.post(path, json={"name": "x"}, headers=headers)).status_code == 403


async def test_however_many_projects_there_are_a_check_costs_two_calls_and_one_for_each_that_changed(
    tmp_path: Path, village: Village
) -> None:
    for number in range(50):
        village.project(f"p{number}", DEVS)
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        token = bearer(await make(client, admin))
        await client.get("/v1beta1/probe/shop/dev", headers=token)
        village.asked.clear()
        for _ in range(3):
            await client.get("/v1beta1/probe/shop/dev", headers=token)
        assert set(village.asked) == {"lines", "access"}
        village.project("p7", {**DEVS, "stages": ["prod"]})
        village.asked.clear()
        await client.get("/v1beta1/probe/shop/dev", headers=token)
        assert village.asked.count("access p7") == 1
        assert {entry for entry in village.asked if entry.startswith("access ")} == {"access p7"}
    async with served(village, settings(tmp_path), fresh=1000.0) as client:
        village.asked.clear()
        for _ in range(5):
            await client.get("/v1beta1/probe/shop/dev", headers=token)
            await client.get("/who", headers=bearer("towpath_unknown"))
        assert village.asked.count("lines") == 1


async def test_while_temporal_is_away_nobody_is_let_in_and_nothing_is_told(tmp_path: Path, village: Village) -> None:
    async with served(village, settings(tmp_path)) as client:
        token = await make(client, await admin_token(client))
        village.silent = True
        answer = await client.get("/v1beta1/probe/shop/dev", headers=bearer(token))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "192.0.2.1" not in answer.text


async def test_roles_are_shown_as_kargos_command_line_reads_them(tmp_path: Path, village: Village) -> None:
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        found = (await client.get(f"{SHOP}/roles", headers=admin)).json()
        assert [role["metadata"]["name"] for role in found] == ["devs", "kargo-admin", "kargo-promoter", "kargo-viewer"]
        assert found[0]["claims"] == [{"name": "groups", "values": ["devs"]}]
        assert found[0]["rules"][1]["resourceNames"] == ["dev"]
        assert found[0]["rules"][1]["verbs"] == ["abort", "approve", "promote", "refresh", "verify"]
        one = await client.get(f"{SHOP}/roles/devs", headers=admin)
        assert one.json() == found[0]
        assert (await client.get(f"{SHOP}/roles/nobody", headers=admin)).status_code == 404
        system = (await client.get("/v1beta1/system/roles", headers=admin)).json()
        assert [role["metadata"]["name"] for role in system] == ["kargo-admin", "kargo-viewer"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("POST", "/grants"), ("POST", "/revocations"), ("PUT", "/devs"), ("DELETE", "/devs")],
)
async def test_roles_are_changed_where_they_are_declared(
    tmp_path: Path, village: Village, method: str, path: str
) -> None:
    async with served(village, settings(tmp_path)) as client:
        admin = await admin_token(client)
        answer = await client.request(method, f"{SHOP}/roles{path}", json={"role": "devs"}, headers=admin)
        assert answer.status_code == 501
        assert "ProjectConfig of shop" in answer.json()["error"]


async def test_a_role_of_another_release_gives_nothing_and_hides_no_other(tmp_path: Path, village: Village) -> None:
    village.project("shop", {"name": "strange", "role": "emperor"}, DEVS)
    async with served(village, settings(tmp_path)) as client:
        token = await make(client, await admin_token(client))
        assert (await client.post("/v1beta1/probe/shop/dev", headers=bearer(token))).status_code == 200
