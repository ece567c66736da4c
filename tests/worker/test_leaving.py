"""A process that has talked to Temporal ends with the code it means, and all it said is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_LEAVING = """
import atexit, sys, threading, time
from workflows.leaving import leave

threading.Thread(target=time.sleep, args=(60,)).start()
atexit.register(print, "never")
sys.stdout.write("what was said")
leave(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 3])
def test_the_code_is_kept_and_threads_do_not_hold_the_process(code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVING, str(code)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (code, "what was said")
