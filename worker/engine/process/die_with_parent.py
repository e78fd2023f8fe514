"""Starts a program that ends when its starter does, however that ends: `python die_with_parent.py PARENT PROGRAM ...`.

A script by itself, run before anything else is loaded; the program then takes the place of this process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, program: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we could ask
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - the command is the operator's


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
