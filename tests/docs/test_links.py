"""Links between the documents lead somewhere, and no file tells where it was made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT, name, pages, prose, tracked

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
#: Places that every machine has, or that belong to images we build.
_COMMON = {"/", "/root", "/usr", "/usr/local", "/src", "/app"}
_TEXT_SIZE = 4 * 1024 * 1024


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = []
    for link in _LINK.findall(prose(page)):
        if urlsplit(link).scheme:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def package_indexes() -> set[str]:
    """Hosts of the package registries this machine is set up with."""
    configured = [value for key, value in os.environ.items() if "INDEX" in key or "FIND_LINKS" in key]
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    configured += re.findall(r"https?://[^\s'\"]+", done.stdout)
    hosts = {urlsplit(url).hostname or "" for url in configured if "://" in url}
    return hosts - {"", "127.0.0.1", "localhost"}


def test_no_file_names_this_machine() -> None:
    places = {str(ROOT), str(Path.home()), str(Path(sys.prefix))} - _COMMON
    strangers = places | package_indexes()
    found = []
    for path in tracked():
        content = path.read_bytes()
        if len(content) > _TEXT_SIZE or b"\0" in content:
            continue
        text = content.decode(errors="replace")
        found += [f"{name(path)}: {stranger}" for stranger in strangers if stranger in text]
    assert found == []


def test_tests_that_documents_name_exist() -> None:
    missing = []
    for page in pages():
        for path, _, test in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", page.read_text()):
            file = ROOT / path
            if not file.is_file() or (test and not re.search(rf"def {test}\(", file.read_text())):
                missing.append(f"{name(page)}: {path}::{test}")
    assert missing == []
