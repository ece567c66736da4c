"""The browser of the tests: Debian's chromium, or another of its kind on PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """Path of the browser; empty where there is none."""
    named = os.environ.get("TOWPATH_TEST_CHROMIUM", "")
    return named or next((found for name in _NAMES if (found := shutil.which(name))), "")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Skips the test, loudly, where there is none."""
    path = executable()
    if not path:
        pytest.skip("NO BROWSER, SO THE PAGE IS NOT TESTED: install chromium, or name it in TOWPATH_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            # A test runs as whom it runs, in a container too, and needs nothing from outside.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()
