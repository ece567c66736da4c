"""The main job on this machine, by the commands a person would type: from a new image to production.

Run by `make demo`. On a terminal it stays up until Ctrl-C; else it ends with 0 when everything is as it should be.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.world.guestbook import GUESTBOOK, IMAGE, GuestbookWorld

PROJECT = "guestbook"
STAGES = ("dev", "staging", "ab-test-a", "ab-test-b", "prod-west", "prod-central", "prod-east")
FIRST, SECOND = "1.0.0", "1.1.0"
#: Seconds within which what happens by itself must have happened.
PATIENCE = 90.0


class DemoFailed(Exception):
    """Something did not come out as it should; the text says what."""


class Demo:
    """One run: its world, its `towpath up`, and the commands typed."""

    def __init__(self, directory: Path, world: GuestbookWorld) -> None:
        self.world = world
        self.data = directory / "data"
        self.environment: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TOWPATH_", "TEMPORAL_"))},
            **world.settings(),
            "TOWPATH_DATA_DIRECTORY": str(self.data),
            "TOWPATH_PROJECT": PROJECT,
            "TOWPATH_LOG_LEVEL": "WARNING",
        }

    def start(self) -> subprocess.Popen[str]:
        """Start `towpath up`, and wait until it says that it is up."""
        _type("towpath up")
        process = subprocess.Popen(
            [sys.executable, "-m", "starter", "up"],
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            print("  " + line, end="", flush=True)
            if line.startswith("Ctrl-C"):
                return process
        raise DemoFailed(f"`towpath up` ended with {process.wait()}")

    def run(self, *arguments: str) -> None:
        """Type a command. Raises DemoFailed where it doesn't succeed."""
        _type("towpath " + " ".join(arguments))
        done = subprocess.run([sys.executable, "-m", "starter", *arguments], env=dict(self.environment), check=False)
        if done.returncode:
            raise DemoFailed(f"`towpath {' '.join(arguments)}` ended with {done.returncode}")

    def read(self, *arguments: str) -> list[dict[str, Any]]:
        """The items that `towpath get … -o json` lists."""
        command = [sys.executable, "-m", "starter", "get", *arguments, "-o", "json"]
        done = subprocess.run(command, env=dict(self.environment), check=True, stdout=subprocess.PIPE, text=True)
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items

    def wait_for_freight(self, tag: str) -> str:
        """Await the Freight of an image tag; returns its alias."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for freight in self.read("freight"):
                if any(image["tag"] == tag for image in freight.get("images", [])):
                    return str(freight["alias"])
            time.sleep(0.5)
        raise DemoFailed(f"no Freight of image tag {tag} appeared within {PATIENCE:.0f} s")

    def wait_for_stage(self, stage: str, tag: str, *, verified: bool = True) -> None:
        """Await that a Stage holds an image tag, and that it has been verified there."""
        deadline = time.monotonic() + PATIENCE
        shown: dict[str, Any] = {}
        while time.monotonic() < deadline:
            shown = next(item for item in self.read("stages") if item["metadata"]["name"] == stage)
            history = shown["status"].get("freightHistory") or [{}]
            tags = [image["tag"] for piece in history[0].get("items", {}).values() for image in piece.get("images", [])]
            phases = [info["phase"] for info in history[0].get("verificationHistory", [])]
            if tags == [tag] and (not verified or phases[:1] == ["Successful"]):
                return
            time.sleep(0.5)
        raise DemoFailed(f"Stage {stage} did not come to hold {tag} within {PATIENCE:.0f} s: {shown.get('status')}")

    def wait_until_available(self, stage: str, alias: str) -> None:
        """Await that Freight counts as verified in a Stage."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for freight in self.read("freight"):
                if freight["alias"] == alias and stage in freight["status"].get("verifiedIn", {}):
                    return
            time.sleep(0.5)
        raise DemoFailed(f"Freight {alias} was not verified in Stage {stage} within {PATIENCE:.0f} s")

    def check_branches(self, expected: Mapping[str, str]) -> None:
        """Every environment's branch holds the rendered manifests with the right image. Raises DemoFailed."""
        for stage, tag in expected.items():
            branch = f"env/{stage}"
            rendered = [self.world.repository.read(name, branch) for name in self.world.repository.files(branch)]
            if not any(f"image: {IMAGE}:{tag}\n" in text for text in rendered):
                raise DemoFailed(f"branch {branch} holds no rendered manifest with {IMAGE}:{tag}")
            print(f"  {branch:<18} {IMAGE}:{tag}")

    def story(self) -> None:
        """The whole way, twice as far as dev."""
        _say(f"A new image, {IMAGE}:{FIRST}, is in the registry; the configuration is in Git.")
        self.world.push_image(FIRST)
        self.run("apply", "-f", str(GUESTBOOK / "manifests"))

        _say("The Warehouse notices both and makes Freight of them; dev takes it by itself.")
        alias = self.wait_for_freight(FIRST)
        self.run("get", "freight")
        self.wait_for_stage("dev", FIRST)

        _say("From here on a person decides.")
        for stage in ("staging", "ab-test-a", "ab-test-b"):
            self.run("promote", "--stage", stage, "--freight-alias", alias, "--wait")
            self.wait_until_available(stage, alias)
        self.wait_until_available("prod", alias)

        _say("Verified in both A/B tests, it has passed prod, a control-flow Stage. Now to all regions at once.")
        self.run("promote", "--downstream-from", "prod", "--freight-alias", alias, "--wait")
        for stage in STAGES:
            self.wait_for_stage(stage, FIRST)
        self.run("get", "stages")
        self.run("get", "verifications")
        self.check_branches(dict.fromkeys(STAGES, FIRST))

        _say(f"Somebody pushes {IMAGE}:{SECOND} and changes the configuration. Nobody types anything.")
        self.world.push_image(SECOND)
        self.world.push_commit(replicas=3)
        self.wait_for_stage("dev", SECOND)
        self.run("get", "freight")
        self.run("get", "stages")
        self.check_branches({**dict.fromkeys(STAGES, FIRST), "dev": SECOND})


def main() -> int:
    """Run the demo. Returns the exit code."""
    directory = Path(tempfile.mkdtemp(prefix="towpath-demo-"))
    process: subprocess.Popen[str] | None = None
    try:
        with GuestbookWorld(directory) as world:
            demo = Demo(directory, world)
            try:
                process = demo.start()
                demo.story()
            except DemoFailed as failure:
                print(f"demo failed: {failure}", file=sys.stderr)
                return 1
            if sys.stdout.isatty() and sys.stdin.isatty():
                _say("Everything stays up until Ctrl-C. Look at the runs in the Temporal UI, or type in another shell:")
                print(f"  export TOWPATH_DATA_DIRECTORY={demo.data} TOWPATH_PROJECT={PROJECT}\n  towpath get stages")
                signal.pause()
            return 0
    except KeyboardInterrupt:
        return 0
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _type(command: str) -> None:
    print(f"\n$ {command}", flush=True)


def _say(sentence: str) -> None:
    print(f"\n# {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
