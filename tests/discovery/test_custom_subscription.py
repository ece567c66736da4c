"""A package that brings a type of subscription: the example, installed as pip would, and served from loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.analysis.server import Answered, Asked, metric_server

ROOT = Path(__file__).parents[2]

# In a process of its own: what is registered stays registered.
_USE = """
import asyncio, json, sys
from pathlib import Path
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from activities.discovery.watch import open_watcher
from activities.outside import open_outside
from activities.settings import ActivitySettings
from model.discovery import WatchRequest

async def main():
    watcher = open_watcher(open_outside(ActivitySettings(data_directory=Path(sys.argv[1]))))
    def spec(**config):
        return {"subscriptions": [{"name": "firmware", "releases": {"config": config, "discoveryLimit": 2}}]}
    async def look(known="", **config):
        request = WatchRequest(project="demo", warehouse="w", generation=1, spec=spec(**config), known=known)
        return await ActivityEnvironment().run(watcher.watch, request)
    first = await look(url=sys.argv[2])
    try:
        again = (await look(first.observed, url=sys.argv[2])).observed
    except ApplicationError as benign:
        again = benign.message
    print(json.dumps({
        "found": first.artifacts.results[0].model_dump(mode="json", by_alias=True, exclude_none=True),
        "again": again,
        "wrong": (await look(adress="x")).error,
        "gone": (await look(url=sys.argv[2] + ".gone")).error,
    }))
    await watcher.registries.aclose()

asyncio.run(main())
"""


def test_an_installed_package_brings_its_type_of_subscription(tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = ["-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    where = ["--python", sys.executable, "--target", str(target), str(ROOT / "examples/custom-subscription")]
    done = subprocess.run([sys.executable, *install, *where], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

    def releases(asked: Asked) -> Answered:
        if asked.headers.get("if-none-match") == '"3"':
            return Answered(b"", 304)
        return Answered(b"1.0\n1.1\n1.2\n", headers={"ETag": '"3"'})

    with metric_server() as server:
        server.routes["/releases.txt"] = releases
        url = f"{server.url}/releases.txt"
        environment = {"PYTHONPATH": f"{ROOT}:{target}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-c", _USE, str(tmp_path / "data"), url],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        asked = [(one.path, "if-none-match" in one.headers) for one in server.asked]
    assert json.loads(done.stdout) == {
        "found": {
            "name": "firmware",
            "artifactReferences": [
                {"artifactType": "release", "subscriptionName": "firmware", "version": version}
                for version in ("1.2", "1.1")
            ],
        },
        "again": "nothing new",
        "wrong": "releases (firmware): config needs `url`, the address of a list of releases, and nothing else",
        "gone": f"releases (firmware): {url}.gone answered with status 404",
    }
    assert asked == [("/releases.txt", False), ("/releases.txt", True), ("/releases.txt.gone", False)]
