"""The Temporal UI can read payloads through the codec endpoint, and foreign pages can't."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from worker import codec_endpoint
from worker.codec_endpoint import CodecEndpoint
from workflows.converter import Codec, EncryptionKey

UI = "http://127.0.0.1:8233"
CODEC = Codec([EncryptionKey("2026", b"n" * 32)])
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a barge"')


@pytest.fixture
async def endpoint() -> AsyncIterator[httpx.AsyncClient]:
    endpoint = CodecEndpoint(CODEC)
    endpoint.allow(UI)
    async with (
        endpoint as served,
        httpx.AsyncClient(base_url=served.url, headers={"Origin": UI}) as client,
    ):
        yield client


def as_json(*payloads: Payload) -> dict[str, object]:
    return json_format.MessageToDict(Payloads(payloads=payloads))


async def test_what_is_encrypted_is_shown(endpoint: httpx.AsyncClient) -> None:
    answer = await endpoint.post("/decode", json=as_json(*await CODEC.encode([PLAIN])))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == UI
    assert json_format.ParseDict(answer.json(), Payloads()).payloads == [PLAIN]


async def test_what_is_typed_in_the_ui_is_encrypted(endpoint: httpx.AsyncClient) -> None:
    answer = await endpoint.post("/encode", json=as_json(PLAIN))
    [encoded] = json_format.ParseDict(answer.json(), Payloads()).payloads
    assert encoded.metadata["encoding"] == b"binary/encrypted"
    assert await CODEC.decode([encoded]) == [PLAIN]


async def test_the_uis_browser_is_let_in(endpoint: httpx.AsyncClient) -> None:
    answer = await endpoint.options(
        "/decode",
        headers={
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == UI


async def test_foreign_pages_are_kept_out(endpoint: httpx.AsyncClient) -> None:
    asked = await endpoint.options(
        "/decode", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 400
    sent = await endpoint.post("/decode", json=as_json(PLAIN), headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in sent.headers
    renamed = await endpoint.post("/decode", json=as_json(PLAIN), headers={"Host": "evil.example"})
    assert renamed.status_code == 400
    form = await endpoint.post("/decode", content=b"{}", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415


@pytest.mark.parametrize("body", [b"", b"[", b'{"payloads": 3}', b'{"cargo": []}', b"\xff\xfe"])
async def test_what_is_no_payload_is_refused(endpoint: httpx.AsyncClient, body: bytes) -> None:
    answer = await endpoint.post("/decode", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["message"]) == (400, "expected Temporal payloads as JSON")


async def test_an_unknown_key_is_named(endpoint: httpx.AsyncClient) -> None:
    foreign = await Codec([EncryptionKey("other", b"x" * 32)]).encode([PLAIN])
    answer = await endpoint.post("/decode", json=as_json(*foreign))
    assert answer.status_code == 400
    assert "'other'" in answer.json()["message"]


async def test_a_flood_is_refused(endpoint: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_endpoint, "MAX_BODY", 100)
    answer = await endpoint.post("/decode", content=b" " * 101, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_a_token_is_asked_for_when_there_is_one() -> None:
    async with (
        CodecEndpoint(CODEC, token="a-token") as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):
        body = as_json(PLAIN)
        for given in ("", "Bearer", "Bearer another", "Basic a-token"):
            assert (await client.post("/encode", json=body, headers={"Authorization": given})).status_code == 401
        assert (await client.post("/encode", json=body, headers={"Authorization": "Bearer a-token"})).is_success
