"""Moments at which a worker is held until a test lets it go: so that it can be killed exactly then.

A moment is `<stage>.<what>.<when>`. What is a step (`before`, `during`, `after` it: tests.kill.brakes, which the
worker loads as a third party's steps) or `git-<command>` (`begin`, `end`: a program `git` that comes first on PATH).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: The variable that tells the worker's brakes where the gates are.
VARIABLE = "KILL_TEST_GATES"

#: Knows its promotion's Stage by the workspace in GIT_DIR, or by the branch `env/<stage>` it pushes to.
_GIT = """#!/bin/sh
stage=
case "$GIT_DIR" in
*/workspaces/*) stage=${{GIT_DIR#*/workspaces/}}; stage=${{stage%%.*}} ;;
esac
for last; do :; done
case "$last" in
*:refs/heads/env/*) stage=${{last##*/}} ;;
esac
gate() {{
    moment={gates}/$stage.git-$1
    if [ -e "$moment.armed" ]; then
        : > "$moment.reached"
        while [ -e "$moment.armed" ]; do sleep 0.05; done
    fi
}}
gate "$1.begin"
{git} "$@"
code=$?
gate "$1.end"
exit $code
"""


class Gates:
    """A directory of moments: those armed, and those reached."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def environment(self) -> Mapping[str, str]:
        """What makes a worker stop at the gates."""
        programs, packages = self.directory / "bin", self.directory / "packages"
        programs.mkdir(exist_ok=True)
        git = shutil.which("git")
        assert git is not None
        (programs / "git").write_text(_GIT.format(gates=self.directory, git=git))
        (programs / "git").chmod(0o755)
        about = packages / "brakes-1.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brakes\nVersion: 1\n")
        (about / "entry_points.txt").write_text("[towpath.steps]\nbrakes = tests.kill.brakes\n")
        return {
            VARIABLE: str(self.directory),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{packages}:{ROOT}",
        }

    def arm(self, moments: Iterable[str]) -> None:
        """Hold whoever comes to one of these moments."""
        for moment in moments:
            (self.directory / f"{moment}.armed").touch()
            (self.directory / f"{moment}.reached").unlink(missing_ok=True)

    def open(self, moments: Iterable[str] | None = None) -> None:
        """Let go whoever waits at these moments, or at any."""
        armed = self.directory.glob("*.armed")
        for path in armed if moments is None else [self.directory / f"{moment}.armed" for moment in moments]:
            path.unlink(missing_ok=True)

    async def reached(self, moments: Iterable[str], within: float = 120) -> None:
        """Wait until somebody is held at each of these moments. Raises AssertionError after `within` seconds."""
        until = time.monotonic() + within
        while missing := [name for name in moments if not (self.directory / f"{name}.reached").exists()]:
            assert time.monotonic() < until, f"not reached: {missing}"
            await asyncio.sleep(0.05)


def hold(directory: Path, moment: str) -> bool:
    """Hold this thread at a moment for as long as it is armed. False: it is not."""
    armed = directory / f"{moment}.armed"
    if not armed.exists():
        return False
    (directory / f"{moment}.reached").touch()
    while armed.exists():
        time.sleep(0.05)
    return True
