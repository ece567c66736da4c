"""A browser for all tests of the page, and a played Project for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.browser import chromium
from tests.pages.serving import Served
from tests.pages.yard import Yard

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module, not for the session: while it is open its loop runs in this thread, and no other can."""
    # Generous: what is awaited comes at once, unless the machine has other things to do.
    expect.set_options(timeout=30_000)
    with chromium() as found:
        yield found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    built = Served(Yard.small(), tmp_path)
    built.start()
    yield built
    built.stop()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[OpenPage]:
    """Opens an address of the played Project in a window of its own; nothing may go wrong in its console."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: str = "/projects/shop", *, dark: bool = False, phone: bool = False) -> Page:
        size = {"width": 390, "height": 780} if phone else {"width": 1280, "height": 800}
        context = browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            has_touch=phone,
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.goto(served.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
