"""Runs a program that must not outlive its parent: `python guard.py PARENT PROGRAM ARGUMENT…`.

A program of its own, without imports of ours, because what has to be done between fork and exec can't be done safely in
a process with threads. On Linux the kernel kills the program when its parent dies, however it dies; elsewhere the lock
on the data directory tells the next `towpath up` to do it (worker.lock).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the call: then no signal comes.
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()
