"""No secret gets anywhere: not into a history, a memo, a log, a file, or what people are shown.

A pipeline whose Git host, registry and metrics API all ask for credentials, and where what fails, fails with a secret
at hand. Afterwards everything that was written anywhere is read.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecution

from starter.main import cli
from starter.session import Session
from tests.kill.echo import EchoApi
from tests.kill.scene import PROJECT, Scene, scene, until
from workflows.converter import Codec, read_keys

GIT = "not-a-real-git-password+1f7c"
WRONG = "not-a-real-wrong-password/2e8d"
REGISTRY = "not-a-real-registry-password=3d9e"
TOKEN = "not-a-real-api-token 4c0f"
NOTED = "not-a-real-note-5b1a"
SECRETS = (GIT, WRONG, REGISTRY, TOKEN, NOTED)
USER = "towpath-robot"
#: Stands in manifests where a person would write something: plain text that only encryption may hide.
WORDS = "the-text-of-our-manifests"

WORKFLOWS = {"Cluster", "Project", "Warehouse", "Stage", "Discovery", "Promotion", "Verification", "FanOut"}


def secret(name: str, kind: str = "", **data: str) -> dict[str, Any]:
    labels = {"kargo.akuity.io/cred-type": kind} if kind else {}
    metadata = {"name": name, "namespace": PROJECT, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def write_credentials(directory: Path) -> None:
    file = directory / PROJECT / "secrets.yaml"
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    git = "https://git.example.com"
    file.write_text(
        yaml.safe_dump_all(
            [
                secret("config", "git", repoURL=f"{git}/guestbook.git", username=USER, password=GIT),
                secret("gone", "git", repoURL=f"{git}/gone.git", username=USER, password=GIT),
                secret("locked", "git", repoURL=f"{git}/locked.git", username=USER, password=WRONG),
                secret("images", "image", repoURL="registry.example.com/guestbook", username=USER, password=REGISTRY),
                secret("locked-images", "image", repoURL="registry.example.com/locked", username=USER, password=WRONG),
                secret("api", token=TOKEN, note=NOTED),
            ]
        )
    )


def manifest(kind: str, name: str, spec: dict[str, Any], group: str = "kargo.akuity.io") -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": PROJECT},
        "spec": spec,
    }


def origin(**sources: object) -> list[dict[str, Any]]:
    return [{"origin": {"kind": "Warehouse", "name": "guestbook"}, "sources": sources}]


def clone(repository: str) -> dict[str, Any]:
    config = {"repoURL": f"https://git.example.com/{repository}.git", "checkout": [{"branch": "main", "path": "./x"}]}
    return {"uses": "git-clone", "as": repository, "continueOnError": True, "config": config}


def metric(name: str, path: str) -> dict[str, Any]:
    header = {"key": "Authorization", "value": "Bearer {{args.token}}"}
    web = {"url": f"http://metrics.example.com/{path}", "headers": [header], "jsonPath": "{$}"}
    return {
        "name": name,
        "successCondition": "result.errorRate < 0.05",
        "consecutiveErrorLimit": 0,
        "provider": {"web": web},
    }


def pipeline() -> Iterator[dict[str, Any]]:
    header = {"name": "Authorization", "value": "Bearer ${{ secret('api').token }}"}
    call = {
        "url": "http://metrics.example.com/ok",
        "headers": [header],
        "outputs": [
            {"name": "body", "fromExpression": "response.body"},
            {"name": "sent", "fromExpression": "response.headers['X-Sent']"},
        ],
    }
    steps = [
        {"task": {"name": "render"}, "as": "render"},
        {"uses": "http", "as": "call", "config": call},
        {"uses": "compose-output", "as": "out", "config": {"words": WORDS, "note": "${{ secret('api').note }}"}},
    ]
    refused = {**call, "url": "http://metrics.example.com/refused", "failureExpression": "response.status == 401"}
    broken = [
        clone("locked"),
        clone("gone"),
        {"uses": "http", "as": "refused", "continueOnError": True, "config": refused},
        {"uses": "fail", "config": {"message": "${{ quote(secret('api').note) }} and ${{ secret('api').token }}"}},
    ]
    argument = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}
    template = {"args": [argument], "metrics": [metric("fine", "ok"), metric("refused", "refused")]}
    yield manifest("AnalysisTemplate", "watch", template, "argoproj.io")
    verification = {"analysisTemplates": [{"name": "watch"}]}
    yield manifest(
        "Stage",
        "dev",
        {
            "requestedFreight": origin(direct=True),
            "promotionTemplate": {"spec": {"steps": steps}},
            "verification": verification,
        },
    )
    yield manifest(
        "Stage",
        "broken",
        {"requestedFreight": origin(direct=True), "promotionTemplate": {"spec": {"steps": broken}}},
    )
    yield manifest("Stage", "gate", {"requestedFreight": origin(direct=True)})
    yield manifest(
        "Stage",
        "west",
        {"requestedFreight": origin(stages=["gate"]), "promotionTemplate": {"spec": {"steps": steps[:1]}}},
    )
    subscriptions = [
        {"git": {"repoURL": "https://git.example.com/locked.git", "branch": "main"}},
        {"image": {"repoURL": "registry.example.com/locked"}},
    ]
    yield manifest("Warehouse", "locked", {"interval": "1h", "subscriptions": subscriptions})


@dataclass
class Written:
    """Everything that was written: texts, by where they stand."""

    texts: dict[str, str] = field(default_factory=dict)

    def holding(self, *forbidden: str) -> list[str]:
        return [f"{form} in {where}" for where, text in self.texts.items() for form in forbidden if form in text]


def forms(value: str) -> set[str]:
    """A secret, and in what disguise it could travel."""
    found = {value, quote(value, safe=""), json.dumps(value)[1:-1]}
    for text in (value, f"{USER}:{value}", f"Bearer {value}"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(text.encode()).decode().rstrip("="))
    return found


def payloads(value: Any) -> Iterator[Payload]:
    """Every payload in a message of Temporal's that was written as JSON."""
    if isinstance(value, dict):
        if "data" in value and isinstance(value.get("metadata"), dict) and "encoding" in value["metadata"]:
            yield json_format.ParseDict(value, Payload())
        for item in value.values():
            yield from payloads(item)
    elif isinstance(value, list):
        for item in value:
            yield from payloads(item)


async def histories(here: Scene, codec: Codec) -> tuple[Written, Written]:
    """The history and the description of every run: as the server has them, and decoded."""
    raw, decoded = Written(), Written()
    kinds: set[str] = set()
    assert here.server is not None
    client = await here.client(here.server.address)

    async def read(run: WorkflowExecution) -> None:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history = (await handle.fetch_history()).to_json_dict()
        description = json_format.MessageToDict((await handle.describe()).raw_description)
        for what, value in (("history", history), ("description", description)):
            where = f"{what} of {run.id} {run.run_id}"
            found = list(payloads(value))
            raw.texts[where] = json.dumps(value) + "".join(p.data.decode("latin-1") for p in found)
            decoded.texts[where] = json.dumps(value) + "\n".join(
                payload.data.decode(errors="replace") for payload in await codec.decode(found)
            )

    async for run in client.list_workflows():
        kinds.add(run.workflow_type)
        await read(run)
    assert kinds == WORKFLOWS
    return raw, decoded


def typed(here: Scene, *arguments: str) -> str:
    """What a person sees who types this command."""

    async def connect() -> Any:
        await here.connect(here.server.address if here.server else "")
        return here.towpath

    result = CliRunner().invoke(cli, list(arguments), obj=Session(connect))
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return f"{result.exit_code} {result.output}"


COMMANDS = {
    "projects": ("get", "projects", "-o", "yaml"),
    "warehouses": ("get", "warehouses", "-o", "yaml"),
    "freight": ("get", "freight", "-o", "json"),
    "stages": ("get", "stages", "-o", "yaml"),
    "verifications": ("get", "verifications", "-o", "yaml"),
    "promotions": ("get", "promotions", "-o", "yaml"),
    "backup": ("backup", "-"),
}


@pytest.mark.kill
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_no_secret_is_written_anywhere(tmp_path: Path, encrypted: bool) -> None:
    keys = tmp_path / "keys"
    keys.write_text("only:" + base64.b64encode(b"0" * 32).decode() + "\n")
    write_credentials(tmp_path / "credentials")
    worker = {
        "TOWPATH_CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
        "TOWPATH_ALLOW_CREDENTIALS_OVER_HTTP": "true",
        "TOWPATH_LOG_LEVEL": "DEBUG",
    }
    here: Scene
    async with scene(tmp_path, ["dev", "west"], keys=keys if encrypted else None) as here:
        with EchoApi() as api:
            here.world.git.repository("locked", {"a.txt": "a\n"})
            here.world.git.user, here.world.git.password = USER, GIT
            here.world.registry.auth, here.world.registry.users = "basic", {USER: REGISTRY}
            worker["TOWPATH_HTTP_MIRRORS"] = f"http://metrics.example.com={api.url}"
            running = await here.start_worker("one", extra=worker)
            here.stages = []
            await here.begin()
            await here.apply(*pipeline())
            await here.promote("dev", "broken")
            await here.all_over()
            fan_out = await here.towpath.promote_downstream(PROJECT, "gate", freight=here.freight)
            assert fan_out.accepted, fan_out.reason

            async def everything_is_over() -> bool:
                verifications = await here.towpath.verification_lines(PROJECT)
                promotions = await here.towpath.promotion_lines(PROJECT)
                warehouse = await here.towpath.get_warehouse(PROJECT, "locked")
                told = any(condition["status"] == "False" for condition in warehouse["status"]["conditions"])
                ended = [line.finished_at is not None for line in (*verifications, *promotions)]
                return bool(verifications) and len(promotions) == 3 and all(ended) and told

            await until(everything_is_over)

            # It went as it was meant to: secrets were used, and they were refused.
            assert set(api.heard) == {f"Bearer {TOKEN}"}
            dev, broken = [
                await here.towpath.promotion_view(PROJECT, here.promotions[name]) for name in ("dev", "broken")
            ]
            assert dev.phase == "Succeeded", dev.message
            assert [(step.alias, step.status) for step in broken.steps] == [
                ("locked", "Errored"),
                ("gone", "Errored"),
                ("refused", "Failed"),
                ("step-4", "Failed"),
            ]
            assert "Secret locked" in broken.steps[0].message
            assert "***" in broken.steps[3].message

            raw, decoded = await histories(here, Codec(read_keys(keys) if encrypted else ()))
            shown = Written()
            logs = {"dev log": ("logs", "promotion", dev.name), "broken log": ("logs", "promotion", broken.name)}
            for name, command in {**COMMANDS, **logs}.items():
                arguments = command if name == "backup" else (*command, "-p", PROJECT)
                shown.texts[name] = await asyncio.to_thread(typed, here, *arguments)
                assert shown.texts[name].startswith("0 "), shown.texts[name]
            shown.texts["worker's log"] = running.log.read_text()
            assert " DEBUG " in shown.texts["worker's log"]
            await running.kill(whole_host=True)
    on_disk = Written()
    for root in (tmp_path / "one", tmp_path / "temporal"):
        for path in root.rglob("*"):
            if path.is_file():
                on_disk.texts[str(path)] = path.read_bytes().decode("latin-1")

    forbidden = {form for value in SECRETS for form in forms(value)}
    for written in (raw, decoded, shown, on_disk):
        assert written.texts
        assert written.holding(*forbidden) == []
    # What is looked for in vain would be found if it were there.
    plain = [WORDS, "metrics.example.com", "git.example.com", "successCondition"]
    assert all(any(word in text for text in decoded.texts.values()) for word in plain)
    if encrypted:
        assert raw.holding(*plain) == []
    else:
        assert raw.holding(*plain) != []
