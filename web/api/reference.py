"""Writes the table of endpoints in docs/api.md from the OpenAPI document: `python -m web.api.reference`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from starter.client import Towpath
from web.api.accounts import access_routers
from web.api.app import build_api
from web.board.boards import Boards

PAGE = "docs/api.md"

_REGION = re.compile(r"(<!-- endpoints -->\n).*?(<!-- end -->)", re.DOTALL)


def document() -> dict[str, Any]:
    """The OpenAPI document; no server is asked."""
    nobody = cast(Towpath, None)
    app: FastAPI = build_api(nobody, Boards(nobody), *access_routers())
    return app.openapi()


def endpoints() -> str:
    """The table."""
    lines = ["| | path | what it does |", "| --- | --- | --- |"]
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            words = (operation.get("description") or operation.get("summary", "")).split("\n\n")[0]
            beyond = " *(beyond Kargo)*" if "Beyond Kargo" in operation.get("tags", []) else ""
            shown = path.removeprefix("/v1beta1")
            lines.append(f"| {method.upper()} | `{shown}` | {' '.join(words.split()).replace('|', '/')}{beyond} |")
    return "\n".join(lines) + "\n"


def rewritten(text: str) -> str:
    """The page with its table as it should be."""
    table = endpoints()
    return _REGION.sub(lambda found: f"{found[1]}{table}{found[2]}", text)


def main() -> None:
    """Rewrite the table of the page, by default docs/api.md."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE)
    path.write_text(rewritten(path.read_text()))


if __name__ == "__main__":
    main()
