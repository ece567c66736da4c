"""How a process that has talked to Temporal ends."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process at once, with what was printed and logged written out.

    It can't be trusted to end by itself: threads of the SDK abort the interpreter now and then while it finalizes
    (temporalio/sdk-python#300), which turns success into exit code 134; and steps that still run would hold it.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # The reader is gone, or the stream was closed: there is nobody left to tell.
            code = code or 1
    os._exit(code)
