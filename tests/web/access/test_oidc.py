"""OpenID Connect, against a provider on loopback: logging in to the page, and tokens that command lines send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.web.access.oidc_double import Double, rsa_key
from tests.web.access.village import Village, bearer, lines, served, settings
from web.access.provider import Provider, ProviderError
from workflows.settings import WebSettings

#: Made once: a key takes a moment.
KEY, OTHER_KEY = rsa_key(), rsa_key()


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    async with Double(keys={"one": KEY}).running() as running:
        yield running


@pytest.fixture
def village() -> Village:
    found = Village()
    found.project(
        "shop",
        {"name": "devs", "role": "promoter", "stages": ["dev"], "claims": [{"name": "groups", "values": ["devs"]}]},
    )
    return found


def with_provider(tmp_path: Path, double: Double, **more: Any) -> WebSettings:
    return settings(
        tmp_path,
        web_admin_password_hash=None,
        oidc_issuer=double.issuer,
        oidc_client_id="towpath",
        oidc_client_secret=double.client_secret,
        **more,
    )


async def through_the_provider(client: httpx.AsyncClient, back_to: str = "/projects/shop") -> httpx.Response:
    """Goes where a browser is sent, up to the callback; its answer."""
    begun = await client.get("/auth/oidc", params={"next": back_to})
    assert begun.status_code == 303, begun.text
    async with httpx.AsyncClient() as elsewhere:
        authorized = await elsewhere.get(begun.headers["location"])
    back = urlsplit(authorized.headers["location"])
    assert f"{back.scheme}://{back.netloc}" == str(client.base_url).rstrip("/")
    return await client.get(f"{back.path}?{back.query}")


@pytest.mark.parametrize("secret", [None, "a-secret-for-tests"])
async def test_one_logs_in_to_the_page_by_the_provider(
    tmp_path: Path, double: Double, village: Village, secret: str | None
) -> None:
    double.client_secret = secret
    double.person["groups"] = ["devs", "others"]
    audit = tmp_path / "audit.jsonl"
    async with served(village, with_provider(tmp_path, double, audit_file=str(audit))) as client:
        answer = await through_the_provider(client)
        assert (answer.status_code, answer.headers["location"]) == (303, "/projects/shop")
        assert "towpath-login" not in client.cookies
        known = (await client.get("/who")).json()
        assert (known["actor"], known["kind"]) == ("email:ann@example.com", "user")
        assert (await client.get("/v1beta1/probe/shop/dev")).status_code == 200
        assert (await client.get("/v1beta1/probe/shop/prod")).status_code == 403
    assert lines(audit)[0]["actor"] == "email:ann@example.com"


async def test_the_request_to_the_provider_is_bound_to_this_browser_and_to_this_login(
    tmp_path: Path, double: Double, village: Village
) -> None:
    async with served(village, with_provider(tmp_path, double)) as client:
        answer = await client.get("/auth/oidc")
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert len(query["code_challenge"][0]) == 43
        assert len(query["state"][0]) == len(query["nonce"][0]) == 43
        assert {"HttpOnly", "SameSite=lax", "Max-Age=600"} <= set(answer.headers["set-cookie"].split("; "))
        for value in (*query["state"], *query["nonce"]):
            assert value not in answer.headers["set-cookie"]


async def test_an_answer_for_another_browser_or_another_login_is_refused(
    tmp_path: Path, double: Double, village: Village
) -> None:
    async with served(village, with_provider(tmp_path, double)) as client:
        await client.get("/auth/oidc")
        cookie = client.cookies["towpath-login"]
        for query, kept in (
            ({"code": "x", "state": "y"}, cookie),
            ({"code": "x", "state": ""}, cookie),
            ({"code": "x"}, cookie),
            ({"code": "x", "state": "y"}, ""),
            ({"code": "x", "state": "y"}, "forged"),
            ({"error": "access_denied", "state": "y"}, cookie),
        ):
            client.cookies.clear()
            client.cookies.set("towpath-login", kept)
            answer = await client.get("/auth/callback", params=query)
            assert answer.headers["location"] == "/login?failed=oidc"
            assert "towpath-session" not in client.cookies


async def test_a_code_counts_once_and_another_issuers_answer_not_at_all(
    tmp_path: Path, double: Double, village: Village
) -> None:
    async with served(village, with_provider(tmp_path, double)) as client:
        begun = await client.get("/auth/oidc")
        kept = client.cookies["towpath-login"]
        async with httpx.AsyncClient() as elsewhere:
            back = urlsplit((await elsewhere.get(begun.headers["location"])).headers["location"])
        query = {name: values[0] for name, values in parse_qs(back.query).items()}
        mixed_up = await client.get("/auth/callback", params={**query, "iss": "https://other.example.com"})
        assert mixed_up.headers["location"] == "/login?failed=oidc"
        client.cookies.set("towpath-login", kept)
        assert (await client.get("/auth/callback", params=query)).headers["location"] == "/"
        client.cookies.clear()
        client.cookies.set("towpath-login", kept)
        assert (await client.get("/auth/callback", params=query)).headers["location"] == "/login?failed=oidc"


@pytest.mark.parametrize("claims", [{"nonce": "another"}, {"nonce": None}, {"aud": "other"}, {"exp": 1}])
async def test_a_token_that_is_not_the_answer_to_this_login_is_refused(
    tmp_path: Path, double: Double, village: Village, claims: dict[str, Any]
) -> None:
    double.claims = claims
    audit = tmp_path / "audit.jsonl"
    async with served(village, with_provider(tmp_path, double, audit_file=str(audit))) as client:
        assert (await through_the_provider(client)).headers["location"] == "/login?failed=oidc"
        assert (await client.get("/who")).status_code == 401
    assert lines(audit)[0]["outcome"] == "denied"


async def test_kargos_command_line_is_told_where_to_log_in_and_its_token_counts(
    tmp_path: Path, double: Double, village: Village
) -> None:
    """Kargo's CLI goes through the provider by itself (pkg/cli/cmd/login), and sends the ID token it got."""
    async with served(village, with_provider(tmp_path, double, oidc_cli_client_id="towpath-cli")) as client:
        config = (await client.get("/v1beta1/system/public-server-config")).json()
        assert config["oidcConfig"] == {
            "issuerUrl": double.issuer,
            "clientId": "towpath",
            "cliClientId": "towpath-cli",
            "scopes": ["openid", "profile", "email", "groups"],
        }
        assert config["adminAccountEnabled"] is False
        for audience in ("towpath", "towpath-cli"):
            token = double.token(aud=audience, groups=["devs"])
            assert (await client.post("/v1beta1/probe/shop/dev", headers=bearer(token))).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": ["towpath", "another"]},
        {"aud": ["towpath", "another"], "azp": "another"},
        {"azp": "another"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"nbf": 99999999999},
        {"iat": 99999999999},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": "never"},
    ],
)
async def test_a_token_that_is_not_for_us_or_not_of_now_counts_for_nothing(
    tmp_path: Path, double: Double, village: Village, claims: dict[str, Any]
) -> None:
    async with served(village, with_provider(tmp_path, double)) as client:
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 200
        try:
            token = double.token(**claims)
        except TypeError:
            # PyJWT makes no such token: it is made by hand.
            payload = {"iss": double.issuer, "aud": "towpath", "iat": 1, "exp": 9e9, "sub": "7", **claims}
            token = jwt.PyJWS().encode(repr(payload).replace("'", '"').encode(), KEY, "RS256", headers={"kid": "one"})
        assert (await client.get("/who", headers=bearer(token))).status_code == 401


async def test_only_signatures_by_the_providers_private_key_count(
    tmp_path: Path, double: Double, village: Village
) -> None:
    now = int(time.time())
    claims = {"iss": double.issuer, "aud": "towpath", "sub": "7", "iat": now, "exp": now + 60}
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    double.keys["small"] = ec.generate_private_key(ec.SECP256R1())
    header = {"kid": "one"}
    own = {"jwk": jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True)}
    forged = {
        "unsigned": jwt.encode(claims, None, "none", headers=header),
        "by another's key": jwt.encode(claims, OTHER_KEY, "RS256", headers=header),
        "by a key that it brings along": jwt.encode(claims, OTHER_KEY, "RS256", headers=own),
        "by a key of another family": jwt.encode(claims, OTHER_KEY, "RS256", headers={"kid": "small"}),
        "with an id that nobody knows": jwt.encode(claims, KEY, "RS256", headers={"kid": "unknown"}),
        "cut off": jwt.encode(claims, KEY, "RS256", headers=header)[:-4],
    }
    # PyJWT itself refuses to sign by a public key: the confusion of HS256 with RS256 is made by hand.
    forged["with the public key as secret"] = _by_hand(claims, public)
    async with served(village, with_provider(tmp_path, double)) as client:
        for how, token in forged.items():
            assert (await client.get("/who", headers=bearer(token))).status_code == 401, how
        assert (await client.get("/who", headers=bearer(double.token(key="small")))).status_code == 200


def _by_hand(claims: dict[str, Any], secret: bytes) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
    signed = f"{head}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_rotated_keys_are_fetched_once_and_made_up_ones_not_each_time(
    tmp_path: Path, double: Double, village: Village
) -> None:
    clock = Clock()
    provider = Provider(double.issuer, clock=clock)
    async with served(village, with_provider(tmp_path, double), provider=provider) as client:
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 200
        double.keys["two"] = OTHER_KEY
        # Not yet: it has just looked.
        assert (await client.get("/who", headers=bearer(double.token(key="two")))).status_code == 401
        clock.now += 11
        assert (await client.get("/who", headers=bearer(double.token(key="two")))).status_code == 200
        assert double.requests.count("keys") == 2
        clock.now += 11
        for _ in range(5):
            made_up = jwt.encode({"iss": double.issuer}, OTHER_KEY, "RS256", headers={"kid": "made-up"})
            assert (await client.get("/who", headers=bearer(made_up))).status_code == 401
        assert double.requests.count("keys") == 3
        # A key that was taken back counts no longer once it has looked again.
        del double.keys["one"]
        double.keys["three"] = KEY
        clock.now += 11
        assert (await client.get("/who", headers=bearer(double.token(key="three")))).status_code == 200
        old = jwt.encode({"iss": double.issuer, "aud": "towpath", "sub": "7"}, KEY, "RS256", headers={"kid": "one"})
        assert (await client.get("/who", headers=bearer(old))).status_code == 401


async def test_while_the_provider_is_away_known_keys_serve_and_nobody_new_logs_in(
    tmp_path: Path, double: Double, village: Village
) -> None:
    clock = Clock()
    provider = Provider(double.issuer, clock=clock)
    async with served(village, with_provider(tmp_path, double), provider=provider) as client:
        double.broken = True
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 401
        assert (await client.get("/auth/oidc")).headers["location"] == "/login?failed=oidc"
        double.broken = False
        clock.now += 11
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 200
        double.broken = True
        clock.now += 3700
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 200
        clock.now += 90000
        assert (await client.get("/who", headers=bearer(double.token()))).status_code == 401


async def test_what_calls_itself_otherwise_is_another_provider(double: Double) -> None:
    provider = Provider(double.issuer + "/")
    with pytest.raises(ProviderError, match="calls itself"):
        await provider.endpoints()
    await provider.close()


@pytest.mark.parametrize(
    ("person", "actor"),
    [
        ({"sub": "7", "email": "ann@example.com"}, "email:ann@example.com"),
        ({"sub": "7", "email": "ann@example.com", "email_verified": True}, "email:ann@example.com"),
        ({"sub": "7", "email": "boss@example.com", "email_verified": False}, "subject:7"),
        ({"sub": "7", "email": "boss@example.com", "email_verified": "false"}, "subject:7"),
        ({"sub": "7"}, "subject:7"),
        ({"sub": "7", "email": "a\nb@example.com"}, "subject:7"),
        ({"sub": "7", "email": ["ann@example.com"]}, "subject:7"),
    ],
)
async def test_an_address_counts_where_the_provider_stands_for_it(
    tmp_path: Path, double: Double, village: Village, person: dict[str, Any], actor: str
) -> None:
    double.person = person
    async with served(village, with_provider(tmp_path, double)) as client:
        assert (await client.get("/who", headers=bearer(double.token()))).json()["actor"] == actor


async def test_of_hundreds_of_groups_those_that_some_role_is_for_fit_into_the_cookie(
    tmp_path: Path, double: Double, village: Village
) -> None:
    double.person["groups"] = [f"{number * 7919:x}-{number}" for number in range(900)] + ["devs"]
    async with served(village, with_provider(tmp_path, double)) as client:
        assert (await through_the_provider(client)).headers["location"] == "/projects/shop"
        assert (await client.get("/v1beta1/probe/shop/dev")).status_code == 200


async def test_who_has_no_role_may_nothing_and_is_told_so(tmp_path: Path, double: Double, village: Village) -> None:
    async with served(village, with_provider(tmp_path, double)) as client:
        answer = await client.get("/v1beta1/probe/shop/dev", headers=bearer(double.token()))
        assert answer.status_code == 403
        assert "ann@example.com may not promote Stage dev in Project shop" in answer.json()["error"]
