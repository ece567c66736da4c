"""The whole web upon a running house, and what tests of the API do with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.patience import PATIENCE
from tests.starter.house import Rooms, in_project, manifests
from tests.workflows.house import project, stage, warehouse
from web.process import serving
from worker.embedded import free_port
from workflows.settings import WebSettings


@asynccontextmanager
async def served(house: Rooms, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the web, on a port of its own."""
    settings = WebSettings(
        data_directory=directory, credentials_directory=directory, web_address=f"127.0.0.1:{free_port(0)}"
    )
    async with (
        serving(settings, await house.connect()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1beta1", timeout=PATIENCE) as client,
    ):
        yield client


def furnish(house: Rooms, *stages: dict[str, Any]) -> str:
    """A Project with the Warehouse `web` and these Stages, by default dev and, after it, prod; its name."""
    name = house.project()
    house.house.project = name
    text = manifests(*in_project(name, [*(stages or (stage("dev"), stage("prod", "dev"))), warehouse()]), project(name))
    result = house.run("apply", "-f", "-", stdin=text)
    assert result.exit_code == 0, result.output
    return name


async def furnished(house: Rooms, *stages: dict[str, Any]) -> str:
    return await asyncio.to_thread(furnish, house, *stages)


async def discovered(house: Rooms, tag: str = "1.0.0") -> str:
    """The name of new Freight of the Project that was furnished last."""
    record = await asyncio.to_thread(house.wait, house.house.discover(tag))
    name: str = record.name
    return name


class Events:
    """The events of a stream, in their order."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Type and object of the next event; signs of life are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    return event.get("type", "error"), event.get("object", event)
        raise AssertionError("the stream has ended")

    async def until(self, kind: str, name: str) -> dict[str, Any]:
        """The next event of that type about what is called so."""
        while True:
            found, shown = await self.next()
            if (found, shown["metadata"]["name"]) == (kind, name):
                return shown


@asynccontextmanager
async def watched(client: httpx.AsyncClient, path: str, **query: str) -> AsyncIterator[Events]:
    async with client.stream("GET", path, params={"watch": "true", **query}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


async def eventually(client: httpx.AsyncClient, path: str, true: Any, headers: dict[str, str] | None = None) -> Any:
    """The body of a read, once something is true of it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            response = await client.get(path, headers=headers)
            if response.status_code == 200 and true(response.json()):
                return response.json()
