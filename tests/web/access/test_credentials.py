"""Credentials and ConfigMaps through the API: written where workers read them, and never shown again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from activities.credentials import CredentialKind, DirectoryCredentials
from credentials.store import Shelf, Unfit
from model.resources.secret import Secret
from tests.web.access.village import Village, lines, served, settings

PASSWORD = "hidden-password-for-tests"
TOKEN = "hidden-token-for-tests"
GIT = {
    "name": "git-host",
    "type": "git",
    "repoUrl": "https://git.example.com/shop.git",
    "username": "hidden-user",
    "password": PASSWORD,
    "description": "the shop's",
}
SCOPES = [("projects/shop", "shop"), ("shared", "shared"), ("system", "_cluster")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "credentials"
    found.mkdir()
    return found


@pytest.fixture
async def client(tmp_path: Path, root: Path) -> AsyncIterator[httpx.AsyncClient]:
    village = Village()
    village.project("shop")
    village.project("shared")
    found = settings(
        tmp_path,
        web_admin_password_hash=None,
        credentials_directory=root,
        audit_file=str(tmp_path / "audit.jsonl"),
    )
    async with served(village, found) as client:
        client.base_url = httpx.URL("http://127.0.0.1:8080/v1beta1/")
        yield client


def workers(root: Path) -> DirectoryCredentials:
    return DirectoryCredentials(root)


@pytest.mark.parametrize(("scope", "directory"), SCOPES[:2])
async def test_what_is_written_is_what_workers_find_and_nobody_reads_again(
    client: httpx.AsyncClient, root: Path, tmp_path: Path, scope: str, directory: str
) -> None:
    created = await client.post(f"{scope}/repo-credentials", json=GIT)
    assert created.status_code == 201, created.text
    shown = created.json()
    assert shown["metadata"]["name"] == "git-host"
    assert shown["metadata"]["labels"] == {"kargo.akuity.io/cred-type": "git"}
    assert shown["metadata"]["annotations"] == {"kargo.akuity.io/description": "the shop's"}
    assert shown["stringData"]["repoURL"] == "https://git.example.com/shop.git"
    found = workers(root).find("shop", CredentialKind.GIT, "https://git.example.com/shop.git")
    assert found is not None
    assert (found.username, found.password) == ("hidden-user", PASSWORD)
    answers = [
        created,
        await client.get(f"{scope}/repo-credentials"),
        await client.get(f"{scope}/repo-credentials/git-host"),
        await client.patch(f"{scope}/repo-credentials/git-host", json={"password": TOKEN}),
        await client.put(f"{scope}/repo-credentials/git-host", json={**_without(GIT, "name"), "type": "image"}),
        await client.post(f"{scope}/repo-credentials", json=GIT),
        await client.post(f"{scope}/repo-credentials", json={**GIT, "type": PASSWORD}),
        await client.post(f"{scope}/repo-credentials", json={**GIT, "password": {"a": PASSWORD}}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 409, 422, 422]
    for answer in answers[:6]:
        for secret in (PASSWORD, TOKEN, "hidden-user"):
            assert secret not in answer.text
    (file,) = (root / directory).glob("*.yaml")
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await client.delete(f"{scope}/repo-credentials/git-host")).status_code == 204
    assert list((root / directory).iterdir()) == []
    audit = tmp_path / "audit.jsonl"
    assert not any(secret in audit.read_text() for secret in (PASSWORD, TOKEN))
    assert lines(audit)[0] | {"time": ""} == {
        "time": "",
        "actor": "admin",
        "address": "192.0.2.7",
        "verb": "admin",
        "outcome": "done",
        **({"project": "shop"} if directory == "shop" else {}),
        "method": "POST",
        "path": f"/v1beta1/{scope}/repo-credentials",
        "objects": ["Secret/git-host"],
        "status": 201,
    }


def _without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


async def test_a_patch_changes_what_it_names_alone(client: httpx.AsyncClient, root: Path) -> None:
    await client.post("projects/shop/repo-credentials", json=GIT)
    path = "projects/shop/repo-credentials/git-host"
    await client.patch(path, json={"password": TOKEN})
    found = workers(root).find("shop", CredentialKind.GIT, "https://git.example.com/shop.git")
    assert found is not None
    assert (found.username, found.password) == ("hidden-user", TOKEN)
    answer = await client.patch(path, json={"repoUrl": "^https://git", "repoUrlIsRegex": True, "description": ""})
    assert answer.json()["stringData"]["repoURLIsRegex"] == "true"
    assert "annotations" not in answer.json()["metadata"]
    assert (await client.patch(path, json={"repoUrl": "https://b"})).json()["stringData"].get("repoURLIsRegex") is None


@pytest.mark.parametrize(("scope", "directory"), SCOPES)
async def test_generic_credentials_are_for_expressions(
    client: httpx.AsyncClient, root: Path, scope: str, directory: str
) -> None:
    path = f"{scope}/generic-credentials"
    body = {"name": "chat", "data": {"url": PASSWORD, "room": TOKEN}}
    created = await client.post(path, json=body)
    assert created.status_code == 201, created.text
    assert created.json()["stringData"] == {"room": "*** REDACTED ***", "url": "*** REDACTED ***"}
    # A key that is sent empty keeps its value, as Kargo has it.
    await client.put(f"{path}/chat", json={"data": {"url": "", "more": "x-value"}})
    held = workers(root).secret(directory, "chat")
    assert held == {"url": PASSWORD, "more": "x-value"}
    await client.patch(f"{path}/chat", json={"removeKeys": ["more"], "data": {"room": "y-value"}})
    assert workers(root).secret(directory, "chat") == {"url": PASSWORD, "room": "y-value"}
    listed = (await client.get(path)).json()
    assert [item["metadata"]["name"] for item in listed["items"]] == ["chat"]
    emptied = await client.patch(f"{path}/chat", json={"removeKeys": ["url", "room"]})
    assert emptied.status_code == 400
    replicated = await client.post(path, json={**body, "name": "other", "replicate": True})
    assert (replicated.status_code, "sharedSecret()" in replicated.json()["error"]) == (400, True)
    assert (await client.delete(f"{path}/chat")).status_code == 204
    assert (await client.get(f"{path}/chat")).status_code == 404


@pytest.mark.parametrize(("scope", "directory"), SCOPES)
async def test_config_maps_are_read_whole(client: httpx.AsyncClient, root: Path, scope: str, directory: str) -> None:
    path = f"{scope}/configmaps"
    created = await client.post(path, json={"name": "plain", "data": {"channel": "releases"}, "description": "d"})
    assert created.json()["data"] == {"channel": "releases"}
    assert workers(root).config_map(directory, "plain") == {"channel": "releases"}
    await client.patch(f"{path}/plain", json={"data": {"a": "1"}, "removeKeys": ["channel"]})
    assert (await client.get(f"{path}/plain")).json()["data"] == {"a": "1"}
    await client.put(f"{path}/plain", json={"data": {"b": "2"}})
    assert (await client.get(path)).json()["items"][0]["data"] == {"b": "2"}
    assert (await client.patch(f"{path}/plain", json={"removeKeys": ["b"]})).status_code == 400
    assert (await client.delete(f"{path}/plain")).status_code == 204
    assert (await client.get(path)).json()["items"] == []


async def test_kinds_of_secrets_are_not_mixed_up(client: httpx.AsyncClient) -> None:
    await client.post("projects/shop/generic-credentials", json={"name": "chat", "data": {"url": "x-value"}})
    assert (await client.get("projects/shop/repo-credentials/chat")).status_code == 409
    assert (await client.delete("projects/shop/repo-credentials/chat")).status_code == 409
    assert (await client.get("projects/shop/repo-credentials")).json()["items"] == []
    assert (await client.post("projects/shop/repo-credentials", json={**GIT, "name": "chat"})).status_code == 409


async def test_files_that_were_written_by_hand_are_shown_and_left_alone(client: httpx.AsyncClient, root: Path) -> None:
    (root / "shop").mkdir()
    file = root / "shop" / "git.yaml"
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "by-hand",
            "labels": {"kargo.akuity.io/cred-type": "git"},
            "annotations": {"note": PASSWORD},
        },
        "stringData": {"repoURL": f"https://user:{TOKEN}@git.example.com/a.git?token={TOKEN}", "password": PASSWORD},
    }
    file.write_text(yaml.safe_dump_all([manifest, {**manifest, "metadata": {"name": "unlabelled"}}]))
    before = file.read_text()
    listed = await client.get("projects/shop/repo-credentials")
    (item,) = listed.json()["items"]
    assert item["stringData"]["repoURL"] == "https://git.example.com/a.git"
    assert not any(secret in listed.text for secret in (PASSWORD, TOKEN))
    for answer in (
        await client.patch("projects/shop/repo-credentials/by-hand", json={"password": "x-value"}),
        await client.delete("projects/shop/repo-credentials/by-hand"),
    ):
        assert (answer.status_code, "shop/git.yaml" in answer.json()["error"]) == (409, True)
    assert (await client.post("projects/shop/repo-credentials", json={**GIT, "name": "by-hand"})).status_code == 409
    assert file.read_text() == before


@pytest.mark.parametrize(
    "name", ["../escape", "a/b", "..", ".hidden", "A", "", "a b", "x" * 201, "a\n", "%2e%2e%2fescape", "a.yaml/../b"]
)
async def test_no_name_leads_out_of_the_directory(client: httpx.AsyncClient, root: Path, name: str) -> None:
    answer = await client.post("projects/shop/repo-credentials", json={**GIT, "name": name})
    assert answer.status_code == 400
    assert [files for _, _, files in os.walk(root) if files] == []


async def test_a_link_in_the_place_of_the_directory_is_not_followed(
    client: httpx.AsyncClient, root: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "shop").symlink_to(elsewhere)
    answer = await client.post("projects/shop/repo-credentials", json=GIT)
    assert answer.status_code == 501
    assert list(elsewhere.iterdir()) == []


def test_a_directory_is_a_projects_or_one_of_the_two_others(root: Path) -> None:
    for directory in ("..", "a/b", "", ".", "/etc"):
        with pytest.raises(Unfit):
            Shelf(root, directory, Secret)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "data": {"a/b": "v"}},
        {"name": "x", "data": {"": "v"}},
        {"name": "x", "data": {"a": "v" * (1024 * 1024 + 1)}},
    ],
)
async def test_keys_and_sizes_are_those_of_kubernetes(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post("projects/shop/generic-credentials", json=body)
    assert answer.status_code == 400
    assert "vvvv" not in answer.text


async def test_many_at_once_lose_nothing(client: httpx.AsyncClient, root: Path) -> None:
    path = "projects/shop/generic-credentials"
    await client.post(path, json={"name": "chat", "data": {"first": "1"}})
    answers = await asyncio.gather(
        *(client.patch(f"{path}/chat", json={"data": {f"k{number}": "v"}}) for number in range(10)),
        *(client.post(path, json={"name": "same", "data": {"a": str(number)}}) for number in range(5)),
    )
    assert sorted(answer.status_code for answer in answers[10:]) == [201, 409, 409, 409, 409]
    held = workers(root).secret("shop", "chat")
    assert held is not None
    assert len(held) == 11


async def test_without_a_directory_that_can_be_written_it_says_what_to_do(tmp_path: Path, root: Path) -> None:
    village = Village()
    village.project("shop")
    for directory in (None, tmp_path / "gone"):
        found = settings(tmp_path, web_admin_password_hash=None, credentials_directory=directory)
        async with served(village, found) as client:
            assert (await client.get("/v1beta1/projects/shop/repo-credentials")).json()["items"] == []
            answer = await client.post("/v1beta1/projects/shop/repo-credentials", json=GIT)
            assert answer.status_code == 501
            assert "TOWPATH_CREDENTIALS_DIRECTORY" in answer.json()["error"]
            assert "Secret git-host into shop/" in answer.json()["error"]


async def test_a_project_that_is_not_there_has_none(client: httpx.AsyncClient, root: Path) -> None:
    assert (await client.get("projects/gone/repo-credentials")).status_code == 404
    assert (await client.post("projects/gone/configmaps", json={"name": "a", "data": {"a": "b"}})).status_code == 404
    assert os.listdir(root) == []
