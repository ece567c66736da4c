"""http-download, against a server on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from activities import downloads
from activities.mask import Mask
from activities.settings import ActivitySettings
from activities.steps import http_download  # noqa: F401  # registers the steps
from activities.steps.registry import StepErrored, StepFailed
from tests.steps.contexts import run_step, step_context
from tests.steps.test_http import Site


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()
    site.thread.join()


async def download(workspace: Path, url: str, *, limit: int = 1024, **config: Any) -> dict[str, Any]:
    settings = ActivitySettings(data_directory=workspace.parent / "data", download_limit=limit)
    outside = SimpleNamespace(settings=settings)
    given = {"url": url, "outPath": "d/file", **config}
    return await run_step("http-download", given, step_context(workspace, outside=outside))


async def test_the_file_is_there_with_its_check_sum(site: Site, tmp_path: Path) -> None:
    url = site.answer("/f", b"content")
    output = await download(
        tmp_path / "ws",
        url + "?a=1",
        queryParams=[{"name": "b", "value": "x y"}],
        headers=[{"name": "X", "value": "y"}],
    )
    assert output == {"sha256": hashlib.sha256(b"content").hexdigest(), "size": 7}
    path = tmp_path / "ws/d/file"
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert site.requests[0]["query"] == "a=1&b=x+y"
    assert site.requests[0]["headers"]["X"] == "y"


async def test_a_rebuild_gives_the_same(site: Site, tmp_path: Path) -> None:
    url = site.answer("/f", b"content")
    assert await download(tmp_path / "ws", url) == await download(tmp_path / "elsewhere", url)


async def test_a_file_that_is_there_stays_unless_told(site: Site, tmp_path: Path) -> None:
    url = site.answer("/f", b"new")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("old")
    with pytest.raises(StepErrored, match="d/file is there already") as caught:
        await download(tmp_path, url)
    assert caught.value.final
    assert (tmp_path / "d/file").read_text() == "old"
    assert site.requests == []
    await download(tmp_path, url, allowOverwrite=True)
    assert (tmp_path / "d/file").read_text() == "new"


@pytest.mark.parametrize(
    ("status", "error", "final"),
    [(404, StepFailed, True), (403, StepFailed, True), (429, StepErrored, False), (503, StepErrored, False)],
)
async def test_other_answers(site: Site, tmp_path: Path, status: int, error: type[Exception], final: bool) -> None:
    with pytest.raises(error, match=f"HTTP {status}") as caught:
        await download(tmp_path, site.answer("/f", b"no", status=status))
    assert getattr(caught.value, "final", True) == final
    assert not (tmp_path / "d").exists()


async def test_the_size_is_bounded(site: Site, tmp_path: Path) -> None:
    with pytest.raises(StepErrored, match="larger than 10 bytes"):
        await download(tmp_path, site.answer("/f", b"x" * 11), limit=10)


async def test_what_only_shows_while_it_streams_is_bounded_too(tmp_path: Path) -> None:
    async def chunks() -> Any:
        while True:
            yield b"x" * 1000

    with pytest.raises(downloads.TooLargeDownload):
        await downloads.save(chunks(), tmp_path / "d/file", limit=5000)
    assert list((tmp_path / "d").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://169.254.169.254/latest", "link-local"),
        ("file:///etc/passwd", "can't be made"),
        ("http://127.0.0.1:1/x", "GET http://127.0.0.1:1/x: "),
    ],
)
async def test_addresses_that_lead_nowhere(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(StepErrored, match=says):
        await download(tmp_path, url)


async def test_secret_headers_are_masked(site: Site, tmp_path: Path) -> None:
    mask = Mask()
    with mask.collecting():
        await download(
            tmp_path, site.answer("/f"), headers=[{"name": "Authorization", "value": "Bearer not-to-be-seen"}]
        )
    assert mask.text("it is not-to-be-seen") == "it is ***"
