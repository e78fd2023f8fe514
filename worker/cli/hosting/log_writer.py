"""A script that runs a program and writes its output to a log: `python log_writer.py FILE LIMIT PROGRAM ARGUMENT...`.

The output goes to FILE and to standard output. When FILE has more than LIMIT bytes it is moved to FILE.1. SIGTERM and
SIGINT are forwarded to the program. The program is killed when this process ends. The script imports few modules,
because it runs for as long as the container.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

CHUNK = 65536


def main(path: str, limit: int, program: list[str]) -> int:
    """Run the program, write its output to the log, and return its exit code."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # the program's parent process ignores them, too
    reader, writer = os.pipe()
    this_folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    die_with_parent = os.path.join(this_folder, "..", "..", "engine", "process", "die_with_parent.py")  # noqa: PTH118
    command = [sys.executable, "-I", "-S", die_with_parent, str(os.getpid()), *program]
    child = os.fork()
    if child == 0:  # the new process writes its standard output and error to the pipe
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.execv(command[0], command)  # noqa: S606 - the command is the operator's
    os.close(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    copy(reader, path, limit)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def copy(reader: int, path: str, limit: int) -> None:
    """Copy the pipe to the file and to standard output until the program has closed the pipe.

    Output is lost where a write fails, on a full disk for example. The program is not stopped.
    """
    while output := os.read(reader, CHUNK):
        with suppress(OSError):
            os.write(1, output)
        with suppress(OSError):
            with open(path, "ab", buffering=0) as file:  # noqa: PTH123
                file.write(output)
                size = file.tell()
            if size > limit:
                os.replace(path, f"{path}.1")  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
