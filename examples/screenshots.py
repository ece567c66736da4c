"""Makes the pictures of the docs: the demo's world, its pipeline part of the way, and a browser that looks at it.

`python -m examples.screenshots [DIRECTORY]`, by default docs/images. It needs chromium, and playwright (a dependency
for developing).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from examples.demo import FIRST, PROJECT, SECOND, Demo
from examples.world.guestbook import GUESTBOOK, GuestbookWorld
from worker.embedded import free_port

IMAGES = Path(__file__).parent.parent / "docs/images"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SIZE = 1200, 680


def main() -> int:
    """Run it. Returns the exit code."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    executable = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if executable is None:
        print("no browser: install chromium", file=sys.stderr)
        return 1
    target.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="towpath-screenshots-"))
    try:
        with GuestbookWorld(directory) as world, sync_playwright() as playwright:
            demo = Demo(directory, world)
            port = free_port(0)
            demo.environment = {**demo.environment, "TOWPATH_WEB_ADDRESS": f"127.0.0.1:{port}"}
            process = demo.start()
            try:
                alias = _story(demo, world)
                browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
                _look(browser, f"http://127.0.0.1:{port}/projects/{PROJECT}", alias, target)
                browser.close()
            finally:
                process.terminate()
                process.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _story(demo: Demo, world: GuestbookWorld) -> str:
    """One piece of Freight as far as the A/B tests, a second one in dev; the alias of the first."""
    world.push_image(FIRST)
    demo.run("apply", "-f", str(GUESTBOOK / "manifests"))
    alias = demo.wait_for_freight(FIRST)
    demo.wait_for_stage("dev", FIRST)
    for stage in ("staging", "ab-test-a"):
        demo.run("promote", "--stage", stage, "--freight-alias", alias, "--wait")
        demo.wait_until_available(stage, alias)
    world.push_image(SECOND)
    demo.run("refresh", "warehouse", "guestbook", "--wait")
    demo.wait_for_freight(SECOND)
    demo.wait_for_stage("dev", SECOND)
    return alias


def _look(browser: Browser, url: str, alias: str, target: Path) -> None:
    def page(where: str, scheme: str) -> Page:
        width, height = _SIZE
        dark = scheme == "dark"
        opened = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        opened.goto(url + where)
        opened.wait_for_selector("body[data-connected=yes]")
        return opened

    def keep(of: Page, name: str) -> None:
        of.mouse.move(0, 0)
        of.screenshot(path=target / f"{name}.png")
        of.close()

    picture = page("", "light")
    picture.locator(f".freight[data-alias='{alias}']").click()
    picture.wait_for_selector("[data-verdict]:visible")
    keep(picture, "pipeline")
    dialog = page("", "dark")
    dialog.locator(".freight").first.click()
    dialog.locator("[data-promote=staging]").click()
    dialog.get_by_text("What it would commit").click()
    dialog.wait_for_selector(".diff")
    keep(dialog, "promote")
    verification = page("/stages/ab-test-a", "light")
    verification.get_by_role("link", name="Verification").first.click()
    verification.wait_for_selector(".chart")
    keep(verification, "verification")


if __name__ == "__main__":
    sys.exit(main())
