"""Without a login: whoever uses this machine is admin, and nobody else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.access.village import Village, bearer, served, settings
from web.access.binding import check_binding, describe
from workflows.settings import SettingsInvalid, WebSettings


def open_settings(tmp_path: Path, **more: object) -> WebSettings:
    return settings(tmp_path, web_admin_password_hash=None, **more)


async def test_on_loopback_whoever_uses_this_machine_is_admin(tmp_path: Path) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        assert (await client.get("/who")).json() == {"actor": "admin", "csrf": "", "kind": "machine"}
        assert (await client.post("/v1beta1/probe/shop/dev")).json() == {"actor": "admin"}
        config = (await client.get("/v1beta1/system/public-server-config")).json()
        assert config == {"adminAccountEnabled": True, "skipAuth": True}


async def test_kargos_command_line_may_log_in_with_any_password_where_nobody_has_to(tmp_path: Path) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        answer = await client.post("/v1beta1/login", headers=bearer("whatever"))
        token = answer.json()["idToken"]
        assert (await client.get("/who", headers=bearer(token))).json()["actor"] == "admin"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "LOCALHOST"]
)
async def test_names_of_this_machine_are_answered(tmp_path: Path, host: str) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        assert (await client.get("/who", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "evil.example.com:8080",
        "127.0.0.1.evil.example.com",
        "localhost.evil.example.com",
        "",
        "10.0.0.1",
    ],
)
async def test_a_rebound_name_is_refused(tmp_path: Path, host: str) -> None:
    """DNS rebinding: another site's name leads here, and its page asks in its own name."""
    async with served(Village(), open_settings(tmp_path)) as client:
        answer = await client.get("/who", headers={"Host": host})
        assert answer.status_code == 403
        assert "without a login" in answer.json()["error"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
async def test_what_a_proxy_passed_on_is_refused(tmp_path: Path, header: str) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        assert (await client.get("/who", headers={header: "192.0.2.1"})).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8080"}, 200),
        ({"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "https://127.0.0.1:8080"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_change_that_another_sites_page_asked_for_is_refused(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        assert (await client.post("/v1beta1/probe/shop/dev", headers=headers)).status_code == status
        # Nor does a token that nobody checks make another site's page a program.
        with_token = {**headers, **bearer("x")}
        assert (await client.post("/v1beta1/probe/shop/dev", headers=with_token)).status_code == status


async def test_receivers_of_webhooks_know_their_senders_by_themselves(tmp_path: Path) -> None:
    async with served(Village(), open_settings(tmp_path)) as client:
        answer = await client.post(
            "/webhooks/github/x", headers={"Host": "hooks.example.com", "X-Forwarded-For": "1.2.3.4"}
        )
        assert answer.status_code == 404
        assert "access" not in answer.text


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:8080", "127.0.0.9:1"])
def test_loopback_needs_no_login(tmp_path: Path, address: str) -> None:
    local = open_settings(tmp_path, web_address=address)
    check_binding(local)
    assert "whoever uses this machine is admin" in describe(local)


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "192.0.2.1:80", "towpath.internal:8080"])
def test_what_others_can_reach_does_not_start_without_a_login(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsInvalid, match="TOWPATH_WEB_ADMIN_PASSWORD_HASH"):
        check_binding(open_settings(tmp_path, web_address=address))
    check_binding(settings(tmp_path, web_address=address))
    check_binding(open_settings(tmp_path, web_address=address, web_api=False))
    check_binding(
        open_settings(tmp_path, web_address=address, oidc_issuer="https://id.example.com", oidc_client_id="towpath")
    )


async def test_without_the_api_nothing_but_webhooks_is_served(tmp_path: Path) -> None:
    async with served(Village(), open_settings(tmp_path, web_api=False)) as client:
        for path in ("/who", "/v1beta1/system/public-server-config", "/auth/oidc"):
            assert (await client.get(path)).status_code == 404
