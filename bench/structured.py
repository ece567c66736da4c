"""`yaml-update` on a file of 20,000 lines."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

from bench.figures import Figure, spread
from bench.workspace import Workspace

LINES = 20_000
_PER_SERVICE = 8


async def measure(*, quick: bool) -> list[Figure]:
    """Beside it, reading the same file with PyYAML's safe loader, which is what any Python program would begin with."""
    updated, read = [], []
    text = _text()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as directory:
        workspace = Workspace(Path(directory), "bench.0")
        file = workspace.files / "values.yaml"
        for number in range(2 if quick else 5):
            file.write_text(text)
            key = f"services.{LINES // _PER_SERVICE // 2}.image.tag"
            begun = time.perf_counter()
            await workspace.run(
                "yaml-update", {"path": "values.yaml", "updates": [{"key": key, "value": f"2.0.{number}"}]}
            )
            updated.append(time.perf_counter() - begun)
            assert file.read_text().count(f"tag: 2.0.{number}") == 1
            begun = time.perf_counter()
            yaml.safe_load(text)
            read.append(time.perf_counter() - begun)
    return [
        Figure("yaml-update / yaml.safe_load", median(updated) / median(read), "×", f"the same {LINES:,} lines"),
        Figure("yaml-update", median(updated), "s", spread(updated)),
    ]


def _text() -> str:
    lines = ["services:"]
    for number in range(LINES // _PER_SERVICE):
        lines += [
            f"  # service {number}",
            f"  - name: service-{number}",
            "    image:",
            f"      repository: registry.example.com/service-{number}",
            "      tag: 1.0.0",
            "    replicas: 2",
            "    env:",
            f'      - {{name: NUMBER, value: "{number}"}}',
        ]
    return "\n".join(lines) + "\n"
