"""The local admin: a password, a session or a token, and what ends them."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest

from model.roles import Claims
from tests.web.access.village import (
    CHEAP,
    PASSWORD,
    Village,
    admin_token,
    bearer,
    lines,
    logged_in,
    served,
    settings,
)
from web.access.admin_token import AdminTokens
from web.access.identity import IdentityKind
from web.access.keys import FILE, load_keys
from web.access.limit import LoginLimit
from web.access.session import Session, Sessions
from workflows.settings import SettingsInvalid, WebSettings, load_settings


async def test_nobody_is_known_without_a_session_or_a_token(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        answer = await client.get("/who")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.post("/v1beta1/probe/shop/dev")).status_code == 401
        config = (await client.get("/v1beta1/system/public-server-config")).json()
        assert config == {"adminAccountEnabled": True, "skipAuth": False}


async def test_the_password_gives_kargos_command_line_a_token(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        token = await admin_token(client)
        assert (await client.get("/who", headers=token)).json() == {"actor": "admin", "csrf": "", "kind": "admin"}
        assert (await client.post("/v1beta1/probe/shop/dev", headers=token)).json() == {"actor": "admin"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({}, 400),
        ({"Authorization": "Basic YTpi"}, 400),
        ({"Authorization": "Bearer "}, 400),
        (bearer("wrong"), 403),
        (bearer(PASSWORD + "x"), 403),
        (bearer("x" * 5000), 403),
    ],
)
async def test_anything_else_is_no_login(tmp_path: Path, header: dict[str, str], status: int) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        answer = await client.post("/v1beta1/login", headers=header)
        assert answer.status_code == status
        assert PASSWORD not in answer.text


async def test_a_password_may_hold_any_letter(tmp_path: Path) -> None:
    password = "Schlüssel-ключ"
    async with served(Village(), settings(tmp_path, web_admin_password_hash=CHEAP.hash(password))) as client:
        answer = await client.post("/v1beta1/login", headers=[(b"authorization", f"Bearer {password}".encode())])
        assert answer.status_code == 200


async def test_without_the_account_there_is_no_such_login(tmp_path: Path) -> None:
    only_oidc = settings(
        tmp_path, web_admin_password_hash=None, oidc_issuer="https://id.example.com", oidc_client_id="towpath"
    )
    async with served(Village(), only_oidc) as client:
        answer = await client.post("/v1beta1/login", headers=bearer(PASSWORD))
        assert (answer.status_code, "no local admin" in answer.json()["error"]) == (403, True)
        page = await client.post("/auth/login", data={"password": PASSWORD})
        assert page.headers["location"] == "/login?failed=password"


async def test_too_many_attempts_have_to_wait_however_right_the_next_is(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    async with served(Village(), settings(tmp_path, audit_file=str(audit)), limit=LoginLimit(per_address=2)) as client:
        for _ in range(2):
            assert (await client.post("/v1beta1/login", headers=bearer("wrong"))).status_code == 403
        answer = await client.post("/v1beta1/login", headers=bearer(PASSWORD))
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 301
        page = await client.post("/auth/login", data={"password": PASSWORD})
        assert page.headers["location"].startswith("/login?wait=")
    found = lines(audit)
    assert [(line["verb"], line["outcome"]) for line in found] == [("login", "denied")] * 4
    assert {line["address"] for line in found} == {"192.0.2.7"}
    assert PASSWORD not in audit.read_text()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_attempts_are_counted_by_address_and_together_and_forgotten_in_time() -> None:
    clock = Clock()
    limit = LoginLimit(per_address=2, together=4, window=60, remembered=3, clock=clock)
    assert [limit.begin("192.0.2.1") for _ in range(2)] == [0, 0]
    assert limit.begin("192.0.2.1") > 0
    # Of IPv6 a whole /64 is one: addresses in it cost nothing.
    assert [limit.begin("2001:db8::1"), limit.begin("2001:db8::2")] == [0, 0]
    assert limit.begin("2001:db8::3") > 0
    # Together it is enough for everybody now.
    assert 0 < limit.begin("192.0.2.9") <= 61
    clock.now += 61
    assert limit.begin("192.0.2.1") == 0
    limit.succeeded("192.0.2.1")
    assert [limit.begin("192.0.2.1") for _ in range(2)] == [0, 0]


def test_a_million_addresses_cost_no_more_memory_than_are_remembered() -> None:
    limit = LoginLimit(together=10**9, remembered=100)
    for number in range(1000):
        limit.begin(f"10.0.{number // 250}.{number % 250}")
    assert len(limit._addresses) == 100


def test_a_token_of_the_admin_ends_with_its_time_the_password_and_the_key() -> None:
    clock = Clock()
    tokens = AdminTokens(b"k" * 32, "one", 60, clock)
    token = tokens.issue()
    assert tokens.valid(token)
    assert not AdminTokens(b"k" * 32, "another", 60, clock).valid(token)
    assert not AdminTokens(b"x" * 32, "one", 60, clock).valid(token)
    clock.now += 60
    assert not tokens.valid(token)


@pytest.mark.parametrize(
    "change",
    [{"iss": "other"}, {"aud": "other"}, {"sub": "somebody"}, {"pwd": ""}, {"nbf": 9e9}, {"exp": None}, {"exp": "x"}],
)
def test_a_token_with_another_claim_is_none(change: dict[str, object]) -> None:
    key, now = b"k" * 32, time.time()
    claims = {"iss": "towpath", "aud": "towpath", "sub": "admin", "iat": now, "nbf": now, "exp": now + 60, "pwd": "one"}
    tokens = AdminTokens(key, "one", 60)
    assert tokens.valid(jwt.encode(claims, key, "HS256"))
    assert not tokens.valid(jwt.encode({**claims, **change}, key, "HS256", headers={"typ": "JWT"}))


def test_an_unsigned_token_is_none() -> None:
    now = time.time()
    claims = {"iss": "towpath", "aud": "towpath", "sub": "admin", "iat": now, "nbf": now, "exp": now + 60, "pwd": ""}
    unsigned = jwt.encode(claims, None, "none")
    assert not AdminTokens(b"k" * 32, "", 60).valid(unsigned)
    assert not AdminTokens(b"k" * 32, "", 60).valid("a.b.c")


async def test_a_session_lets_a_page_do_what_only_it_can_ask_for(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        csrf = await logged_in(client)
        assert (await client.get("/v1beta1/probe/shop/dev")).status_code == 200
        refused = await client.post("/v1beta1/probe/shop/dev")
        assert (refused.status_code, "reload" in refused.json()["error"]) == (403, True)
        wrong = await client.post("/v1beta1/probe/shop/dev", headers={"X-CSRF-Token": "x"})
        assert wrong.status_code == 403
        right = await client.post("/v1beta1/probe/shop/dev", headers={"X-CSRF-Token": csrf})
        assert right.status_code == 200
        elsewhere = {"X-CSRF-Token": csrf, "Origin": "https://evil.example.com"}
        assert (await client.post("/v1beta1/probe/shop/dev", headers=elsewhere)).status_code == 403


async def test_a_form_of_another_site_logs_nobody_in(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        answer = await client.post(
            "/auth/login", data={"password": PASSWORD}, headers={"Origin": "https://evil.example.com"}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_a_wrong_password_leads_back_and_says_so(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        answer = await client.post("/auth/login", data={"password": "wrong", "next": "/projects/shop"})
        assert answer.headers["location"] == "/login?failed=password&next=%2Fprojects%2Fshop"
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path", ["https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "evil", "/a\\b"]
)
async def test_nobody_is_led_to_another_site(tmp_path: Path, path: str) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        answer = await client.post("/auth/login", data={"password": PASSWORD, "next": path})
        assert answer.headers["location"] == "/"


async def test_cookies_are_out_of_reach_of_scripts_and_by_https_of_other_hosts(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        cookie = (await client.post("/auth/login", data={"password": PASSWORD})).headers["set-cookie"]
        assert cookie.startswith("towpath-session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    async with served(Village(), settings(tmp_path), base_url="https://towpath.example.com") as client:
        cookie = (await client.post("/auth/login", data={"password": PASSWORD})).headers["set-cookie"]
        assert cookie.startswith("__Host-towpath-session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


async def test_logging_out_ends_the_session_for_whoever_kept_the_cookie(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    async with served(Village(), settings(tmp_path, audit_file=str(audit))) as client:
        csrf = await logged_in(client)
        kept = client.cookies["towpath-session"]
        assert (await client.post("/auth/logout")).status_code == 403
        answer = await client.post("/auth/logout", data={"csrf": csrf})
        assert answer.headers["location"] == "/login"
        assert "towpath-session" not in client.cookies
        client.cookies.set("towpath-session", kept)
        ended = await client.get("/who")
        assert (ended.status_code, "log in again" in ended.json()["error"]) == (401, True)
    assert [line["verb"] for line in lines(audit)][:1] == ["login"]
    assert ("logout", "done") in [(line["verb"], line["outcome"]) for line in lines(audit)]


def sessions(clock: Clock, **more: str) -> Sessions:
    return Sessions(b"s" * 32, b"c" * 32, lifetime=100, idle=40, clock=clock, **more)


def test_a_session_ends_when_it_is_idle_and_when_it_is_old() -> None:
    clock = Clock()
    kept = sessions(clock)
    session = kept.begin_user(Claims("ann@example.com", "7", frozenset({"devs"})), "Ann")
    cookie = kept.seal(session)
    clock.now += 39
    opened = kept.open(cookie)
    assert opened is not None
    assert opened.identity.actor == "email:ann@example.com"
    assert opened.identity.groups == ("devs",)
    again = kept.touched(opened)
    assert again is not None
    clock.now += 39
    assert kept.open(cookie) is None
    assert kept.open(kept.seal(again)) is not None
    young = kept.touched(again)
    assert young is not None
    clock.now += 23
    assert kept.open(kept.seal(young)) is None, "it is 101 seconds old"


def test_a_session_can_be_neither_forged_nor_changed() -> None:
    clock = Clock()
    kept = sessions(clock)
    session = Session(id="x", kind=IdentityKind.ADMIN, began=clock.now, seen=clock.now)
    cookie = kept.seal(session)
    assert kept.open(cookie) == session
    other = Sessions(b"o" * 32, b"c" * 32, lifetime=100, idle=40, clock=clock)
    assert other.open(cookie) is None
    for broken in (
        "",
        "x",
        cookie[:-2],
        cookie[1:],
        "A" * 5000,
        cookie[:20] + ("B" if cookie[20] != "B" else "C") + cookie[21:],
    ):
        assert kept.open(broken) is None
    assert sessions(clock, fingerprint="another password").open(cookie) is None


def test_a_session_with_more_groups_than_a_cookie_holds_is_an_error() -> None:
    kept = sessions(Clock())
    many = kept.begin_user(Claims("a@example.com", "1", frozenset(f"{n * 7919:x}-{n}" for n in range(3000))))
    with pytest.raises(ValueError, match="does not fit"):
        kept.seal(many)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    made = WebSettings(data_directory=tmp_path / "data")
    assert load_keys(made).derive("a") == load_keys(made).derive("a")
    assert load_keys(made).derive("a") != load_keys(made).derive("b")
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600
    assert load_keys(settings(tmp_path)).derive("a") != load_keys(made).derive("a")
    assert "k" * 10 not in repr(load_keys(settings(tmp_path)))
    (tmp_path / "data" / FILE).write_text("short")
    with pytest.raises(SettingsInvalid, match="too short"):
        load_keys(made)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TOWPATH_WEB_ADMIN_PASSWORD_HASH", "plain", "towpath web hash-password"),
        ("TOWPATH_WEB_KEY", "short", "openssl rand"),
        ("TOWPATH_WEB_TRUSTED_PROXIES", "10.0.0.0/8,nonsense", "nonsense"),
        ("TOWPATH_OIDC_ISSUER", "https://id.example.com", "TOWPATH_OIDC_CLIENT_ID"),
        ("TOWPATH_OIDC_ISSUER", "ftp://id.example.com", "TOWPATH_OIDC_ISSUER"),
        ("TOWPATH_AUDIT_FILE", "/nonexistent/audit.jsonl", ""),
    ],
)
def test_settings_that_can_not_be_right_stop_the_process(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    if said:
        with pytest.raises(SettingsInvalid, match=said) as caught:
            load_settings(WebSettings)
        assert variable == "TOWPATH_OIDC_ISSUER" or value not in str(caught.value) or "nonsense" in value
    else:
        from web.access.audit import AuditLog

        with pytest.raises(SettingsInvalid, match="TOWPATH_AUDIT_FILE"):
            AuditLog(load_settings(WebSettings).audit_file).check()


async def test_every_answer_tells_the_browser_to_allow_little(tmp_path: Path) -> None:
    async with served(Village(), settings(tmp_path)) as client:
        for answer in (await client.get("/who"), await client.get("/v1beta1/system/public-server-config")):
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers
    async with served(Village(), settings(tmp_path), base_url="https://towpath.example.com") as client:
        assert (await client.get("/who")).headers["strict-transport-security"]
