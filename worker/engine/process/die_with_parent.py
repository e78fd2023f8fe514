"""Runs a program that is killed when its parent ends: `python die_with_parent.py PARENT PROGRAM ...`.

This is a standalone script. The program replaces this process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, program: list[str]) -> None:
    """Let the kernel kill this process when its parent ends, and replace it by the program.

    `parent` is the process id of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent has ended already
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - the command is the operator's


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
