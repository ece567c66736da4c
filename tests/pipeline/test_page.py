"""The whole way by mouse, in a real browser: from new Freight to all regions, on everything that a user gets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from playwright.sync_api import Page, expect

from tests.pages.browser import chromium
from tests.pipeline.installation import PATIENCE, Installation
from tests.pipeline.pipeline import REGIONS, Pipeline
from web.process import serving
from worker.embedded import free_port

T = TypeVar("T")


def aside(what: Callable[[], T]) -> T:
    """Does it in a thread of its own: the browser's loop runs in this one, and the command line wants one too."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(what).result()


@pytest.fixture
def address(towpath: Installation) -> Iterator[str]:
    """URL of the web, served beside the worker."""
    settings = towpath.settings.model_copy(update={"web_address": f"127.0.0.1:{free_port(0)}"})
    ready, stop = threading.Event(), asyncio.Event()
    found: list[str] = []

    async def serve() -> None:
        async with serving(settings, await towpath.connect()) as url:
            found.append(url)
            ready.set()
            await stop.wait()

    served = asyncio.run_coroutine_threadsafe(serve(), towpath.loop)
    assert ready.wait(PATIENCE), served
    yield found[0]
    towpath.loop.call_soon_threadsafe(stop.set)
    served.result(PATIENCE)


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        found = browser.new_page(reduced_motion="reduce")
        found.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        yield found


def test_freight_goes_to_all_regions_by_mouse(towpath: Installation, address: str, page: Page) -> None:
    pipeline = Pipeline.create(towpath)
    # The shorter way: to production from dev.
    tests = "        stages:\n          - ab-test-a\n          - ab-test-b\n"
    aside(lambda: pipeline.apply({tests: "        stages:\n          - dev\n"}))
    page.goto(f"{address}/projects/{pipeline.project}")
    aside(lambda: pipeline.run("refresh", "warehouse", pipeline.warehouse))
    # The Freight comes by itself onto the page that is open.
    page.get_by_role("option").click()
    page.get_by_role("button", name="Promote to dev").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("What it would commit").click()
    expect(dialog.locator(".diff")).to_contain_text(":v1.0.0")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.locator("#stage-dev .state")).to_contain_text("Verified")
    expect(page.locator("#stage-prod [data-verdict]")).to_contain_text("has passed")
    page.locator("#stage-prod .cover").click()
    page.get_by_role("button", name="Promote downstream…").click()
    page.get_by_role("dialog").get_by_role("button", name=f"Promote to {len(REGIONS)} Stages").click()
    for region in REGIONS:
        expect(page.locator(f"#stage-{region} .state .word")).to_have_text("Verified")
        expect(page.locator(f"#stage-{region} [data-verdict]")).to_contain_text("is here")
    page.locator(f"#stage-{REGIONS[0]} .cover").click()
    page.get_by_role("link", name="Promotion", exact=True).click()
    expect(page.locator("h1")).to_contain_text(f"to {REGIONS[0]}")
    assert page.locator(".step .tone-good").count() >= 5
    (freight,) = aside(lambda: pipeline.read("freight")["items"])
    assert set(REGIONS) < set(freight["status"]["verifiedIn"])
