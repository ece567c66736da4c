"""A Towpath for tests of the web that only remembers what it was asked to do, and the application upon it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import yaml

from model.promotions import PromotionView
from model.pushes import subscribed_urls
from model.resources.project_config import WebhookReceiverConfig
from model.resources.warehouse import WarehouseSpec
from model.warehouses import Outcome
from starter.client import Towpath
from starter.errors import NotFound, WorkerSilent
from starter.listing import ProjectLine, ProjectSummary, WarehouseLine, WarehouseSummary
from web.app import build_app
from web.webhooks.receivers import Receivers
from web.webhooks.refresher import Refresher
from workflows.settings import WebSettings

#: The secret of every receiver in these tests.
SECRET = "a-secret-for-tests"


@dataclass
class Town:
    """Plays starter's client."""

    credentials: Path
    receiving: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    warehouses: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    promotions: list[PromotionView] = field(default_factory=list)
    #: What was done: `warehouse shop/web`, `promotion shop/dev.1`.
    done: list[str] = field(default_factory=list)
    #: How often Projects were listed.
    readings: int = 0
    silent: bool = False

    def receiver(self, kind: str, project: str = "shop", name: str = "", key: str = "secret", **more: Any) -> str:
        """Adds a receiver with its Secret; returns its path."""
        name = name or kind
        self.receiving.setdefault(project, []).append(
            {"name": name, kind: {"secretRef": {"name": f"{name}-secret"}, **more}}
        )
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-secret"},
            "stringData": {key: SECRET},
        }
        file = self.credentials / (project or "_cluster") / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(secret))
        file.chmod(0o600)
        # Written out, so that a change of the derivation is noticed: senders know these URLs.
        digest = hashlib.sha256((project + name + SECRET).encode()).hexdigest()
        return f"/webhooks/{kind}/{digest}"

    def warehouse(self, name: str, *subscriptions: dict[str, Any], project: str = "shop", **labels: str) -> None:
        self.warehouses[project, name] = {
            "metadata": {"name": name, "namespace": project, "labels": labels},
            "spec": {"subscriptions": list(subscriptions)},
        }

    # What the web asks of the client

    async def project_lines(self) -> list[ProjectLine]:
        self.readings += 1
        if self.silent:
            raise WorkerSilent("the server at 192.0.2.1 is there, but nobody answered")
        return [
            ProjectLine(name=name, summary=ProjectSummary(receivers=len(receivers)))
            for name, receivers in self.receiving.items()
            if name
        ]

    async def receivers(self, project: str = "") -> list[WebhookReceiverConfig]:
        return [WebhookReceiverConfig.model_validate(receiver) for receiver in self.receiving.get(project, [])]

    async def every_warehouse(self) -> list[WarehouseLine]:
        return [
            WarehouseLine(
                project=project,
                name=name,
                run_id=f"{project}/{name}",
                summary=WarehouseSummary(
                    generation=1, subscribes=subscribed_urls(WarehouseSpec.model_validate(shown["spec"]))
                ),
            )
            for (project, name), shown in sorted(self.warehouses.items())
        ]

    async def warehouse_lines(self, project: str) -> list[WarehouseLine]:
        return [line for line in await self.every_warehouse() if line.project == project]

    async def get_warehouse(self, project: str, name: str) -> dict[str, Any]:
        return self.warehouses[project, name]

    async def refresh_warehouse(self, project: str, name: str) -> Outcome:
        if name == "gone":
            raise NotFound("gone")
        if name == "broken":
            raise WorkerSilent("nobody answered")
        self.done.append(f"warehouse {project}/{name}")
        return Outcome()

    async def running_promotions(self, project: str = "") -> list[PromotionView]:
        return [view for view in self.promotions if project in ("", view.project)]

    async def wake_promotion(self, project: str, name: str) -> None:
        self.done.append(f"promotion {project}/{name}")

    # The application

    @asynccontextmanager
    async def served(self, *, window: float = 0.0, base_url: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """A client of the application. `window`: seconds in which the same is done once."""
        towpath = cast(Towpath, self)
        settings = WebSettings(
            data_directory=self.credentials, credentials_directory=self.credentials, webhook_base_url=base_url
        )
        refresher = Refresher(towpath, window=window)
        app = build_app(
            towpath, settings, receivers=Receivers(towpath, self.credentials, pause=0.0), refresher=refresher
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client
        await refresher.close()


def git(url: str, **more: Any) -> dict[str, Any]:
    return {"git": {"repoURL": url, **more}}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"image": {"repoURL": url, **more}}


def chart(url: str, **more: Any) -> dict[str, Any]:
    return {"chart": {"repoURL": url, **more}}


def body_of(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def signed(
    body: bytes, header: str = "X-Hub-Signature-256", secret: str = SECRET, prefix: str = "sha256="
) -> dict[str, str]:
    """The header with the body's signature."""
    return {header: prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def view(name: str, *steps: Mapping[str, Any], project: str = "shop") -> PromotionView:
    """A running Promotion with these steps."""
    return PromotionView.model_validate(
        {
            "project": project,
            "stage": "dev",
            "name": name,
            "freight": "f",
            "phase": "Running",
            "createdAt": "2026-01-02T03:04:05Z",
            "steps": [{"alias": f"step-{index}", **step} for index, step in enumerate(steps)],
        }
    )


def names(done: Sequence[str]) -> list[str]:
    """The names alone of what was done, sorted."""
    return sorted(entry.rpartition("/")[2] for entry in done)
