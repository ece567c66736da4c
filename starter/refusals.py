"""What manifests may not say yet: `python -m starter.refusals` rewrites the tables in docs/manifests.md.

What stands between `<!-- … -->` and `<!-- end -->` there is this program's; all else is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from model.problems import Severity
from model.resources import KINDS
from model.supported import ROWS

PAGE = Path("docs/manifests.md")
_REGION = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def kinds() -> str:
    """The kinds that are read, by apiVersion."""
    versions: dict[str, list[str]] = {}
    for version, kind in KINDS:
        versions.setdefault(version, []).append(kind)
    rows = [f"| `{version}` | {', '.join(names)} |" for version, names in versions.items()]
    return _table(("apiVersion", "kinds"), rows)


def refused() -> str:
    """What is an error for now."""
    return _fields(Severity.ERROR)


def warned() -> str:
    """What is done, with a warning."""
    return _fields(Severity.WARNING)


def rewritten(text: str) -> str:
    """The page with its tables as they should be."""
    tables: dict[str, Callable[[], str]] = {"kinds": kinds, "refused": refused, "warned": warned}
    return _REGION.sub(lambda found: f"{found[1]}{tables[found[2]]()}{found[3]}", text)


def _fields(severity: Severity) -> str:
    """Fields and sentences; kinds that have a row in common share it."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        if row.severity is severity:
            rows.setdefault((row.path.replace("[*]", "[]"), row.sentence), []).append(row.kind)
    return _table(
        ("kind", "field", "what is said"),
        [
            f"| {', '.join(names)} | `{path}` | {sentence.replace('<', '&lt;')} |"
            for (path, sentence), names in rows.items()
        ],
    )


def _table(head: tuple[str, ...], rows: list[str]) -> str:
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the tables of the page, by default docs/manifests.md."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE)
    path.write_text(rewritten(path.read_text()))


if __name__ == "__main__":
    main()
