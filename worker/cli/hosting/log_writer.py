"""Runs a program and keeps what it says: `python log_writer.py FILE LIMIT PROGRAM ARGUMENT...`.

A script by itself that imports next to nothing, as it lives as long as the container. What the program writes goes to
FILE, which is moved to FILE.1 when it has grown to LIMIT bytes, and to standard output as long as somebody takes it.
Signals to end are handed on; the program ends with this process, however that ends.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

CHUNK = 65536


def main(path: str, limit: int, program: list[str]) -> int:
    """The program's exit code."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # the program's parent process ignores them, too
    reader, writer = os.pipe()
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    die_with_parent = os.path.join(here, "..", "..", "engine", "process", "die_with_parent.py")  # noqa: PTH118
    command = [sys.executable, "-I", "-S", die_with_parent, str(os.getpid()), *program]
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.execv(command[0], command)  # noqa: S606 - the command is the operator's
    os.close(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda given, _: os.kill(child, given))
    copy(reader, path, limit)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def copy(reader: int, path: str, limit: int) -> None:
    """Until all writers are gone. A full disk or a reader of ours that left loses lines, and stops nobody."""
    while said := os.read(reader, CHUNK):
        with suppress(OSError):
            os.write(1, said)
        with suppress(OSError):
            with open(path, "ab", buffering=0) as file:  # noqa: PTH123
                file.write(said)
                size = file.tell()
            if size > limit:
                os.replace(path, f"{path}.1")  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
